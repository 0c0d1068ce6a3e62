/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of vhost*.c. Locked, unless it says otherwise. */
#ifndef KINGLET_BACKEND_VHOST_INTERNAL_H
#define KINGLET_BACKEND_VHOST_INTERNAL_H

#include "backend/vhost.h"

#include <linux/vhost.h>
#include <stddef.h>

/*
 * What a driver may be offered of another's device: its own bits, and of the others (virtio 1.2 §6)
 * those that split rings have.
 */
static const uint64_t VHOST_PASSED_FEATURES =
	0xfffc000000ffffff | VIRTQ_FEATURES | 1ULL << VIRTIO_F_VERSION_1;

/* struct vhost_memory with room for its flexible array; what follows the kernel does not read. */
struct vhost_table {
	struct {
		uint32_t nregions, padding;
	} memory;
	struct vhost_memory_region regions[GMEM_MAX_SLOTS];
	struct {
		int fd; /* borrowed; -1: private RAM */
		uint64_t offset;
	} files[GMEM_MAX_SLOTS]; /* that the regions are in */
};
_Static_assert(offsetof(struct vhost_table, regions) == offsetof(struct vhost_memory, regions),
	       "the regions follow the header");

/* The argument of VHOST_SET_LOG_BASE, of which the kernel reads the address. */
struct vhost_log_base {
	uint64_t address;
	uint64_t len; /* bytes */
	int fd;	      /* borrowed */
};

/* The device's lock, for a change of memory or log. */
static inline void vhost_lock(struct vhost *vhost)
{
	pthread_mutex_lock(&vhost->dev->lock);
	if (vhost->kind->vhost.changes)
		vhost->kind->vhost.changes(vhost);
}

/*
 * Tells the kernel the acked features, and whether to log what it writes to buffers, and where. At
 * a start before anything else; while rings run only for the log.
 */
__must_check int vhost_set_features(struct vhost *vhost);

/*
 * Tells the kernel where ring `index` is, and whether to log what it writes to the used ring. While
 * the ring runs only for the log: the addresses are the same then.
 */
__must_check int vhost_set_addresses(struct vhost *vhost, unsigned index);

/*
 * Makes a log that is in use end with the table's highest region; what it has noted stays. Before
 * the kernel gets a table that has grown, or after it got one that has shrunk. -ENOMEM, logged, or
 * errors of VHOST_SET_LOG_BASE, and then the log is as before.
 */
__must_check int vhost_log_fit(struct vhost *vhost);

/* Frees it, on or off. Idempotent. */
void vhost_log_free(struct vhost_log *log);

/* Ring `index`'s indices as the guest's memory has them. Errors of virtq_map(). */
__must_check int vhost_read_indices(const struct vhost *vhost, unsigned index, uint16_t *avail,
				    uint16_t *used);

/* --- vhost_relay.c: while vhost->relays --- */

/* Makes what a relay needs; idempotent. -ENOMEM. */
__must_check int vhost_relay_init(struct vhost_ring *ring);
/* With the fd closed, and after the loop has ended. */
void vhost_relay_destroy(struct vhost_ring *ring);
/* What the kernel is told in place of the queue's own. */
int vhost_relay_kick_fd(const struct vhost_ring *ring);
int vhost_relay_call_fd(const struct vhost_ring *ring);
void vhost_relay_map(const struct vhost_ring *ring, struct virtq_rings *rings);
/* Before the kernel's ring is started: the queue runs here. Errors of virtq_start(), epoll_ctl(2). */
__must_check int vhost_relay_start(struct vhost_ring *ring);
/*
 * The kernel's ring has stopped, with `base` as its next available index: the guest gets what is
 * done, and its queue stops; what the kernel has not taken stays available.
 */
void vhost_relay_stop(struct vhost_ring *ring, uint16_t base);

/* gmem_listener.log and .take of vhost->listener. Not locked. */
__must_check int vhost_log(struct gmem_listener *listener, bool on);
void vhost_log_take(struct gmem_listener *listener, const struct gmem_slot *slot,
		    uint64_t *words);

#endif
