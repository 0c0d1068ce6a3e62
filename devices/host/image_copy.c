/* SPDX-License-Identifier: Apache-2.0 */
#include "host/image_copy.h"

#include "base/files.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>

struct copy {
	int from, to;
	uint64_t size;
};

/* sendfile(2), since copy_file_range(2) refuses block devices, and a copy to another file system. */
static int copy_range(void *owner, uint64_t at, uint64_t end)
{
	const struct copy *copy = owner;
	off_t in = (off_t)at;

	if (end > copy->size)
		end = copy->size;
	if (lseek(copy->to, in, SEEK_SET) < 0)
		return -errno;
	while ((uint64_t)in < end) {
		ssize_t n = sendfile(copy->to, copy->from, &in, end - (uint64_t)in);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
	}
	return 0;
}

static int open_nameless(const char *folder)
{
	char name[PATH_MAX];
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	/* 9p, and overlays before Linux 6.3. */
	if (fd >= 0 || errno != EOPNOTSUPP)
		return fd;
	if ((size_t)snprintf(name, sizeof(name), "%s/kinglet-XXXXXX", folder) >= sizeof(name)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0)
		unlink(name);
	return fd;
}

int image_copy(int fd, uint64_t size)
{
	const char *folder = getenv("TMPDIR");
	_cleanup_close_ int copy = open_nameless(folder && *folder ? folder : "/var/tmp");
	int ret;

	if (copy < 0)
		return -errno;
	if (!ioctl(copy, FICLONE, fd))
		return steal_fd(&copy);
	if (ftruncate(copy, (off_t)size))
		return -errno;
	ret = file_for_data(fd, size, copy_range, &(struct copy){ fd, copy, size });
	return ret ? ret : steal_fd(&copy);
}
