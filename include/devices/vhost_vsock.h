/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packet queues of virtio-vsock run by /dev/vhost-vsock: they connect the guest, by its CID, to
 * the host's AF_VSOCK sockets.
 */
#ifndef KINGLET_DEVICES_VHOST_VSOCK_H
#define KINGLET_DEVICES_VHOST_VSOCK_H

#include "backend/vhost.h"

/*
 * Opens /dev/vhost-vsock and takes `cid`, 3..2^32 - 2, until vhost_free(). Logs on failure;
 * -EADDRINUSE when another guest has that CID.
 */
__must_check int vhost_vsock_open(struct vhost **out, struct sys *sys, uint32_t cid);

#endif
