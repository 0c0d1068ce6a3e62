/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues run by a vDPA device: hardware that walks virtio's rings by itself, or what the kernel has
 * in its place. vhost-vdpa is its node: vhost's requests, some that only it knows, and guest RAM by
 * messages of an IOTLB, which are written to the node (linux/vhost.h).
 *
 *   open      SET_OWNER → SET_BACKEND_FEATURES → GET_FEATURES, DEVICE_ID, VQS_COUNT, VRING_NUM,
 *             CONFIG_SIZE, IOVA_RANGE → GET_CONFIG
 *   bind      SET_CONFIG_CALL → guest RAM is mapped and unmapped: what is refused is said now
 *   start     status 0, ACKNOWLEDGE, DRIVER → SET_FEATURES → FEATURES_OK, read back → IOTLB → per ring
 *             NUM, BASE, ADDR, ERR, CALL, KICK → SET_VRING_ENABLE → DRIVER_OK
 *   stop      SUSPEND → per ring GET_VRING_BASE → status 0; without SUSPEND, only status 0. Then RAM
 *             is unmapped: devices differ in what a reset does to their maps
 *
 * The device uses guest-physical addresses, and RAM that it may write to is pinned: gmem_pin(). A
 * device of another process (VDUSE) needs shared RAM.
 *
 * Locking as in backend/vhost.h.
 */
#ifndef KINGLET_BACKEND_VHOST_VDPA_H
#define KINGLET_BACKEND_VHOST_VDPA_H

#include "backend/vhost.h"

enum { VHOST_VDPA_CONFIG_MAX = 256 };

/* What the device is, as it says when it is opened. */
struct vhost_vdpa_info {
	uint32_t id;	     /* VIRTIO_ID_* */
	uint32_t queues;
	uint16_t queue_size; /* entries of the largest queue, a power of two */
	uint32_t config_len; /* bytes of configuration space, at most VHOST_VDPA_CONFIG_MAX */
};

/*
 * Opens a vhost-vdpa node, `path`, which outlives it. Machine's thread. Logs on failure; -ENOENT:
 * there is none; -EBUSY: another process has it; -EOPNOTSUPP: it lacks VERSION_1 or the messages
 * that are needed; others of open(2) and the ioctls.
 */
__must_check int vhost_vdpa_open(struct vhost **out, struct sys *sys, const char *path);

/* Of one that is not bound. */
void vhost_vdpa_close(struct vhost *vhost);

const struct vhost_vdpa_info *vhost_vdpa_info(const struct vhost *vhost);

/* The configuration space as last got, config_len bytes: borrowed. */
const uint8_t *vhost_vdpa_config(const struct vhost *vhost);

/* A driver's write to it, inside config_len, which may change more of it than was written. */
void vhost_vdpa_write_config(struct vhost *vhost, unsigned off, const void *buf, unsigned len);

/*
 * vhost_bind() of queues [0, count). Logs on failure; -ERANGE: the device does not reach all of guest
 * RAM; -EFAULT: the kernel does not map it, perhaps for the limit of pinned memory.
 */
__must_check int vhost_vdpa_bind(struct vhost *vhost, struct virtio_dev *dev, unsigned count);

#endif
