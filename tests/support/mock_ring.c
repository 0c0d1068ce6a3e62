/* SPDX-License-Identifier: Apache-2.0 */
#include "mock_ring.h"

#include "base/checked.h"
#include "base/le.h"
#include "unit.h"

enum { FIRST_FREE = 64 << 10, MAX_ROUNDS = 10000 };

void mock_env_init_with(struct mock_env *env, const struct gmem_options *options)
{
	static const struct gmem_range ranges[] = {
		{ .gpa = 0, .len = MOCK_SLOT_LEN },
		{ .gpa = MOCK_SEAM, .len = MOCK_SLOT_LEN },
		{ .gpa = MOCK_HIGH, .len = MOCK_SLOT_LEN },
	};

	memset(env, 0, sizeof(*env));
	fake_sys_init(&env->fake);
	assert_int_equal(kvm_init(&env->kvm, &env->fake.sys, 0), 0);
	assert_int_equal(gmem_init(&env->mem, ranges, ARRAY_SIZE(ranges), options), 0);
	assert_int_equal(loop_init(&env->loop), 0);
	assert_int_equal(irqs_init(&env->irqs, &env->kvm, &env->loop, NULL, 0), 0);
	env->virtio = (struct virtio_env){
		.mem = &env->mem,
		.loop = &env->loop,
		.irqs = &env->irqs,
		.sys = &env->fake.sys,
	};
	env->next = FIRST_FREE;
	env->fds = fake_open_fds();
}

void mock_env_init(struct mock_env *env)
{
	static const struct gmem_options options;

	mock_env_init_with(env, &options);
}

static void end_device(struct mock_env *env)
{
	if (!env->dev)
		return;
	mock_driver_status(env->dev, 0);
	env->dev->model->destroy(env->dev);
	env->dev = NULL;
}

void mock_env_destroy(struct mock_env *env)
{
	end_device(env);
	irqs_destroy(&env->irqs);
	loop_destroy(&env->loop);
	gmem_destroy(&env->mem);
	kvm_destroy(&env->kvm);
	fake_sys_destroy(&env->fake);
}

int mock_env_teardown(void **state)
{
	struct mock_env *env = *state;

	end_device(env);
	assert_int_equal(fake_open_fds(), env->fds);
	mock_env_destroy(env);
	test_free(env);
	return 0;
}

uint64_t mock_alloc(struct mock_env *env, uint64_t len, uint64_t align)
{
	uint64_t gpa = align_up(env->next, align);

	assert_true(range_fits(gpa, len, MOCK_SLOT_LEN));
	env->next = gpa + len;
	return gpa;
}

bool mock_env_wait(struct mock_env *env, int timeout_ms)
{
	struct epoll_event batch[16];
	int n;

	/* io_uring interrupts it, without a signal, when it has work for this thread. */
	do {
		n = epoll_wait(env->loop.epoll_fd, batch, ARRAY_SIZE(batch), timeout_ms);
	} while (n < 0 && errno == EINTR);
	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		struct loop_event *event = batch[i].data.ptr;

		assert_non_null(event);
		event->fn(event, batch[i].events);
	}
	return n > 0;
}

void mock_env_dispatch(struct mock_env *env)
{
	unsigned rounds = 0;

	while (mock_env_wait(env, 0))
		assert_true(++rounds < MAX_ROUNDS);
}

/* --- Ring memory --- */

static uint16_t get16(const struct mock_ring *ring, uint64_t gpa)
{
	struct le16 v;

	assert_int_equal(gmem_read(ring->mem, gpa, &v, sizeof(v)), 0);
	return le16_get(v);
}

static void set16(struct mock_ring *ring, uint64_t gpa, uint16_t value)
{
	struct le16 v = le16_of(value);

	assert_int_equal(gmem_write(ring->mem, gpa, &v, sizeof(v)), 0);
}

static uint64_t used_event_gpa(const struct mock_ring *ring)
{
	return ring->avail + offsetof(struct vring_avail, ring) + 2ULL * ring->size;
}

static uint64_t avail_event_gpa(const struct mock_ring *ring)
{
	return ring->used + offsetof(struct vring_used, ring) +
	       sizeof(struct vring_used_elem) * ring->size;
}

void mock_ring_init(struct mock_ring *ring, struct mock_env *env, uint16_t size)
{
	*ring = (struct mock_ring){
		.mem = &env->mem,
		.size = size,
		.desc = mock_alloc(env, sizeof(struct vring_desc) * size, VRING_DESC_ALIGN_SIZE),
		.avail = mock_alloc(env, 6 + 2ULL * size, VRING_AVAIL_ALIGN_SIZE),
		.used = mock_alloc(env, 6 + sizeof(struct vring_used_elem) * size,
				   VRING_USED_ALIGN_SIZE),
	};
	ring->indirect = mock_alloc(env, sizeof(struct vring_desc) * MOCK_INDIRECT_MAX * size,
				    VRING_DESC_ALIGN_SIZE);
}

void mock_ring_bind(struct mock_ring *ring, struct virtq *q)
{
	ring->q = q;
	q->state.size = ring->size;
	q->state.desc = ring->desc;
	q->state.avail = ring->avail;
	q->state.used = ring->used;
	q->state.enabled = 1;
}

void mock_ring_start_at(struct mock_ring *ring, uint16_t index)
{
	ring->avail_index = ring->last_used = ring->kicked = index;
	ring->q->state.last_avail = ring->q->state.used_index = index;
	set16(ring, ring->avail + offsetof(struct vring_avail, idx), index);
	set16(ring, ring->used + offsetof(struct vring_used, idx), index);
}

static void write_desc(struct mock_ring *ring, uint64_t table, uint16_t index,
		       const struct vring_desc *desc)
{
	struct vring_desc le = {
		.addr = htole64(desc->addr),
		.len = htole32(desc->len),
		.flags = htole16(desc->flags),
		.next = htole16(desc->next),
	};

	assert_int_equal(gmem_write(ring->mem, table + index * sizeof(le), &le, sizeof(le)), 0);
}

void mock_ring_set_desc(struct mock_ring *ring, uint16_t index, uint64_t gpa, uint32_t len,
			uint16_t flags, uint16_t next)
{
	struct vring_desc desc = { .addr = gpa, .len = len, .flags = flags, .next = next };

	write_desc(ring, ring->desc, index, &desc);
}

void mock_ring_set_avail_index(struct mock_ring *ring, uint16_t index)
{
	ring->avail_index = index;
	/* Release: a real driver's write barrier before it publishes (§2.7.13.3). */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	set16(ring, ring->avail + offsetof(struct vring_avail, idx), index);
}

void mock_ring_offer(struct mock_ring *ring, uint16_t head)
{
	uint16_t slot = ring->avail_index & (ring->size - 1);

	set16(ring, ring->avail + offsetof(struct vring_avail, ring) + 2ULL * slot, head);
	mock_ring_set_avail_index(ring, ring->avail_index + 1);
}

static uint16_t take_desc(struct mock_ring *ring)
{
	uint16_t i = 0;

	while (i < ring->size && ring->busy[i])
		i++;
	assert_true(i < ring->size);
	ring->busy[i] = true;
	return i;
}

uint16_t mock_ring_add(struct mock_ring *ring, const struct mock_buf *bufs, unsigned n)
{
	uint16_t head = take_desc(ring), index = head;

	for (unsigned i = 0; i < n; i++) {
		bool last = i + 1 == n;
		uint16_t next = last ? 0 : take_desc(ring);

		mock_ring_set_desc(ring, index, bufs[i].gpa, bufs[i].len,
				   (bufs[i].writable ? VRING_DESC_F_WRITE : 0) |
					   (last ? 0 : VRING_DESC_F_NEXT),
				   next);
		index = next;
	}
	mock_ring_offer(ring, head);
	return head;
}

uint16_t mock_ring_add_indirect(struct mock_ring *ring, const struct mock_buf *bufs, unsigned n)
{
	uint16_t head = take_desc(ring);
	uint64_t table = ring->indirect + sizeof(struct vring_desc) * MOCK_INDIRECT_MAX * head;

	assert_true(n <= MOCK_INDIRECT_MAX);
	for (unsigned i = 0; i < n; i++) {
		struct vring_desc desc = {
			.addr = bufs[i].gpa,
			.len = bufs[i].len,
			.flags = (bufs[i].writable ? VRING_DESC_F_WRITE : 0) |
				 (i + 1 < n ? VRING_DESC_F_NEXT : 0),
			.next = (uint16_t)(i + 1),
		};

		write_desc(ring, table, (uint16_t)i, &desc);
	}
	mock_ring_set_desc(ring, head, table, n * sizeof(struct vring_desc),
			   VRING_DESC_F_INDIRECT, 0);
	mock_ring_offer(ring, head);
	return head;
}

uint16_t mock_ring_used_index(const struct mock_ring *ring)
{
	return get16(ring, ring->used + offsetof(struct vring_used, idx));
}

static void free_chain(struct mock_ring *ring, uint16_t head)
{
	struct vring_desc desc;
	uint16_t index = head;

	do {
		ring->busy[index] = false;
		assert_int_equal(gmem_read(ring->mem, ring->desc + index * sizeof(desc), &desc,
					   sizeof(desc)),
				 0);
		index = le16toh(desc.next);
	} while (le16toh(desc.flags) & VRING_DESC_F_NEXT);
}

bool mock_ring_reap(struct mock_ring *ring, uint16_t *head, uint32_t *written)
{
	uint16_t slot = ring->last_used & (ring->size - 1);
	struct vring_used_elem elem;

	if (mock_ring_used_index(ring) == ring->last_used)
		return false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	assert_int_equal(gmem_read(ring->mem,
				   ring->used + offsetof(struct vring_used, ring) +
					   slot * sizeof(elem),
				   &elem, sizeof(elem)),
			 0);
	assert_true(le32toh(elem.id) < ring->size);
	*head = (uint16_t)le32toh(elem.id);
	*written = le32toh(elem.len);
	ring->last_used++;
	free_chain(ring, *head);
	return true;
}

bool mock_ring_kick_wanted(struct mock_ring *ring)
{
	const struct virtq *q = ring->q;
	bool event_index = q->dev ? virtio_has(q->dev, VIRTIO_RING_F_EVENT_IDX) : q->event_index;
	uint16_t old = ring->kicked;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	ring->kicked = ring->avail_index;
	if (event_index)
		return vring_need_event(get16(ring, avail_event_gpa(ring)), ring->avail_index,
					old);
	return !(get16(ring, ring->used + offsetof(struct vring_used, flags)) &
		 VRING_USED_F_NO_NOTIFY);
}

bool mock_ring_kick(struct mock_ring *ring)
{
	bool wanted = mock_ring_kick_wanted(ring);

	if (wanted)
		eventfd_signal(ring->q->kick_fd);
	return wanted;
}

void mock_ring_set_used_event(struct mock_ring *ring, uint16_t at)
{
	set16(ring, used_event_gpa(ring), at);
}

void mock_ring_set_no_interrupt(struct mock_ring *ring, bool none)
{
	set16(ring, ring->avail + offsetof(struct vring_avail, flags),
	      none ? VRING_AVAIL_F_NO_INTERRUPT : 0);
}

bool mock_irq_taken(struct irq_line *line)
{
	assert_int_equal(line->sink, IRQ_HELD);
	return eventfd_drain(line->fd) != 0;
}

/* --- Driver --- */

static struct mock_transport *mock_of(struct virtio_transport *transport)
{
	return container_of(transport, struct mock_transport, transport);
}

static void count_config_change(struct virtio_transport *transport)
{
	mock_of(transport)->config_changes++;
}

static void count_attach(struct virtio_transport *transport)
{
	mock_of(transport)->attached++;
}

static void count_detach(struct virtio_transport *transport)
{
	mock_of(transport)->detached++;
}

static const struct virtio_transport_ops mock_transport_ops = {
	.config_changed = count_config_change,
	.attach_kicks = count_attach,
	.detach_kicks = count_detach,
};

void mock_transport_init(struct mock_transport *mock, struct virtio_dev *dev)
{
	*mock = (struct mock_transport){ .transport.ops = &mock_transport_ops };
	dev->transport = &mock->transport;
}

void mock_driver_status(struct virtio_dev *dev, uint8_t status)
{
	pthread_mutex_lock(&dev->lock);
	virtio_set_status(dev, status);
	pthread_mutex_unlock(&dev->lock);
}

uint8_t mock_driver_start(struct virtio_dev *dev, struct mock_transport *mock, uint64_t features)
{
	return mock_driver_start_exactly(dev, mock, features | 1ULL << VIRTIO_F_VERSION_1);
}

uint8_t mock_driver_start_exactly(struct virtio_dev *dev, struct mock_transport *mock,
				  uint64_t features)
{
	uint8_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE;

	mock_transport_init(mock, dev);
	mock_driver_status(dev, status);
	mock_driver_status(dev, status |= VIRTIO_CONFIG_S_DRIVER);
	pthread_mutex_lock(&dev->lock);
	virtio_ack_features(dev, 0, (uint32_t)features);
	virtio_ack_features(dev, 1, (uint32_t)(features >> 32));
	pthread_mutex_unlock(&dev->lock);
	mock_driver_status(dev, status |= VIRTIO_CONFIG_S_FEATURES_OK);
	mock_driver_status(dev, status |= VIRTIO_CONFIG_S_DRIVER_OK);
	return dev->status;
}
