/* SPDX-License-Identifier: Apache-2.0 */
#include "host/image.h"

#include "base/log.h"

#include <string.h>

int image_sync(struct image *image)
{
	if (image->readonly)
		return 0;
	if (!image->flush_error && fdatasync(image->fd))
		image->flush_error = -errno;
	if (image->flush_error)
		log_error("disk %s: sync: %s", image->path, strerror(-image->flush_error));
	return image->flush_error;
}
