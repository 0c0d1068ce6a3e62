/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The block device (virtio 1.2 §5.2), run in this process on a raw image.
 *
 *   serve (loop thread)           take chains ─▶ check ─▶ image_submit ─┐ one batch,
 *   image event (loop thread)     image_process: chains pushed ◀────────┘ one interrupt a queue
 *   quiesce (any thread)          the same, until nothing is in flight: image_drain at a reset,
 *                                 image_finish when the queues go on later
 *
 * All three hold the device's lock, and completing an I/O never needs it, so a reset on a vCPU
 * thread waits only for the disk (see host/image.h).
 *
 * All queues share one image and one engine: they are served by one thread under one lock, so one
 * io_uring each would only add wake-ups. Several queues help the guest: its CPUs do not contend for
 * one ring.
 */
#ifndef KINGLET_DEVICES_BLK_H
#define KINGLET_DEVICES_BLK_H

#include "devices/kind.h"
#include "host/image.h"

#include <linux/virtio_blk.h>
#include <stddef.h>

enum {
	VIRTIO_BLK_MAX_QUEUES = 16,
	VIRTIO_BLK_QUEUE_SIZE = 128,
	VIRTIO_BLK_PCI_CLASS = 0x018000, /* mass storage, other */
	/* Without the fields of features that are not offered (secure erase). */
	VIRTIO_BLK_CONFIG_LEN = offsetof(struct virtio_blk_config, unused1) +
				sizeof(((struct virtio_blk_config *)NULL)->unused1),
};

/* The same device run by a vhost-user daemon is backend/vhost_user_device.h. */
struct disk_config {
	struct image_options image; /* its path outlives the device; the device sets the depth */
	const char *serial;	    /* of at most 20 bytes, copied; NULL: none */
	unsigned queues;	    /* 1..VIRTIO_BLK_MAX_QUEUES */
	const char *vhost_user;	    /* socket of the daemon that has image and queues, or NULL */
	unsigned reconnect;	    /* to the daemon, in seconds */
};

extern const struct device_kind blk_kind;
extern const struct state_table *const virtio_blk_state_tables[];

/*
 * Opens the image and creates the device. All its queues are for the local backend, which the
 * caller binds; the transport owns it from virtio_pci_add() on. Not locked. Logs on failure.
 * -EINVAL, -ENOENT and -ENOTDIR: an option or the image is wrong (usage); everything else is a host
 * error.
 */
__must_check int virtio_blk_new(struct virtio_dev **out, const struct virtio_env *env,
				unsigned instance, const struct disk_config *config);

#endif
