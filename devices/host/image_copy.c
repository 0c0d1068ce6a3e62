/* SPDX-License-Identifier: Apache-2.0 */
#include "host/image_copy.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

static int copy_range(int to, int from, off_t at, off_t end)
{
	while (at < end) {
		off_t out = at;
		ssize_t n = copy_file_range(from, &at, to, &out, (size_t)(end - at), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
	}
	return 0;
}

static int copy_data(int to, int from, off_t size)
{
	off_t at = 0;
	int ret = 0;

	while (at < size && !ret) {
		off_t hole;

		at = lseek(from, at, SEEK_DATA);
		if (at < 0)
			return errno == ENXIO ? 0 : -errno;
		hole = lseek(from, at, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		ret = copy_range(to, from, at, hole < size ? hole : size);
		at = hole;
	}
	return ret;
}

int image_copy(int fd, uint64_t size)
{
	const char *folder = getenv("TMPDIR");
	_cleanup_close_ int copy = open(folder && *folder ? folder : "/var/tmp",
					O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int ret;

	if (copy < 0)
		return -errno;
	if (!ioctl(copy, FICLONE, fd))
		return steal_fd(&copy);
	if (ftruncate(copy, (off_t)size))
		return -errno;
	ret = copy_data(copy, fd, (off_t)size);
	return ret ? ret : steal_fd(&copy);
}
