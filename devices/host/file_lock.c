/* SPDX-License-Identifier: Apache-2.0 */
#include "host/file_lock.h"

#include <fcntl.h>

int file_lock(int fd, bool readonly)
{
	struct flock lock = {
		.l_type = readonly ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};

	if (!fcntl(fd, F_OFD_SETLK, &lock))
		return 0;
	return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

void file_unlock(int fd)
{
	struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	/* Fails where there are no locks. */
	(void)!fcntl(fd, F_OFD_SETLK, &lock);
}
