/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packet queues of virtio-vsock run by /dev/vhost-vsock: what arrives there for the guest's CID
 * and what the guest sends goes through the host's AF_VSOCK sockets.
 */
#ifndef KINGLET_DEVICES_VHOST_VSOCK_H
#define KINGLET_DEVICES_VHOST_VSOCK_H

#include "backend/vhost.h"

/*
 * Opens /dev/vhost-vsock and takes `cid`, 3..2^32 - 2, until vhost_vsock_close(). Logs on failure;
 * -EADDRINUSE when another guest has that CID.
 */
__must_check int vhost_vsock_open(struct vhost **out, struct sys *sys, uint32_t cid);

/* Of the feature bits of virtio-vsock and the ring: those that the kernel offers. */
uint64_t vhost_vsock_features(const struct vhost *vhost);

/*
 * Binds queues `rx` and rx + 1 (transmit) of dev, which owns the vhost from then on, also on
 * failure.
 */
__must_check int vhost_vsock_bind(struct vhost *vhost, struct virtio_dev *dev, unsigned rx);

/* Of a vhost that was never bound. */
void vhost_vsock_close(struct vhost *vhost);

#endif
