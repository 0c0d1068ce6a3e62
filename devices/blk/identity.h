/* SPDX-License-Identifier: Apache-2.0 */
/* Private to devices/blk. */
#ifndef KINGLET_BLK_IDENTITY_H
#define KINGLET_BLK_IDENTITY_H

#include "devices/blk.h"

#include <linux/virtio_blk.h>

/*
 * virtio_model.state: saves what the guest knows about its disk, or checks that this is such a disk.
 * `serial` has VIRTIO_BLK_ID_BYTES.
 */
__must_check int blk_identity(struct virtio_dev *dev, struct state *state, const struct image *image,
			      const char *serial);

#endif
