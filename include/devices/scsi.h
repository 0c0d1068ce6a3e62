/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SCSI host device (virtio 1.2 §5.6): a control queue, an event queue and request queues. There
 * is no SCSI target in this process: the caller binds all queues to a backend that has one
 * (vhost-scsi), before the device goes onto a bus.
 */
#ifndef KINGLET_DEVICES_SCSI_H
#define KINGLET_DEVICES_SCSI_H

#include "devices/kind.h"
#include "host/image.h"

/* The highest target number that a request can name. */
enum { VIRTIO_SCSI_MAX_TARGET = 255 };

/* An existing target of vhost-scsi, by its wwpn; or an image, for which one is created. */
struct scsi_config {
	struct image_options image; /* its path NULL with a wwpn */
	const char *wwpn;	    /* NULL with a path */
	unsigned queues;	    /* 1..16 */
	unsigned workers;	    /* 1..queues */
};

extern const struct device_kind scsi_kind;
extern const struct state_table *const virtio_scsi_state_tables[];

struct scsi_target;

struct virtio_scsi_options {
	uint64_t features;	 /* supported by the backend */
	unsigned request_queues; /* 1 at least */
	/*
	 * Drivers scan targets 0 to this one, each with a slow command. 0: one target, number 0.
	 */
	unsigned max_target;
	struct scsi_target *target; /* created for it; taken over, also on failure; or NULL */
};

/*
 * Creates device number `instance`. The transport owns it from virtio_pci_add() on. Logs on
 * failure. Machine's thread.
 */
__must_check int virtio_scsi_new(struct virtio_dev **out, const struct virtio_env *env,
				 unsigned instance, const struct virtio_scsi_options *options);

#endif
