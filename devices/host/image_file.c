/* SPDX-License-Identifier: Apache-2.0 */
#include "host/image_file.h"

#include "base/log.h"
#include "host/image.h"
#include "host/image_format.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int fail(const char *what, const char *path, const char *step)
{
	int error = errno;

	log_error("%s %s: %s: %s", what, path, step, strerror(error));
	return -error;
}

static int refuse(const char *what, const char *path, const char *reason)
{
	log_error("%s %s: %s", what, path, reason);
	return -EINVAL;
}

static int check_kind(const char *what, const char *path, const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		return refuse(what, path, "is a directory, not an image");
	if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
		return refuse(what, path, "is neither a file nor a block device");
	return 0;
}

static int check_size(const char *what, const char *path, const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return 0;
	if (!st->st_size)
		return refuse(what, path, "is empty");
	if (!(st->st_size % IMAGE_SECTOR))
		return 0;
	log_error("%s %s: size: %lld bytes are not a multiple of %d (truncate -s %%%d FILE extends "
		  "it)",
		  what, path, (long long)st->st_size, IMAGE_SECTOR, IMAGE_SECTOR);
	return -EINVAL;
}

int image_file_open(const char *what, const struct image_options *options, struct stat *st)
{
	bool readonly = options->readonly || options->copy;
	_cleanup_close_ int fd = -1;
	const char *path = options->path;
	int ret;

	/* Before open(2), which may wait (a FIFO) or act (a tape). */
	if (stat(path, st))
		return fail(what, path, "open");
	ret = check_kind(what, path, st);
	if (ret)
		return ret;
	fd = open(path, O_CLOEXEC | (readonly ? O_RDONLY : O_RDWR));
	if (fd < 0)
		return fail(what, path, readonly ? "open" : "open for writing");
	if (fstat(fd, st))
		return fail(what, path, "fstat");
	ret = check_kind(what, path, st);
	if (!ret && !options->raw)
		ret = image_refuse_foreign(what, path, fd);
	if (!ret)
		ret = check_size(what, path, st);
	return ret ? ret : steal_fd(&fd);
}

int image_file_lock(const char *what, const char *path, int fd, bool readonly)
{
	struct flock lock = { .l_type = readonly ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (!fcntl(fd, F_OFD_SETLK, &lock))
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return -EBUSY;
	/* Some network and FUSE file systems have none; the image can still be used. */
	log_warning("%s %s: lock: %s; nothing keeps others from writing to it", what, path,
		    strerror(errno));
	return 0;
}

void image_file_unlock(int fd)
{
	struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	/* Fails where there are no locks. */
	(void)!fcntl(fd, F_OFD_SETLK, &lock);
}
