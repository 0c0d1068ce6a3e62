/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/exec_cache.h"

#include "base/files.h"
#include "base/log.h"
#include "base/text.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/* --- The place -------------------------------------------------------------------------------- */

/* Only this user can write to it. */
static int check_own(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	return st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH)) ? 0 : -EPERM;
}

/* Below `parent`, created if it is not there. */
static int make_folder(int parent, const char *path)
{
	_cleanup_close_ int fd = -1;
	int ret;

	if (mkdirat(parent, path, 0700) && errno != EEXIST)
		return -errno;
	fd = openat(parent, path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	ret = fd < 0 ? -errno : check_own(fd);
	return ret ? ret : steal_fd(&fd);
}

/* The user's own, also for root in a session of another user. */
static int find_place(char path[PATH_MAX])
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	_cleanup_close_ int fd = -1;
	int len;

	/* XDG Base Directory Specification: a relative path is ignored. */
	if (cache && *cache == '/') {
		len = snprintf(path, PATH_MAX, "%s", cache);
	} else {
		if (!home || *home != '/')
			return -ENOENT;
		fd = open(home, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
		if (fd < 0 || check_own(fd))
			return fd < 0 ? -errno : -EPERM;
		len = snprintf(path, PATH_MAX, "%s/.cache", home);
	}
	return len < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int make_place(char **folder)
{
	static const char *const below[] = { "kinglet", "exec" };
	char path[PATH_MAX];
	int ret = find_place(path), fd;

	if (ret)
		return ret;
	fd = make_folder(AT_FDCWD, path);
	for (unsigned i = 0; i < ARRAY_SIZE(below) && fd >= 0; i++) {
		int parent = fd;

		fd = make_folder(parent, below[i]);
		close(parent);
	}
	if (fd < 0)
		return fd;
	close(fd);
	if (asprintf(folder, "%s/kinglet/exec", path) >= 0)
		return 0;
	*folder = NULL;
	return -ENOMEM;
}

/* --- The key ---------------------------------------------------------------------------------- */

/* The file as it is: when it is written to or replaced, some of this changes. */
static int describe_file(FILE *out, const char *name, const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	fprintf(out, " %s=%llx.%llx.%llx.%lld.%ld.%lld.%ld", name, (unsigned long long)st.st_dev,
		(unsigned long long)st.st_ino, (unsigned long long)st.st_size,
		(long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (long long)st.st_ctim.tv_sec,
		st.st_ctim.tv_nsec);
	return 0;
}

/*
 * What has been written without a sync is whole as long as the host runs; and until then it has the
 * same CPU, kernel and microcode.
 */
static int describe_host(FILE *out)
{
	_cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	char id[37] = "";
	int ret = fd < 0 ? -errno : pread_exactly(fd, id, sizeof(id) - 1, 0);

	fprintf(out, " host=%s", id);
	return ret;
}

static int describe(FILE *out, const struct exec_cache_key *key)
{
	int ret;

	fprintf(out, "exec %s base=%llx memory=%llu cpus=%u", KINGLET_VERSION,
		(unsigned long long)key->base, (unsigned long long)key->memory, key->cpus);
	ret = describe_host(out);
	if (!ret)
		ret = describe_file(out, "kinglet", "/proc/self/exe");
	if (!ret)
		ret = describe_file(out, "kernel", key->kernel);
	fprintf(out, " %s", key->cmdline);
	return ret;
}

static int make_key(struct exec_cache *cache, const struct exec_cache_key *key)
{
	size_t len = 0;
	FILE *out = open_memstream(&cache->key, &len);
	int ret = out ? describe(out, key) : -ENOMEM;

	if (out && fclose(out) == EOF)
		ret = -ENOMEM;
	if (!ret && asprintf(&cache->dir, "%s/%016llx", cache->folder,
			     (unsigned long long)text_hash(cache->key)) < 0) {
		cache->dir = NULL;
		ret = -ENOMEM;
	}
	return ret;
}

int exec_cache_init(struct exec_cache *cache, const struct exec_cache_key *key)
{
	int ret;

	*cache = (struct exec_cache){ 0 };
	ret = make_place(&cache->folder);
	if (!ret)
		ret = make_key(cache, key);
	if (ret)
		exec_cache_destroy(cache);
	return ret;
}

void exec_cache_destroy(struct exec_cache *cache)
{
	free(cache->folder);
	free(cache->key);
	free(cache->dir);
	*cache = (struct exec_cache){ 0 };
}

/* --- Its machine ------------------------------------------------------------------------------ */

static void remove_at(int folder, const char *name)
{
	_cleanup_close_ int fd = openat(folder, name, O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		snapshot_empty(fd);
	unlinkat(folder, name, AT_REMOVEDIR);
}

void exec_cache_remove(const struct exec_cache *cache)
{
	remove_at(AT_FDCWD, cache->dir);
}

static bool fits(const struct exec_cache *cache, const struct exec_cache_key *key,
		 const struct snapshot *snapshot)
{
	return snapshot->word_count == 1 && !strcmp(snapshot->words[0], cache->key) &&
	       snapshot->info.memory == key->memory && snapshot->info.cpus == key->cpus;
}

struct snapshot *exec_cache_open(const struct exec_cache *cache, const struct exec_cache_key *key)
{
	struct snapshot *snapshot = NULL;
	int ret;

	log_mute(true);
	ret = snapshot_open(&snapshot, cache->dir);
	log_mute(false);
	if (!ret && fits(cache, key, snapshot)) {
		utimensat(AT_FDCWD, cache->dir, NULL, 0);
		return snapshot;
	}
	if (!ret)
		snapshot_free(snapshot);
	exec_cache_remove(cache);
	return NULL;
}

/* --- All of them ------------------------------------------------------------------------------ */

struct saved {
	char name[17]; /* the key's hash */
	uint64_t bytes;
	struct timespec used;
};

static uint64_t disk_bytes(int fd, const char *name)
{
	struct stat st;

	return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) ? 0 : (uint64_t)st.st_blocks * 512;
}

/* A new one of a process that has ended: the others hold its lock (machine/snapshot_folder.h). */
static bool is_left(int folder, const char *name, int fd)
{
	struct stat ours, named;

	return !flock(fd, LOCK_EX | LOCK_NB) && !fstat(fd, &ours) &&
	       !fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) && ours.st_ino == named.st_ino;
}

/* False: it is no saved machine, or removed. */
static bool look_at(int folder, const char *name, struct saved *saved)
{
	_cleanup_close_ int fd = openat(folder, name, O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC);
	bool is_new = *name == '.';
	const char *key = name + is_new;
	size_t len = strspn(key, "0123456789abcdef");
	struct stat st;

	if (fd < 0 || len != sizeof(saved->name) - 1 || fstat(fd, &st))
		return false;
	if (is_new && !strcmp(key + len, ".kinglet-new") && is_left(folder, name, fd))
		remove_at(folder, name);
	if (is_new || key[len])
		return false;
	memcpy(saved->name, name, len + 1);
	saved->bytes = disk_bytes(fd, "state") + disk_bytes(fd, "memory");
	saved->used = st.st_mtim;
	return true;
}

/* The one used last first. */
static int by_use(const void *a, const void *b)
{
	const struct timespec *left = &((const struct saved *)a)->used;
	const struct timespec *right = &((const struct saved *)b)->used;

	if (left->tv_sec != right->tv_sec)
		return left->tv_sec < right->tv_sec ? 1 : -1;
	return (left->tv_nsec < right->tv_nsec) - (left->tv_nsec > right->tv_nsec);
}

static void trim(int folder, struct dirent **names, int count, uint64_t max)
{
	_cleanup_free_ struct saved *saved = calloc((size_t)count + 1, sizeof(*saved));
	uint64_t bytes = 0;
	size_t found = 0;

	for (int i = 0; i < count && saved; i++)
		found += look_at(folder, names[i]->d_name, &saved[found]);
	if (!saved)
		return;
	qsort(saved, found, sizeof(*saved), by_use);
	for (size_t i = 0; i < found; i++) {
		bytes += saved[i].bytes;
		if (bytes > max)
			remove_at(folder, saved[i].name);
	}
}

void exec_cache_trim(const struct exec_cache *cache, uint64_t max)
{
	_cleanup_close_ int fd = open(cache->folder, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	struct dirent **names;
	int count = fd < 0 ? -1 : scandirat(fd, ".", &names, NULL, NULL);

	if (count < 0)
		return;
	trim(fd, names, count, max);
	for (int i = 0; i < count; i++)
		free(names[i]);
	free(names);
}
