/* SPDX-License-Identifier: Apache-2.0 */
#include "identity.h"

#include "backend/vhost_user_device.h"
#include "base/log.h"

#include <inttypes.h>
#include <string.h>

/* What the guest knows about its disk: it cannot become another one. */
struct identity {
	uint64_t sectors;
	uint32_t block; /* logical, bytes */
	char serial[VIRTIO_BLK_ID_BYTES];
};

static const struct state_field identity_fields[] = {
	STATE_NUMBER(struct identity, sectors),
	STATE_NUMBER(struct identity, block),
	STATE_BYTES(struct identity, serial),
	STATE_END,
};

static const struct state_table identity_table = {
	.name = "disk",
	.version = 1,
	.size = sizeof(struct identity),
	.fields = identity_fields,
};

const struct state_table *const virtio_blk_state_tables[] = {
	&identity_table, &vhost_user_device_table, NULL
};

int blk_identity(struct virtio_dev *dev, struct state *state, const struct image *image,
		 const char *serial)
{
	const uint64_t sectors = image->size / IMAGE_SECTOR;
	struct identity disk = { .sectors = sectors, .block = image->logical_block };
	int ret;

	if (image->copied && !state_loads(state)) {
		log_error("disk %s: a copy that is gone at the end is no part of a snapshot; leave "
			  "copy out in the run that is saved",
			  image->path);
		return -EOPNOTSUPP;
	}
	memcpy(disk.serial, serial, sizeof(disk.serial));
	ret = state_section(state, &identity_table, dev->name, &disk);
	if (ret)
		return ret;
	if (disk.sectors != sectors)
		return state_refuse(state, "%s has %" PRIu64 " sectors, the disk %" PRIu64,
				    image->path, sectors, disk.sectors);
	if (disk.block != image->logical_block)
		return state_refuse(state, "%s has blocks of %u bytes, the disk of %u",
				    image->path, image->logical_block, disk.block);
	if (memcmp(disk.serial, serial, sizeof(disk.serial)) != 0)
		return state_refuse(state, "%s: serial= is not that of the disk", image->path);
	return 0;
}
