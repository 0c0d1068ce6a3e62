/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot_folder.h"

#include "base/log.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static const char *const names[] = { "state", "memory" };

void snapshot_empty(int dir_fd)
{
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		unlinkat(dir_fd, names[i], 0);
}

static bool is_same(int fd, const char *path)
{
	struct stat ours, named;

	return !fstat(fd, &ours) && !lstat(path, &named) && ours.st_dev == named.st_dev &&
	       ours.st_ino == named.st_ino;
}

static bool is_ours(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, names[0]) ||
	       !strcmp(name, names[1]);
}

/* Whether a folder has files of a snapshot at most, so that nothing else is lost with it. */
static int check_entries(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int ret;

	if (!dir) {
		ret = -errno;
		close_fd(&fd);
		return ret;
	}
	do {
		errno = 0;
		entry = readdir(dir);
	} while (entry && is_ours(entry->d_name));
	ret = entry ? -EEXIST : -errno;
	closedir(dir);
	return ret;
}

/* DIR may be replaced: it is not there, or has nothing but a snapshot. */
static int check_target(const char *dir)
{
	_cleanup_close_ int fd = open(dir, O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	return check_entries(fd);
}

/* Folders are locked by the process that fills or empties them. */
static int lock(int dir_fd)
{
	return flock(dir_fd, LOCK_EX | LOCK_NB) ? -EBUSY : 0;
}

static int open_temp(struct snapshot_folder *folder)
{
	int ret;

	if (mkdir(folder->temp, 0700) && errno != EEXIST)
		return -errno;
	folder->fd = open(folder->temp, O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC);
	if (folder->fd < 0)
		return errno == ENOENT ? -EBUSY : -errno;
	ret = lock(folder->fd);
	/* Another process may have completed it, and so renamed it, since then. */
	if (!ret && !is_same(folder->fd, folder->temp))
		ret = -EBUSY;
	if (!ret)
		ret = check_entries(folder->fd);
	if (ret)
		close_fd(&folder->fd);
	else
		snapshot_empty(folder->fd);
	return ret;
}

static int open_file(const struct snapshot_folder *folder, const char *name)
{
	int fd = openat(folder->fd, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

static void close_all(struct snapshot_folder *folder)
{
	close_fd(&folder->state_fd);
	close_fd(&folder->memory_fd);
	close_fd(&folder->fd);
	free(folder->dir);
	free(folder->temp);
	folder->dir = folder->temp = NULL;
}

/* DIR, and beside it a name that is not a user's. */
static int set_names(struct snapshot_folder *folder, const char *dir)
{
	size_t len = strlen(dir);
	const char *name;

	while (len > 1 && dir[len - 1] == '/')
		len--;
	folder->dir = strndup(dir, len);
	if (!folder->dir)
		return -ENOMEM;
	name = strrchr(folder->dir, '/');
	name = name ? name + 1 : folder->dir;
	len = (size_t)(name - folder->dir);
	return asprintf(&folder->temp, "%.*s.%s.kinglet-new", (int)len, dir, name) < 0 ? -ENOMEM :
											 0;
}

/* To be freed; NULL: no memory. */
static char *parent_of(const struct snapshot_folder *folder)
{
	const char *slash = strrchr(folder->dir, '/');

	return slash ? strndup(folder->dir, (size_t)(slash - folder->dir) + 1) : strdup(".");
}

static int check_parent(const struct snapshot_folder *folder)
{
	_cleanup_free_ char *parent = parent_of(folder);

	if (!parent)
		return -ENOMEM;
	return faccessat(AT_FDCWD, parent, W_OK | X_OK, AT_EACCESS) ? -errno : 0;
}

static int begin(struct snapshot_folder *folder, const char *dir)
{
	int ret = set_names(folder, dir);

	if (!ret)
		ret = check_target(folder->dir);
	if (!ret)
		ret = open_temp(folder);
	if (ret)
		return ret;
	folder->state_fd = open_file(folder, names[0]);
	folder->memory_fd = open_file(folder, names[1]);
	if (folder->state_fd < 0)
		return folder->state_fd;
	return folder->memory_fd < 0 ? folder->memory_fd : 0;
}

static void fail(const struct snapshot_folder *folder, const char *dir, int ret)
{
	if (ret == -EEXIST || ret == -ENOTDIR || ret == -ELOOP)
		log_error("snapshot %s: it, or %s, is there, and is no folder with nothing but a "
			  "snapshot; name a new one",
			  dir, folder->temp);
	else if (ret == -EBUSY)
		log_error("snapshot %s: another process saves a machine there", dir);
	else
		log_error("snapshot %s: %s", dir, strerror(-ret));
}

int snapshot_check_target(const char *dir)
{
	struct snapshot_folder folder = { .fd = -1, .state_fd = -1, .memory_fd = -1 };
	int ret = set_names(&folder, dir);

	if (!ret)
		ret = check_target(folder.dir);
	if (!ret)
		ret = check_target(folder.temp);
	if (!ret)
		ret = check_parent(&folder);
	if (ret)
		fail(&folder, dir, ret);
	close_all(&folder);
	return ret;
}

int snapshot_folder_begin(struct snapshot_folder *folder, const char *dir)
{
	int ret;

	*folder = (struct snapshot_folder){ .fd = -1, .state_fd = -1, .memory_fd = -1 };
	ret = begin(folder, dir);
	if (!ret)
		return 0;
	fail(folder, dir, ret);
	snapshot_folder_abort(folder);
	return ret;
}

void snapshot_folder_abort(struct snapshot_folder *folder)
{
	if (folder->fd >= 0) {
		snapshot_empty(folder->fd);
		rmdir(folder->temp);
	}
	close_all(folder);
}

/* Makes a rename last. */
static void sync_parent(const struct snapshot_folder *folder)
{
	_cleanup_free_ char *parent = folder->unsynced ? NULL : parent_of(folder);
	_cleanup_close_ int fd = -1;

	if (parent)
		fd = open(parent, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		fsync(fd);
}

/* The old snapshot takes the new one's place, and is removed once that cannot be undone. */
static int exchange(const struct snapshot_folder *folder)
{
	_cleanup_close_ int old = open(folder->dir,
				       O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC);

	if (old < 0)
		return -errno;
	/* Or another process would take the old one for one that it can fill. */
	if (lock(old))
		return -EBUSY;
	if (renameat2(AT_FDCWD, folder->temp, AT_FDCWD, folder->dir, RENAME_EXCHANGE))
		return -errno;
	sync_parent(folder);
	snapshot_empty(old);
	rmdir(folder->temp);
	return 0;
}

static int publish(const struct snapshot_folder *folder)
{
	if (!folder->unsynced &&
	    (fsync(folder->memory_fd) || fsync(folder->state_fd) || fsync(folder->fd)))
		return -errno;
	if (rename(folder->temp, folder->dir))
		return errno == ENOTEMPTY || errno == EEXIST ? exchange(folder) : -errno;
	sync_parent(folder);
	return 0;
}

int snapshot_folder_commit(struct snapshot_folder *folder)
{
	int ret = publish(folder);

	if (ret) {
		log_error("snapshot %s: %s", folder->dir, strerror(-ret));
		snapshot_folder_abort(folder);
		return ret;
	}
	close_all(folder);
	return 0;
}
