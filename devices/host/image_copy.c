/* SPDX-License-Identifier: Apache-2.0 */
#include "host/image_copy.h"

#include "base/files.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

struct copy {
	int from, to;
	uint64_t size;
};

static int copy_range(void *owner, uint64_t at, uint64_t end)
{
	const struct copy *copy = owner;
	off_t in = (off_t)at, out = (off_t)at;

	if (end > copy->size)
		end = copy->size;
	while ((uint64_t)in < end) {
		ssize_t n = copy_file_range(copy->from, &in, copy->to, &out, end - (uint64_t)in, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
	}
	return 0;
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
	ret = file_for_data(fd, size, copy_range, &(struct copy){ fd, copy, size });
	return ret ? ret : steal_fd(&copy);
}
