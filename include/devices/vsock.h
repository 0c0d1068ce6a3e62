/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-vsock (virtio 1.2 §5.10): stream and packet sockets between host and guest, addressed by
 * context IDs (CIDs); the host's is 2.
 *
 * The kernel handles the packets of VSOCK_QUEUE_RX and VSOCK_QUEUE_TX: the caller binds both to
 * vhost. VSOCK_QUEUE_EVENT is for the local backend.
 */
#ifndef KINGLET_DEVICES_VSOCK_H
#define KINGLET_DEVICES_VSOCK_H

#include "devices/kind.h"

struct vsock_config {
	uint32_t cid; /* the guest's, 3..2^32 - 2 */
};

extern const struct device_kind vsock_kind;
extern const struct state_table *const virtio_vsock_state_tables[];

enum { VSOCK_QUEUE_RX, VSOCK_QUEUE_TX, VSOCK_QUEUE_EVENT, VSOCK_QUEUES };

/*
 * For virtio_pci_add(). `cid` is the guest's, 3..2^32 - 2; `features` are those of the backend of
 * the packet queues. Logs on failure. Machine's thread.
 */
__must_check int virtio_vsock_new(struct virtio_dev **out, const struct virtio_env *env,
				  unsigned instance, uint32_t cid, uint64_t features);

#endif
