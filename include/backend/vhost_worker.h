/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads of the kernel that run a vhost's rings. Each vhost has one from VHOST_SET_OWNER on, and
 * vhost-scsi can have more since Linux 6.5. vhost-net cannot: there each pair of queues has a vhost
 * of its own.
 */
#ifndef KINGLET_BACKEND_VHOST_WORKER_H
#define KINGLET_BACKEND_VHOST_WORKER_H

#include "backend/vhost.h"

#include <linux/vhost.h>

/*
 * As linux/vhost.h has them since 6.5. A struct vhost_worker_state is a worker's number, a struct
 * vhost_vring_worker is that of a ring and that of its worker.
 */
#undef VHOST_NEW_WORKER
#define VHOST_NEW_WORKER _IOR(VHOST_VIRTIO, 0x8, unsigned)
#undef VHOST_FREE_WORKER
#define VHOST_FREE_WORKER _IOW(VHOST_VIRTIO, 0x9, unsigned)
#undef VHOST_ATTACH_VRING_WORKER
#define VHOST_ATTACH_VRING_WORKER _IOW(VHOST_VIRTIO, 0x15, struct vhost_vring_state)

/*
 * Spreads rings [first, end) over `workers` threads, of which the first is the one that all others
 * keep. They stay until the vhost is closed. Machine's thread, of one that is bound and was never
 * started. A kernel that gives fewer is a warning: then fewer threads run the rings.
 */
void vhost_spread(struct vhost *vhost, unsigned first, unsigned end, unsigned workers);

#endif
