/* SPDX-License-Identifier: Apache-2.0 */
/* Who has an image: its lock, and the claim of a block device. */
#include "host/image.h"

#include "host/image_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

/* -EBUSY when it is mounted, or claimed by another writer. */
static int claim(struct image *image)
{
	char self[32];

	if (!image->block_device || image->readonly)
		return 0;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", image->fd);
	image->claim_fd = open(self, O_RDONLY | O_EXCL | O_CLOEXEC);
	return image->claim_fd < 0 ? -errno : 0;
}

int image_take(struct image *image)
{
	int ret;

	if (image->taken)
		return 0;
	ret = image_file_lock("disk", image->path, image->fd, image->readonly);
	if (ret)
		return ret;
	ret = claim(image);
	if (ret) {
		image_file_unlock(image->fd);
		return ret;
	}
	image->taken = true;
	/* Another host may have written to shared storage what this one has cached. */
	if (image->was_away)
		(void)!posix_fadvise(image->fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

int image_let_go(struct image *image)
{
	int ret;

	/* A copy has no other user, and readers disturb no reader. */
	if (!image->taken || image->copied || image->readonly)
		return 0;
	ret = image_sync(image);
	close_fd(&image->claim_fd);
	image_file_unlock(image->fd);
	image->taken = false;
	image->was_away = true;
	return ret;
}
