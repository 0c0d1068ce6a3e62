/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pair of network queues run by /dev/vhost-net on one tap queue.
 */
#ifndef KINGLET_DEVICES_VHOST_NET_H
#define KINGLET_DEVICES_VHOST_NET_H

#include "backend/vhost.h"

/*
 * Opens /dev/vhost-net, or takes over an inherited `fd` of it if >= 0 (also on failure). Logs on
 * failure, with the errors of vhost_open().
 */
__must_check int vhost_net_open(struct vhost **out, struct sys *sys, int fd, bool optional);

/*
 * The feature bits of virtio-net and the ring that may be offered when this vhost runs the queues.
 * vhost implements the ring's bits and MRG_RXBUF; all others concern the tap and the VMM, so they
 * pass.
 */
uint64_t vhost_net_features(const struct vhost *vhost);

/*
 * When a ring is empty, the kernel's worker looks for work in this pair's rings and its tap for
 * `us` microseconds, and only then sleeps and asks for kicks (VHOST_SET_VRING_BUSYLOOP_TIMEOUT). 0,
 * as it is at first: at once. From the next start on.
 */
void vhost_net_poll(struct vhost *vhost, unsigned us);

/*
 * Binds receive queue `rx` and transmit queue rx + 1 of dev. `tap_fd` is borrowed and must outlive
 * the device's queues. The device owns the vhost from then on, also on failure.
 */
__must_check int vhost_net_bind(struct vhost *vhost, struct virtio_dev *dev, unsigned rx,
				int tap_fd);

#endif
