/* SPDX-License-Identifier: Apache-2.0 */
/*
 * While writes are logged, a ring of a kind that does not log its data is two: this process has the
 * guest's, as a local backend would, and the kernel one with the guest's descriptors, but available
 * and used entries of its own. So what the kernel has written to is known before the guest gets it
 * back. Both have the same indices, so that either side can stop and go on without the other.
 */
#include "vhost_internal.h"


#include <endian.h>
#include <sys/eventfd.h>

struct vhost_relay {
	struct vhost_ring *ring; /* borrowed */
	struct loop_event kick;	 /* of the queue: the guest's */
	struct loop_event call;	 /* eventfd, owned: the kernel's */
	int kernel_kick;	 /* eventfd, owned */
	struct vring_used *used; /* owned; the next follows it */
	struct vring_avail *avail;
};

/* The kernel has no event index here: it wants every kick, and calls for every chain. */
static size_t used_len(const struct virtq *q)
{
	return sizeof(struct vring_used) + q->max_size * sizeof(struct vring_used_elem);
}

static size_t avail_len(const struct virtq *q)
{
	return sizeof(struct vring_avail) + q->max_size * sizeof(__virtio16);
}

static unsigned slot(const struct virtq *q, uint16_t index)
{
	return index & (q->state.size - 1U);
}

static void to_kernel(struct vhost_relay *relay)
{
	struct virtq *q = relay->ring->q;
	struct virtq_chain chain;
	int ret;

	/* Ends: a chain that is in flight cannot be taken again. */
	do {
		virtq_disable_kicks(q);
		while ((ret = virtq_pop(q, &chain)) > 0)
			relay->avail->ring[slot(q, (uint16_t)(q->state.last_avail - 1))] =
				htole16(chain.head);
	} while (!ret && virtq_enable_kicks(q));
	__atomic_store_n(&relay->avail->idx, htole16(q->state.last_avail), __ATOMIC_RELEASE);
	eventfd_signal(relay->kernel_kick);
	if (ret < 0)
		virtio_broken(q->dev, "the ring is damaged");
}

/* virtq_push() notes the buffers. */
static void to_guest(struct vhost_relay *relay)
{
	struct virtq *q = relay->ring->q;
	uint16_t end = le16toh(__atomic_load_n(&relay->used->idx, __ATOMIC_ACQUIRE));

	while (q->state.used_index != end) {
		struct vring_used_elem used = relay->used->ring[slot(q, q->state.used_index)];

		virtq_push(q, (uint16_t)le32toh(used.id), le32toh(used.len));
	}
	virtq_notify(q);
}

static void serve(struct vhost_relay *relay, const struct loop_event *event,
		  void (*pass)(struct vhost_relay *relay))
{
	struct virtio_dev *dev = relay->ring->q->dev;

	pthread_mutex_lock(&dev->lock);
	virtio_count(&dev->loop_wakeups);
	/* An event of before the stop may be served after it, and is not for the kernel's ring. */
	if (relay->ring->bound && relay->ring->vhost->relays) {
		eventfd_drain(event->fd);
		pass(relay);
	}
	pthread_mutex_unlock(&dev->lock);
}

static void kicked(struct loop_event *event, uint32_t events)
{
	(void)events;
	serve(container_of(event, struct vhost_relay, kick), event, to_kernel);
}

static void called(struct loop_event *event, uint32_t events)
{
	(void)events;
	serve(container_of(event, struct vhost_relay, call), event, to_guest);
}

int vhost_relay_init(struct vhost_ring *ring)
{
	struct vhost_relay *relay = ring->relay;

	if (relay)
		return 0;
	relay = calloc(1, sizeof(*relay));
	if (!relay)
		return -ENOMEM;
	ring->relay = relay;
	relay->ring = ring;
	relay->kick = (struct loop_event){ .fd = ring->q->kick_fd, .fn = kicked };
	relay->call = (struct loop_event){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
					   .fn = called };
	relay->kernel_kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	relay->used = calloc(1, used_len(ring->q) + avail_len(ring->q));
	if (relay->call.fd >= 0 && relay->kernel_kick >= 0 && relay->used) {
		relay->avail = (void *)((uint8_t *)relay->used + used_len(ring->q));
		return 0;
	}
	vhost_relay_destroy(ring);
	return -ENOMEM;
}

void vhost_relay_destroy(struct vhost_ring *ring)
{
	struct vhost_relay *relay = ring->relay;

	if (!relay)
		return;
	close_fd(&relay->call.fd);
	close_fd(&relay->kernel_kick);
	free(relay->used);
	free(relay);
	ring->relay = NULL;
}

int vhost_relay_start(struct vhost_ring *ring)
{
	struct vhost_relay *relay = ring->relay;
	struct virtq *q = ring->q;
	const struct virtio_dev *dev = q->dev;
	int ret = virtq_start(q, dev->mem, virtio_has(dev, VIRTIO_RING_F_EVENT_IDX),
			      virtio_has(dev, VIRTIO_RING_F_INDIRECT_DESC));

	if (ret)
		return ret;
	relay->used->idx = htole16(q->state.used_index);
	relay->avail->idx = htole16(q->state.last_avail);
	ret = loop_add(dev->loop, &relay->call, EPOLLIN);
	return ret ? ret : loop_add(dev->loop, &relay->kick, EPOLLIN);
}

void vhost_relay_stop(struct vhost_ring *ring, uint16_t base)
{
	struct vhost_relay *relay = ring->relay;
	struct virtq *q = ring->q;

	loop_remove(q->dev->loop, &relay->kick);
	loop_remove(q->dev->loop, &relay->call);
	eventfd_drain(relay->call.fd);
	eventfd_drain(relay->kernel_kick);
	to_guest(relay);
	while (q->taken && q->state.last_avail != base)
		virtq_unpop(q, le16toh(relay->avail->ring[slot(
				       q, (uint16_t)(q->state.last_avail - 1))]));
	virtq_stop(q);
}

int vhost_relay_kick_fd(const struct vhost_ring *ring)
{
	return ring->relay->kernel_kick;
}

int vhost_relay_call_fd(const struct vhost_ring *ring)
{
	return ring->relay->call.fd;
}

void vhost_relay_map(const struct vhost_ring *ring, struct virtq_rings *rings)
{
	rings->avail = ring->relay->avail;
	rings->used = ring->relay->used;
}
