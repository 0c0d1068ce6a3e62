/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The split virtqueue (virtio 1.2 §2.7), device side, for queues that run in this process.
 *
 * The ring is in guest RAM and the guest is hostile: every index, address and length is copied
 * once, and the copy is checked. A broken ring is an error (-EPROTO, -EFAULT, …), for which the
 * caller marks the device NEEDS_RESET (virtio_broken()); it never harms Kinglet.
 *
 * A queue is used under the device's lock.
 */
#ifndef KINGLET_VIRTIO_QUEUE_H
#define KINGLET_VIRTIO_QUEUE_H

#include "core/irq.h"
#include "core/memory.h"

#include <linux/virtio_ring.h>

enum { VIRTQ_MAX_SIZE = 1024, VIRTQ_MAX_IOV = 1024 + 8 };
enum { VIRTQ_NO_VECTOR = 0xffff }; /* virtio 1.2 §4.1.5.1.2: the queue raises no interrupt */

/* The ring features of §6 that queue.c serves: every model on the local backend may offer them. */
enum { VIRTQ_FEATURES = 1 << VIRTIO_RING_F_INDIRECT_DESC | 1 << VIRTIO_RING_F_EVENT_IDX };

/* Saved and loaded unchanged; untrusted until virtq_start() has checked it. */
struct virtq_state {
	uint16_t size; /* entries, a power of two, at most max_size */
	uint16_t vector;
	uint16_t enabled;
	uint16_t last_avail; /* free-running index of the next available entry to take */
	uint16_t used_index; /* free-running index of the next used entry to write */
	uint64_t desc, avail, used; /* GPAs */
	bool pending; /* saved: the queue's line has been raised and not been served */
};

struct virtio_dev;
struct backend;

struct virtq {
	struct virtio_dev *dev;
	unsigned index;
	uint16_t max_size; /* what the device offers */
	struct virtq_state state;
	int kick_fd;	     /* eventfd, owned; the transport registers it as ioeventfd */
	struct irq_line irq; /* its fd is the call fd */
	struct backend *backend; /* runs this queue; borrowed */
	bool running;		 /* between backend start and stop */
	/* In-process use, valid while running: */
	const struct gmem *mem;
	struct vring_desc *desc;
	void *avail, *used;
	bool event_index, indirect; /* acked features */
	uint16_t signalled_used;    /* used_index at the last interrupt */
	bool signalled_valid;
	uint8_t *in_flight; /* bit per head: taken and not yet pushed; owned */
	uint16_t taken;	    /* how many these are, or were when the queue was stopped */
};

/* A descriptor chain: first the device-readable part, then the device-writable part. */
struct virtq_chain {
	uint16_t head;
	unsigned out_count, in_count; /* entries of iov */
	uint64_t out_len, in_len;     /* bytes */
	struct iovec iov[VIRTQ_MAX_IOV]; /* out entries first */
};

/* Where the parts of a ring are in this process. */
struct virtq_rings {
	void *desc, *avail, *used;
};

/*
 * Checks the state against guest RAM: size, alignment of 16, 2, 4, ranges. -EINVAL, -EFAULT. For
 * backends that process the rings elsewhere.
 */
__must_check int virtq_map(const struct virtq *q, const struct gmem *mem, bool event_index,
			   struct virtq_rings *rings);

/*
 * virtq_map(), for in-process use, and sets running. -ENOMEM too. A backend in the kernel sets
 * running itself.
 */
__must_check int virtq_start(struct virtq *q, const struct gmem *mem, bool event_index,
			     bool indirect);
/*
 * Clears running and unmaps: afterwards pop finds nothing, push and notify do nothing. Idempotent.
 */
void virtq_stop(struct virtq *q);

/*
 * Takes the next chain. 1 and a chain, 0 when the ring is empty, negative errno when the guest
 * broke the ring: -EPROTO for a loop, a bad index, a head already in flight, an avail index more
 * than size ahead, indirect misuse or a length over 2^32; -EFAULT for memory that is not RAM.
 * Nothing is taken on an error. Zero-length descriptors leave no iov entry: both counts may be 0.
 */
__must_check int virtq_pop(struct virtq *q, struct virtq_chain *chain);

/* The available ring is empty. Also true for a queue that does not run. */
__must_check bool virtq_is_empty(const struct virtq *q);

/* How many chains the available ring has, as its driver says: at most the queue's size. */
uint16_t virtq_available(const struct virtq *q);

/*
 * Returns the last popped chain, of this head, to the ring as if it had not been taken; more of them
 * last one first.
 */
void virtq_unpop(struct virtq *q, uint16_t head);

/* Returns a chain to the driver; `written` bytes were put into its writable part. */
void virtq_push(struct virtq *q, uint16_t head, uint32_t written);

/*
 * Like virtq_push for `n` chains, made visible to the driver at once (mergeable receive buffers).
 */
struct virtq_used {
	uint16_t head;
	uint32_t written;
};
void virtq_push_many(struct virtq *q, const struct virtq_used *used, unsigned n);

/* Raises the queue's interrupt if the driver requested one for the chains pushed since the last. */
void virtq_notify(struct virtq *q);

/*
 * Asks the driver for kicks, or to suppress them. virtq_enable_kicks() returns true when chains
 * arrived meanwhile: poll again.
 */
void virtq_disable_kicks(struct virtq *q);
__must_check bool virtq_enable_kicks(struct virtq *q);

/*
 * The same for a kick once `chains` have arrived, at least one; without the event index at the
 * first. True when they are there.
 */
__must_check bool virtq_enable_kicks_after(struct virtq *q, uint16_t chains);

#endif
