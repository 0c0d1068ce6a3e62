/* SPDX-License-Identifier: Apache-2.0 */
#include "driver.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

enum { HALF = 1 << 20, PATIENCE_MS = 60000 };

void require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "vhost-direct: %s\n", what);
	exit(1);
}

/* --- Memory ----------------------------------------------------------------------------------- */

/* A transport would tell the guest, and register ioeventfds with KVM. There is neither. */
static void nothing(struct virtio_transport *transport)
{
	(void)transport;
}

static const struct virtio_transport_ops no_transport = {
	.config_changed = nothing,
	.attach_kicks = nothing,
	.detach_kicks = nothing,
};

void host_init(struct host *host)
{
	const struct gmem_range ram[] = { { 0, HALF }, { HOST_HIGH, HALF } };
	const struct gmem_options options = { 0 };

	*host = (struct host){ .transport = { &no_transport } };
	sys_init(&host->sys);
	host->kvm = (struct kvm){ .sys = &host->sys, .dev_fd = -1, .vm_fd = -1 };
	host->irqs.kvm = &host->kvm;
	require(!gmem_init(&host->mem, ram, 2, &options), "no memory");
	require(!loop_init(&host->loop), "no event loop");
	host->env = (struct virtio_env){
		.mem = &host->mem,
		.loop = &host->loop,
		.irqs = &host->irqs,
	};
}

void host_destroy(struct host *host)
{
	loop_destroy(&host->loop);
	gmem_destroy(&host->mem);
}

uint64_t host_alloc(struct host *host, uint64_t len, uint64_t align)
{
	uint64_t gpa = (host->next + align - 1) & ~(align - 1);

	require(gmem_ptr(&host->mem, gpa, len), "out of memory");
	host->next = gpa + len;
	return gpa;
}

void *host_ptr(struct host *host, uint64_t gpa, uint64_t len)
{
	void *ptr = gmem_ptr(&host->mem, gpa, len);

	require(ptr, "an address that is not memory");
	return ptr;
}

/* --- Ring ------------------------------------------------------------------------------------- */

void ring_init(struct ring *ring, struct host *host, struct virtq *q)
{
	const uint64_t desc_len = RING_SIZE * sizeof(struct vring_desc);
	const uint64_t avail_len = sizeof(struct vring_avail) + RING_SIZE * sizeof(uint16_t) + 2;
	const uint64_t used_len =
		sizeof(struct vring_used) + RING_SIZE * sizeof(struct vring_used_elem) + 2;

	q->state.size = RING_SIZE;
	q->state.desc = host_alloc(host, desc_len, VRING_DESC_ALIGN_SIZE);
	q->state.avail = host_alloc(host, avail_len, VRING_AVAIL_ALIGN_SIZE);
	q->state.used = host_alloc(host, used_len, VRING_USED_ALIGN_SIZE);
	q->state.enabled = true;
	*ring = (struct ring){
		.q = q,
		.desc = host_ptr(host, q->state.desc, desc_len),
		.avail = host_ptr(host, q->state.avail, avail_len),
		.used = host_ptr(host, q->state.used, used_len),
	};
}

void ring_send(struct ring *ring, unsigned chain, const struct buffer *buffers, unsigned count)
{
	unsigned head = chain * CHAIN_MAX;
	uint16_t index = ring->avail->idx;

	for (unsigned i = 0; i < count; i++) {
		bool last = i + 1 == count;

		ring->desc[head + i] = (struct vring_desc){
			.addr = buffers[i].gpa,
			.len = buffers[i].len,
			.flags = (uint16_t)((buffers[i].writable ? VRING_DESC_F_WRITE : 0) |
					    (last ? 0 : VRING_DESC_F_NEXT)),
			.next = (uint16_t)(last ? 0 : head + i + 1),
		};
	}
	ring->avail->ring[index % RING_SIZE] = (uint16_t)head;
	/* §2.7.13.3: the device sees the entry no later than the index. */
	__atomic_store_n(&ring->avail->idx, (uint16_t)(index + 1), __ATOMIC_RELEASE);
}

void ring_kick(struct ring *ring)
{
	/* §2.7.13.4: the index is visible before the device's flags are read. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!(__atomic_load_n(&ring->used->flags, __ATOMIC_RELAXED) & VRING_USED_F_NO_NOTIFY))
		eventfd_signal(ring->q->kick_fd);
}

void ring_call_after(struct ring *ring, unsigned count)
{
	/* used_event, after the entries */
	__atomic_store_n(&ring->avail->ring[RING_SIZE], (uint16_t)(ring->taken + count - 1),
			 __ATOMIC_RELAXED);
}

unsigned ring_wait(struct ring *ring, uint32_t *written)
{
	struct pollfd call = { .fd = ring->q->irq.fd, .events = POLLIN };
	const struct vring_used_elem *elem;

	while (__atomic_load_n(&ring->used->idx, __ATOMIC_ACQUIRE) == ring->taken) {
		require(poll(&call, 1, PATIENCE_MS) == 1, "no answer from vhost");
		eventfd_drain(call.fd);
	}
	elem = &ring->used->ring[ring->taken++ % RING_SIZE];
	*written = elem->len;
	return elem->id / CHAIN_MAX;
}

/* --- Device ----------------------------------------------------------------------------------- */

void driver_start(struct virtio_dev *dev, struct host *host, uint64_t features)
{
	dev->transport = &host->transport;
	features |= 1ULL << VIRTIO_F_VERSION_1;
	pthread_mutex_lock(&dev->lock);
	virtio_set_status(dev, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	virtio_ack_features(dev, 0, (uint32_t)features);
	virtio_ack_features(dev, 1, (uint32_t)(features >> 32));
	virtio_set_status(dev, dev->status | VIRTIO_CONFIG_S_FEATURES_OK);
	require(dev->status & VIRTIO_CONFIG_S_FEATURES_OK, "the features were refused");
	virtio_set_status(dev, dev->status | VIRTIO_CONFIG_S_DRIVER_OK);
	require(!(dev->status & VIRTIO_CONFIG_S_NEEDS_RESET), "vhost did not start");
	pthread_mutex_unlock(&dev->lock);
}

void driver_stop(struct virtio_dev *dev)
{
	pthread_mutex_lock(&dev->lock);
	virtio_set_status(dev, 0);
	pthread_mutex_unlock(&dev->lock);
}
