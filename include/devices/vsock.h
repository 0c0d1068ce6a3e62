/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-vsock (virtio 1.2 §5.10): stream and packet sockets between host and guest, which have
 * context ids (CIDs) for addresses; the host's is 2.
 *
 * The packets of VSOCK_QUEUE_RX and VSOCK_QUEUE_TX are the kernel's matter: the caller binds both
 * to vhost. VSOCK_QUEUE_EVENT is for the local backend.
 */
#ifndef KINGLET_DEVICES_VSOCK_H
#define KINGLET_DEVICES_VSOCK_H

#include "devices/kind.h"

struct vsock_config {
	uint32_t cid; /* the guest's, 3..2^32 - 2 */
};

extern const struct device_kind vsock_kind;

enum { VSOCK_QUEUE_RX, VSOCK_QUEUE_TX, VSOCK_QUEUE_EVENT, VSOCK_QUEUES };

/*
 * For virtio_pci_add(). `cid` is the guest's, 3..2^32 - 2; `features` are what runs the packet
 * queues can do. Logs on failure. Machine's thread.
 */
__must_check int virtio_vsock_new(struct virtio_dev **out, const struct virtio_env *env,
				  unsigned instance, uint32_t cid, uint64_t features);

#endif
