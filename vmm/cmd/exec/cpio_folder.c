/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cpio.h"

#include "base/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* A deeper folder is a loop of bind mounts, or malicious. */
enum { MAX_DEPTH = 64 };

struct walk {
	struct cpio *cpio;
	dev_t dev;
	void *links; /* tsearch(3): files with several links */
	char host[PATH_MAX], guest[PATH_MAX]; /* where it is */
};

/* A file with several links. */
struct link {
	ino_t host;
	uint32_t ino; /* in the archive; 0: not yet */
};

static int by_host(const void *a, const void *b)
{
	const struct link *left = a, *right = b;

	return (left->host > right->host) - (left->host < right->host);
}

/* Its entry. NULL: out of memory. */
static struct link *link_of(struct walk *walk, ino_t host)
{
	struct link *link = calloc(1, sizeof(*link)), **slot;

	if (!link)
		return NULL;
	link->host = host;
	slot = tsearch(link, &walk->links, by_host);
	if (!slot || *slot != link)
		free(link);
	return slot ? *slot : NULL;
}

static int refuse(const struct walk *walk, int err)
{
	if (err == -EFBIG)
		log_error("%s: does not fit: the image may have %llu MiB", walk->host,
			  (unsigned long long)walk->cpio->max >> 20);
	else
		log_error("%s: %s", walk->host, strerror(-err));
	return err;
}

static void describe(const struct walk *walk, const struct stat *st, struct cpio_entry *entry)
{
	*entry = (struct cpio_entry){
		.path = walk->guest,
		.mode = st->st_mode,
		.uid = st->st_uid == geteuid() ? 0 : st->st_uid,
		.gid = st->st_gid == getegid() ? 0 : st->st_gid,
		.mtime = (uint32_t)st->st_mtime,
		.fd = -1,
	};
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		entry->major = major(st->st_rdev);
		entry->minor = minor(st->st_rdev);
	}
}

static int add_link(struct walk *walk, int parent, const char *name,
		    const struct cpio_entry *described)
{
	struct cpio_entry entry = *described;
	char target[PATH_MAX];
	ssize_t len = readlinkat(parent, name, target, sizeof(target));

	if (len < 0)
		return -errno;
	entry.data = target;
	entry.len = (uint64_t)len;
	return cpio_add(walk->cpio, &entry);
}

static int add_file(struct walk *walk, int parent, const char *name, const struct stat *st,
		    const struct cpio_entry *described)
{
	struct link alone = { 0 }, *link = &alone;
	struct cpio_entry entry = *described;
	_cleanup_close_ int fd = -1;

	if (st->st_nlink > 1)
		link = link_of(walk, st->st_ino);
	if (!link)
		return -ENOMEM;
	/* The first link has the content. */
	if (!link->ino) {
		fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			return -errno;
		entry.fd = fd;
		entry.len = (uint64_t)st->st_size;
	}
	return cpio_add_inode(walk->cpio, &entry, &link->ino, (uint32_t)st->st_nlink);
}

static int add_below(struct walk *walk, int fd, unsigned depth);

static int add_subfolder(struct walk *walk, int parent, const char *name, const struct stat *st,
			 unsigned depth)
{
	int fd;

	/* A mount point, such as /proc. The guest gets the empty folder, for its own mounts. */
	if (st->st_dev != walk->dev)
		return 0;
	if (depth == MAX_DEPTH)
		return refuse(walk, -ELOOP);
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? refuse(walk, -errno) : add_below(walk, fd, depth + 1);
}

/* One name of the folder `parent`; walk->host and walk->guest name it. */
static int add_name(struct walk *walk, int parent, const char *name, unsigned depth)
{
	struct cpio_entry entry;
	struct stat st;
	int ret;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW))
		return refuse(walk, -errno);
	describe(walk, &st, &entry);
	if (S_ISREG(st.st_mode))
		ret = add_file(walk, parent, name, &st, &entry);
	else if (S_ISLNK(st.st_mode))
		ret = add_link(walk, parent, name, &entry);
	else if (S_ISSOCK(st.st_mode))
		ret = 0; /* a socket of a host process */
	else
		ret = cpio_add(walk->cpio, &entry);
	if (ret)
		return refuse(walk, ret);
	return S_ISDIR(st.st_mode) ? add_subfolder(walk, parent, name, &st, depth) : 0;
}

static bool extend(char path[PATH_MAX], size_t len, const char *name)
{
	return (size_t)snprintf(path + len, PATH_MAX - len, "/%s", name) < PATH_MAX - len;
}

static int is_real(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

/* Takes fd over. */
static int add_below(struct walk *walk, int fd, unsigned depth)
{
	_cleanup_close_ int folder = fd;
	size_t host_len = strlen(walk->host), guest_len = strlen(walk->guest);
	struct dirent **names;
	int count = scandirat(folder, ".", &names, is_real, alphasort);
	int ret = 0;

	if (count < 0)
		return refuse(walk, -errno);
	for (int i = 0; i < count; i++) {
		const char *name = names[i]->d_name;

		if (!ret && (!extend(walk->host, host_len, name) ||
			     !extend(walk->guest, guest_len, name)))
			ret = refuse(walk, -ENAMETOOLONG);
		if (!ret)
			ret = add_name(walk, folder, name, depth);
		walk->host[host_len] = '\0';
		walk->guest[guest_len] = '\0';
		free(names[i]);
	}
	free(names);
	return ret;
}

/* A path without trailing slashes, so that names can be appended. */
static bool start(char to[PATH_MAX], const char *path)
{
	size_t len = strlen(path);

	while (len && path[len - 1] == '/')
		len--;
	return (size_t)snprintf(to, PATH_MAX, "%.*s", (int)len, path) < PATH_MAX;
}

int cpio_add_folder(struct cpio *cpio, const char *folder, const char *path)
{
	struct walk walk = { .cpio = cpio };
	_cleanup_close_ int fd = -1;
	struct cpio_entry entry;
	struct stat st;
	int ret;

	if (!start(walk.host, folder) || !start(walk.guest, path)) {
		log_error("%.80s: %s", folder, strerror(ENAMETOOLONG));
		return -ENAMETOOLONG;
	}
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return refuse(&walk, -errno);
	walk.dev = st.st_dev;
	if (*walk.guest) {
		describe(&walk, &st, &entry);
		ret = cpio_add(cpio, &entry);
		if (ret) {
			log_error("%.80s in the guest: %s", path, strerror(-ret));
			return ret;
		}
	}
	ret = add_below(&walk, steal_fd(&fd), 0);
	tdestroy(walk.links, free);
	return ret;
}
