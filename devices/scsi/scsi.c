/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include "devices/vhost_scsi.h"

#include "base/le.h"
#include "base/log.h"

#include <inttypes.h>
#include <linux/virtio_scsi.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

enum {
	QUEUE_SIZE = 128,
	OTHER_QUEUES = 2, /* §5.6.2: control and event; the request queues follow */
	/*
	 * With one descriptor for the request and one for the response, such a chain fills the
	 * ring.
	 */
	SEG_MAX = QUEUE_SIZE - 2,
	/*
	 * vhost-scsi pins at most 2048 pages for a command. Each segment may begin and end inside a
	 * page, so this size always fits.
	 */
	MAX_PINNED_PAGES = 2048,
	MAX_SECTORS = (MAX_PINNED_PAGES - 2 * SEG_MAX) * (4096 / 512),
	MAX_LUN = 16383, /* §5.6.4: the highest number, not their count */
};

struct scsi {
	struct virtio_dev dev;
	unsigned request_queues, max_target;
	struct scsi_target *target; /* owned; or NULL */
};

static struct scsi *scsi_of(struct virtio_dev *dev)
{
	return container_of(dev, struct scsi, dev);
}

struct config {
	struct le32 num_queues, seg_max, max_sectors, cmd_per_lun;
	struct le32 event_info_size, sense_size, cdb_size;
	struct le16 max_channel, max_target;
	struct le32 max_lun;
};
_Static_assert(sizeof(struct config) == sizeof(struct virtio_scsi_config), "virtio 1.2 §5.6.4");
_Static_assert(offsetof(struct config, max_lun) == offsetof(struct virtio_scsi_config, max_lun),
	       "virtio 1.2 §5.6.4");

static struct config config_of(struct virtio_dev *dev)
{
	const struct scsi *scsi = scsi_of(dev);

	return (struct config){
		.num_queues = le32_of(scsi->request_queues),
		.seg_max = le32_of(SEG_MAX),
		.max_sectors = le32_of(MAX_SECTORS),
		.cmd_per_lun = le32_of(QUEUE_SIZE),
		.event_info_size = le32_of(sizeof(struct virtio_scsi_event)),
		.sense_size = le32_of(VIRTIO_SCSI_SENSE_DEFAULT_SIZE),
		.cdb_size = le32_of(VIRTIO_SCSI_CDB_DEFAULT_SIZE),
		.max_target = le16_of((uint16_t)scsi->max_target),
		.max_lun = le32_of(MAX_LUN),
	};
}

static void scsi_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	struct config config = config_of(dev);

	memcpy(buf, (uint8_t *)&config + off, len);
}

/*
 * §5.6.4: a driver may set sense_size and cdb_size, and with them the layout of every request. The
 * kernel's vhost-scsi supports only the default layout, so a driver that sets another one must not
 * run: it would take sense data for data.
 */
static void scsi_config_write(struct virtio_dev *dev, unsigned off, const void *buf, unsigned len)
{
	const struct config before = config_of(dev);
	struct config after = before;

	memcpy((uint8_t *)&after + off, buf, len);
	if (le32_get(after.sense_size) != le32_get(before.sense_size) ||
	    le32_get(after.cdb_size) != le32_get(before.cdb_size))
		virtio_broken(dev, "sense_size and cdb_size cannot be changed");
}

/* What the guest knows about its disks: a driver sets nothing. */
struct identity {
	uint64_t sectors; /* of an image; 0: another one owns the target */
	uint32_t max_target;
};

static const struct state_field identity_fields[] = {
	STATE_NUMBER(struct identity, sectors),
	STATE_NUMBER(struct identity, max_target),
	STATE_END,
};

static const struct state_table identity_table = {
	.name = "scsi",
	.version = 1,
	.size = sizeof(struct identity),
	.fields = identity_fields,
};

const struct state_table *const virtio_scsi_state_tables[] = { &identity_table, NULL };

static int scsi_state(struct virtio_dev *dev, struct state *state)
{
	const struct scsi *scsi = scsi_of(dev);
	const off_t size = scsi->target ? lseek(scsi->target->made.fd, 0, SEEK_END) : 0;
	const struct identity here = { (uint64_t)size / IMAGE_SECTOR, scsi->max_target };
	struct identity saved = here;
	int ret = state_section(state, &identity_table, dev->name, &saved);

	if (!ret && saved.max_target != here.max_target)
		ret = state_refuse(state, "max_target is %u, that of this machine %u: path= and "
				   "wwpn= cannot stand for each other", saved.max_target,
				   here.max_target);
	if (!ret && saved.sectors != here.sectors)
		ret = state_refuse(state, "the disk has %" PRIu64 " sectors, the image %" PRIu64,
				   saved.sectors, here.sectors);
	return ret;
}

/* A target that another one owns is that one's affair. */
static int scsi_sync(struct virtio_dev *dev)
{
	const struct scsi *scsi = scsi_of(dev);
	int ret = scsi->target && fdatasync(scsi->target->made.fd) ? -errno : 0;

	if (ret)
		log_error("%s: sync of its image: %s", dev->name, strerror(-ret));
	return ret;
}

/* A target of another owner is free when the device stands still. */
static int scsi_own(struct virtio_dev *dev, bool here)
{
	const struct scsi *scsi = scsi_of(dev);

	if (scsi->target)
		return here ? scsi_target_take(scsi->target) : scsi_target_let_go(scsi->target);
	return here ? vhost_scsi_probe(container_of(dev->queues[0].backend, struct vhost, backend)) :
		      0;
}

static void scsi_destroy(struct virtio_dev *dev)
{
	/* The kernel releases the target first. */
	virtio_dev_destroy(dev);
	scsi_target_destroy(scsi_of(dev)->target);
	free(scsi_of(dev));
}

static const struct virtio_model scsi_model = {
	.name = "virtio-scsi",
	.id = VIRTIO_ID_SCSI,
	.pci_class = 0x010000,
	.config_read = scsi_config_read,
	.config_write = scsi_config_write,
	.state = scsi_state,
	.sync = scsi_sync,
	.own = scsi_own,
	.destroy = scsi_destroy,
};

int virtio_scsi_new(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		    const struct virtio_scsi_options *options)
{
	_cleanup_free_ struct scsi *scsi = calloc(1, sizeof(*scsi));
	int ret = -ENOMEM;

	if (scsi) {
		scsi->request_queues = options->request_queues;
		scsi->max_target = options->max_target;
		scsi->target = options->target;
		ret = virtio_dev_init(&scsi->dev, &scsi_model, env, instance, options->features,
				      sizeof(struct config), OTHER_QUEUES + scsi->request_queues,
				      QUEUE_SIZE);
	}
	if (ret) {
		log_error("virtio-scsi %u: %s", instance, strerror(-ret));
		scsi_target_destroy(options->target);
		return ret;
	}
	*out = &steal_ptr(scsi)->dev;
	return 0;
}
