/* SPDX-License-Identifier: Apache-2.0 */
/* The split virtqueue, device side, by section of virtio 1.2. */
#include "../../vmm/core/memory_log.h"
#include "mock_ring.h"
#include "virtio/queue.h"
#include "unit.h"

enum { SIZE = 8, NEXT = VRING_DESC_F_NEXT, WRITE = VRING_DESC_F_WRITE };
enum { INDIRECT = VRING_DESC_F_INDIRECT };

struct fixture {
	struct mock_env env;
	struct mock_ring ring;
	struct virtq q;
	struct virtq_chain chain;
	uint64_t data; /* GPA of 64 KiB */
};

static int setup_size(void **state, uint16_t size)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	mock_env_init(&f->env);
	mock_ring_init(&f->ring, &f->env, size);
	f->data = mock_alloc(&f->env, 64 << 10, 4096);
	f->q.max_size = VIRTQ_MAX_SIZE;
	f->q.kick_fd = -1;
	assert_int_equal(irq_line_init(&f->q.irq, &f->env.irqs, NULL), 0);
	mock_ring_bind(&f->ring, &f->q);
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return setup_size(state, SIZE);
}

static int setup_large(void **state)
{
	return setup_size(state, VIRTQ_MAX_SIZE);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	virtq_stop(&f->q);
	irq_line_destroy(&f->q.irq);
	mock_env_destroy(&f->env);
	test_free(f);
	return 0;
}

static int try_start(struct fixture *f, bool event_index)
{
	return virtq_start(&f->q, &f->env.mem, event_index, true);
}

static void start(struct fixture *f, bool event_index)
{
	assert_int_equal(try_start(f, event_index), 0);
}

static int pop(struct fixture *f)
{
	return virtq_pop(&f->q, &f->chain);
}

/* Adds and pops one buffer; returns its head. */
static uint16_t take_one(struct fixture *f)
{
	const struct mock_buf buf = { f->data, 16, true };
	uint16_t head = mock_ring_add(&f->ring, &buf, 1);

	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.head, head);
	return head;
}

/* Puts a table of indirect descriptors at f->data. */
static void write_table(struct fixture *f, const struct vring_desc *table, unsigned count)
{
	assert_int_equal(gmem_write(&f->env.mem, f->data, table, count * sizeof(*table)), 0);
}

/* Offers descriptor 0 as an indirect one of `len` bytes at f->data, and pops it. */
static int pop_indirect(struct fixture *f, uint32_t len, uint16_t flags)
{
	mock_ring_set_desc(&f->ring, 0, f->data, len, INDIRECT | flags, 1);
	mock_ring_set_desc(&f->ring, 1, f->data, 16, 0, 0);
	mock_ring_offer(&f->ring, 0);
	return pop(f);
}

/* --- 2.7: the layout --- */

static void test_2_7_size_is_checked(void **state)
{
	struct fixture *f = *state;
	const uint16_t bad[] = { 0, 3, 7, 1000, 2048, 32768 };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		f->q.state.size = bad[i];
		assert_int_equal(try_start(f, false), -EINVAL);
		assert_false(f->q.running);
	}
	f->q.max_size = 4;
	f->q.state.size = 8;
	assert_int_equal(try_start(f, false), -EINVAL);
	f->q.state.size = 1;
	start(f, false);
}

static void test_2_7_alignment_is_checked(void **state)
{
	struct fixture *f = *state;
	const struct virtq_state good = f->q.state;

	f->q.state.desc += 8;
	assert_int_equal(try_start(f, false), -EFAULT);
	f->q.state = good;
	f->q.state.avail += 1;
	assert_int_equal(try_start(f, false), -EFAULT);
	f->q.state = good;
	f->q.state.used += 2;
	assert_int_equal(try_start(f, false), -EFAULT);
	f->q.state = good;
	start(f, false);
}

static void assert_fits_only_at(struct fixture *f, uint64_t *address, uint64_t last, unsigned align)
{
	uint64_t good = *address;

	*address = last;
	start(f, false);
	virtq_stop(&f->q);
	*address = last + align;
	assert_int_equal(try_start(f, false), -EFAULT);
	*address = UINT64_MAX & ~(uint64_t)(align - 1);
	assert_int_equal(try_start(f, false), -EFAULT);
	*address = MOCK_HOLE;
	assert_int_equal(try_start(f, false), -EFAULT);
	*address = good;
}

static void test_2_7_rings_lie_in_ram(void **state)
{
	struct fixture *f = *state;

	assert_fits_only_at(f, &f->q.state.desc, MOCK_RAM_END - 16 * SIZE, 16);
	assert_fits_only_at(f, &f->q.state.avail, MOCK_RAM_END - (4 + 2 * SIZE), 2);
	assert_fits_only_at(f, &f->q.state.used, MOCK_RAM_END - (4 + 8 * SIZE), 4);
}

/* used_event and avail_event are after the rings, and only with the feature. */
static void test_2_7_6_event_fields_lie_in_ram(void **state)
{
	struct fixture *f = *state;

	f->q.state.avail = MOCK_RAM_END - (4 + 2 * SIZE);
	assert_int_equal(try_start(f, true), -EFAULT);
	start(f, false);
	virtq_stop(&f->q);
	f->q.state.avail = MOCK_RAM_END - (6 + 2 * SIZE);
	start(f, true);
}

static void test_2_7_state_survives_a_stop(void **state)
{
	struct fixture *f = *state;

	start(f, false);
	virtq_push(&f->q, take_one(f), 1);
	virtq_stop(&f->q);
	assert_int_equal(f->q.state.last_avail, 1);
	assert_int_equal(f->q.state.used_index, 1);
	start(f, false);
	take_one(f);
}

static void test_stopped_queue_does_nothing(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf buf = { f->data, 16, true };
	uint16_t head;

	start(f, false);
	head = take_one(f);
	mock_ring_add(&f->ring, &buf, 1);
	virtq_stop(&f->q);
	virtq_stop(&f->q);
	assert_int_equal(pop(f), 0);
	virtq_push(&f->q, head, 16);
	virtq_notify(&f->q);
	virtq_disable_kicks(&f->q);
	virtq_unpop(&f->q, f->chain.head);
	assert_false(virtq_enable_kicks(&f->q));
	assert_int_equal(mock_ring_used_index(&f->ring), 0);
	assert_false(mock_irq_taken(&f->q.irq));
}

/* --- 2.7.5: descriptors --- */

static void test_2_7_5_chain_in_order(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf bufs[] = {
		{ f->data, 16, false },
		{ f->data + 100, 7, false },
		{ f->data + 4096, 512, true },
	};
	uint16_t head;

	start(f, false);
	assert_int_equal(pop(f), 0);
	head = mock_ring_add(&f->ring, bufs, 3);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.head, head);
	assert_int_equal(f->chain.out_count, 2);
	assert_int_equal(f->chain.in_count, 1);
	assert_int_equal(f->chain.out_len, 23);
	assert_int_equal(f->chain.in_len, 512);
	assert_ptr_equal(f->chain.iov[1].iov_base, gmem_ptr(&f->env.mem, f->data + 100, 7));
	assert_int_equal(f->chain.iov[1].iov_len, 7);
	assert_ptr_equal(f->chain.iov[2].iov_base, gmem_ptr(&f->env.mem, f->data + 4096, 512));
	assert_int_equal(pop(f), 0);
}

static void test_2_7_5_buffer_over_two_slots(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf buf = { MOCK_SEAM - 10, 30, true };

	start(f, false);
	mock_ring_add(&f->ring, &buf, 1);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.in_count, 2);
	assert_int_equal(f->chain.iov[0].iov_len, 10);
	assert_int_equal(f->chain.iov[1].iov_len, 20);
}

/* Holes, device BARs, addresses that wrap: whatever is not RAM. */
static void test_2_7_5_buffer_outside_of_ram(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf bad[] = {
		{ MOCK_HOLE, 1, true },
		{ MOCK_HOLE - 1, 2, false },
		{ MOCK_RAM_END, 1, true },
		{ 0xe0000000, 4096, true },
		{ UINT64_MAX - 1, 16, true },
		{ f->data, UINT32_MAX, true },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		start(f, false);
		mock_ring_add(&f->ring, &bad[i], 1);
		assert_int_equal(pop(f), -EFAULT);
		/* Not taken: the same again. */
		assert_int_equal(f->q.state.last_avail, i);
		assert_int_equal(pop(f), -EFAULT);
		mock_ring_start_at(&f->ring, (uint16_t)(i + 1));
	}
}

static void test_2_7_5_zero_length_buffers(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf bufs[] = { { f->data, 0, false }, { MOCK_HOLE, 0, true } };

	start(f, false);
	mock_ring_add(&f->ring, bufs, 2);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.out_count + f->chain.in_count, 0);
}

static void test_2_7_5_loops(void **state)
{
	struct fixture *f = *state;
	const uint32_t lens[] = { 16, 0 };

	for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
		start(f, false);
		mock_ring_set_desc(&f->ring, 0, f->data, lens[i], NEXT, 0);
		mock_ring_offer(&f->ring, 0);
		assert_int_equal(pop(f), -EPROTO);
		mock_ring_set_desc(&f->ring, 0, f->data, lens[i], NEXT, 1);
		mock_ring_set_desc(&f->ring, 1, f->data, lens[i], NEXT, 0);
		assert_int_equal(pop(f), -EPROTO);
		mock_ring_start_at(&f->ring, 0);
	}
}

static void test_2_7_5_chain_as_long_as_the_ring(void **state)
{
	struct fixture *f = *state;

	start(f, false);
	for (uint16_t i = 0; i < SIZE; i++)
		mock_ring_set_desc(&f->ring, i, f->data, 1, i < SIZE - 1 ? NEXT : 0, i + 1);
	mock_ring_offer(&f->ring, 0);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.out_count, SIZE);
}

static void test_2_7_5_next_out_of_range(void **state)
{
	struct fixture *f = *state;
	const uint16_t bad[] = { SIZE, 0xffff };

	start(f, false);
	mock_ring_offer(&f->ring, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		mock_ring_set_desc(&f->ring, 0, f->data, 16, NEXT, bad[i]);
		assert_int_equal(pop(f), -EPROTO);
	}
}

static void test_2_7_4_2_readable_after_writable(void **state)
{
	struct fixture *f = *state;
	const uint32_t lens[] = { 16, 0 };

	start(f, false);
	mock_ring_offer(&f->ring, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
		mock_ring_set_desc(&f->ring, 0, f->data, lens[i], WRITE | NEXT, 1);
		mock_ring_set_desc(&f->ring, 1, f->data, lens[i], 0, 0);
		assert_int_equal(pop(f), -EPROTO);
	}
}

/* Buffers of 8 MiB: 512 of them are 2^32 bytes, which is allowed; one more is not. */
static void test_2_7_5_2_chain_longer_than_4_gib(void **state)
{
	struct fixture *f = *state;
	const uint16_t counts[] = { 512, 513 };
	const int results[] = { 1, -EPROTO };

	start(f, false);
	for (unsigned c = 0; c < ARRAY_SIZE(counts); c++) {
		for (uint16_t i = 0; i < counts[c]; i++)
			mock_ring_set_desc(&f->ring, i, 0, 2 * MOCK_SLOT_LEN,
					   WRITE | (i < counts[c] - 1 ? NEXT : 0), i + 1);
		mock_ring_offer(&f->ring, 0);
		assert_int_equal(pop(f), results[c]);
		if (results[c] == 1) {
			assert_int_equal(f->chain.in_len, 1ULL << 32);
			virtq_push(&f->q, f->chain.head, 0);
		}
	}
}

/* 1,024 buffers of two pieces each: more iov entries than a chain has. */
static void test_2_7_5_too_many_pieces(void **state)
{
	struct fixture *f = *state;

	start(f, false);
	for (uint16_t i = 0; i < VIRTQ_MAX_SIZE; i++)
		mock_ring_set_desc(&f->ring, i, MOCK_SEAM - 1, 2,
				   i < VIRTQ_MAX_SIZE - 1 ? NEXT : 0, i + 1);
	mock_ring_offer(&f->ring, 0);
	assert_int_equal(pop(f), -EPROTO);
}

/* --- 2.7.5.3: indirect descriptors --- */

static void test_2_7_5_3_indirect_chain(void **state)
{
	struct fixture *f = *state;
	struct mock_buf bufs[MOCK_INDIRECT_MAX];

	/* Longer than the ring: drivers do that. */
	for (unsigned i = 0; i < ARRAY_SIZE(bufs); i++)
		bufs[i] = (struct mock_buf){ f->data + 100 * i, 10 + i, i >= 20 };
	start(f, false);
	mock_ring_add_indirect(&f->ring, bufs, ARRAY_SIZE(bufs));
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.out_count, 20);
	assert_int_equal(f->chain.in_count, ARRAY_SIZE(bufs) - 20);
	assert_int_equal(f->chain.iov[31].iov_len, 41);
}

static void test_2_7_5_3_2_direct_then_indirect(void **state)
{
	struct fixture *f = *state;
	const struct vring_desc table[] = { { .addr = f->data, .len = 5, .flags = WRITE } };

	start(f, false);
	write_table(f, table, 1);
	mock_ring_set_desc(&f->ring, 3, f->data, 16, NEXT, 4);
	/* The write flag of the indirect descriptor itself is ignored. */
	mock_ring_set_desc(&f->ring, 4, f->data, 16, INDIRECT | WRITE, 0);
	mock_ring_offer(&f->ring, 3);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.head, 3);
	assert_int_equal(f->chain.out_len, 16);
	assert_int_equal(f->chain.in_len, 5);
}

static void test_2_7_5_3_1_indirect_in_indirect(void **state)
{
	struct fixture *f = *state;
	const struct vring_desc table[] = { { .addr = f->data, .len = 16, .flags = INDIRECT } };

	start(f, false);
	write_table(f, table, 1);
	assert_int_equal(pop_indirect(f, sizeof(table), 0), -EPROTO);
}

static void test_2_7_5_3_1_indirect_with_next(void **state)
{
	struct fixture *f = *state;
	const struct vring_desc table[] = { { .addr = f->data, .len = 16 } };

	start(f, false);
	write_table(f, table, 1);
	assert_int_equal(pop_indirect(f, sizeof(table), NEXT), -EPROTO);
}

static void test_2_7_5_3_1_indirect_without_feature(void **state)
{
	struct fixture *f = *state;
	const struct vring_desc table[] = { { .addr = f->data, .len = 16 } };

	assert_int_equal(virtq_start(&f->q, &f->env.mem, false, false), 0);
	write_table(f, table, 1);
	assert_int_equal(pop_indirect(f, sizeof(table), 0), -EPROTO);
}

static void test_2_7_5_3_indirect_table_size(void **state)
{
	struct fixture *f = *state;
	const uint32_t bad[] = { 0, 8, 17, 16 * (VIRTQ_MAX_SIZE + 1), 0xfffffff0 };

	start(f, false);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(pop_indirect(f, bad[i], 0), -EPROTO);
		mock_ring_start_at(&f->ring, 0);
	}
}

static void test_2_7_5_3_indirect_table_outside_of_ram(void **state)
{
	struct fixture *f = *state;

	start(f, false);
	mock_ring_set_desc(&f->ring, 0, MOCK_RAM_END - 16, 32, INDIRECT, 0);
	mock_ring_offer(&f->ring, 0);
	assert_int_equal(pop(f), -EFAULT);
}

static void test_2_7_5_3_indirect_loops_and_next_out_of_table(void **state)
{
	struct fixture *f = *state;
	struct vring_desc table[] = {
		{ .addr = f->data, .len = 16, .flags = NEXT, .next = 1 },
		{ .addr = f->data, .len = 16, .flags = NEXT, .next = 0 },
	};

	start(f, false);
	write_table(f, table, 2);
	assert_int_equal(pop_indirect(f, sizeof(table), 0), -EPROTO);
	table[1].next = 2;
	write_table(f, table, 2);
	assert_int_equal(pop(f), -EPROTO);
}

/* --- 2.7.6: the available ring --- */

static void test_2_7_6_index_too_far_ahead(void **state)
{
	struct fixture *f = *state;

	start(f, false);
	mock_ring_set_desc(&f->ring, 0, f->data, 16, 0, 0);
	mock_ring_set_avail_index(&f->ring, SIZE + 1);
	assert_int_equal(pop(f), -EPROTO);
	mock_ring_set_avail_index(&f->ring, 0xffff);
	assert_int_equal(pop(f), -EPROTO);
	mock_ring_set_avail_index(&f->ring, SIZE);
	assert_int_equal(pop(f), 1);
}

static void test_2_7_6_head_out_of_range(void **state)
{
	struct fixture *f = *state;

	start(f, false);
	mock_ring_offer(&f->ring, SIZE);
	assert_int_equal(pop(f), -EPROTO);
}

static void test_2_7_6_head_in_flight(void **state)
{
	struct fixture *f = *state;
	uint16_t head;

	start(f, false);
	head = take_one(f);
	mock_ring_offer(&f->ring, head);
	assert_int_equal(pop(f), -EPROTO);
	virtq_push(&f->q, head, 0);
	assert_int_equal(pop(f), 1);
}

static void test_2_7_6_unpop(void **state)
{
	struct fixture *f = *state;
	uint16_t head;

	start(f, false);
	head = take_one(f);
	virtq_unpop(&f->q, f->chain.head);
	assert_int_equal(f->q.state.last_avail, 0);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.head, head);
}

static void test_2_7_6_indices_wrap(void **state)
{
	struct fixture *f = *state;
	uint32_t written;
	uint16_t used;

	mock_ring_start_at(&f->ring, 0xfffd);
	start(f, true);
	for (uint32_t i = 0; i < 3 * SIZE; i++) {
		uint16_t head = take_one(f);

		virtq_push(&f->q, head, i);
		assert_true(mock_ring_reap(&f->ring, &used, &written));
		assert_int_equal(used, head);
		assert_int_equal(written, i);
	}
	assert_int_equal(f->q.state.last_avail, (uint16_t)(0xfffd + 3 * SIZE));
}

/* --- 2.7.7, 2.7.8: the used ring and its notifications --- */

static void test_2_7_8_used_out_of_order(void **state)
{
	struct fixture *f = *state;
	uint16_t first, second, used;
	uint32_t written;

	start(f, false);
	first = take_one(f);
	second = take_one(f);
	virtq_push(&f->q, second, 2);
	virtq_push(&f->q, first, 1);
	assert_true(mock_ring_reap(&f->ring, &used, &written));
	assert_int_equal(used, second);
	assert_int_equal(written, 2);
	assert_true(mock_ring_reap(&f->ring, &used, &written));
	assert_int_equal(used, first);
	assert_false(mock_ring_reap(&f->ring, &used, &written));
}

static void test_2_7_8_push_many(void **state)
{
	struct fixture *f = *state;
	struct virtq_used used[3];
	uint32_t written;
	uint16_t head;

	start(f, false);
	for (unsigned i = 0; i < ARRAY_SIZE(used); i++)
		used[i] = (struct virtq_used){ take_one(f), 10 + i };
	virtq_push_many(&f->q, used, ARRAY_SIZE(used));
	assert_int_equal(mock_ring_used_index(&f->ring), 3);
	for (unsigned i = 0; i < ARRAY_SIZE(used); i++) {
		assert_true(mock_ring_reap(&f->ring, &head, &written));
		assert_int_equal(head, used[i].head);
		assert_int_equal(written, 10 + i);
	}
	virtq_push_many(&f->q, used, 0);
	assert_int_equal(mock_ring_used_index(&f->ring), 3);
}

static void push_one(struct fixture *f)
{
	uint32_t written;
	uint16_t head;

	virtq_push(&f->q, take_one(f), 0);
	assert_true(mock_ring_reap(&f->ring, &head, &written));
}

static bool notified(struct fixture *f)
{
	virtq_notify(&f->q);
	return mock_irq_taken(&f->q.irq);
}

static void test_2_7_7_interrupt_by_flags(void **state)
{
	struct fixture *f = *state;

	start(f, false);
	assert_false(notified(f));
	push_one(f);
	assert_true(notified(f));
	assert_false(notified(f));
	mock_ring_set_no_interrupt(&f->ring, true);
	push_one(f);
	assert_false(notified(f));
	mock_ring_set_no_interrupt(&f->ring, false);
	push_one(f);
	assert_true(notified(f));
}

/* Exactly the push that moves the used index past used_event interrupts. */
static void test_2_7_7_interrupt_by_event_index(void **state)
{
	struct fixture *f = *state;

	/* The flags are ignored then (§2.7.7.2). */
	mock_ring_set_no_interrupt(&f->ring, true);
	mock_ring_start_at(&f->ring, 0xfffe);
	start(f, true);
	mock_ring_set_used_event(&f->ring, 0xffff);
	push_one(f);
	assert_false(notified(f));
	push_one(f);
	assert_true(notified(f));
	push_one(f);
	assert_false(notified(f));
	mock_ring_set_used_event(&f->ring, 3);
	for (unsigned i = 1; i < 4; i++) {
		assert_false(notified(f));
		push_one(f);
	}
	assert_true(notified(f));
}

/* 2^16 pushes without a notify: no comparison is possible, so interrupt. */
static void test_2_7_7_event_index_lapped(void **state)
{
	struct fixture *f = *state;
	uint16_t head;

	start(f, true);
	mock_ring_set_used_event(&f->ring, 100);
	head = take_one(f);
	for (unsigned i = 0; i < 1U << 16; i++)
		virtq_push(&f->q, head, 0);
	assert_true(notified(f));
	assert_false(notified(f));
}

/* --- 2.7.9, 2.7.10: kicks --- */

static void test_2_7_10_kicks_by_flags(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf buf = { f->data, 1, true };

	start(f, false);
	f->q.kick_fd = f->q.irq.fd;
	virtq_disable_kicks(&f->q);
	mock_ring_add(&f->ring, &buf, 1);
	assert_false(mock_ring_kick(&f->ring));
	assert_true(virtq_enable_kicks(&f->q));
	assert_int_equal(pop(f), 1);
	assert_false(virtq_enable_kicks(&f->q));
	mock_ring_add(&f->ring, &buf, 1);
	assert_true(mock_ring_kick(&f->ring));
}

static void test_2_7_10_kicks_by_event_index(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf buf = { f->data, 1, true };
	uint16_t flags;

	mock_ring_start_at(&f->ring, 0xffff);
	start(f, true);
	f->q.kick_fd = f->q.irq.fd;
	assert_false(virtq_enable_kicks(&f->q));
	for (unsigned i = 0; i < 4; i++) {
		mock_ring_add(&f->ring, &buf, 1);
		assert_true(mock_ring_kick(&f->ring));
		/* Not enabled again: the device is busy. The flags stay 0 (§2.7.10.1). */
		virtq_disable_kicks(&f->q);
		assert_int_equal(gmem_read(&f->env.mem, f->ring.used, &flags, sizeof(flags)), 0);
		assert_int_equal(flags, 0);
		mock_ring_add(&f->ring, &buf, 1);
		assert_false(mock_ring_kick(&f->ring));
		assert_int_equal(pop(f), 1);
		assert_true(virtq_enable_kicks(&f->q));
		assert_int_equal(pop(f), 1);
		assert_false(virtq_enable_kicks(&f->q));
	}
}

/* A kick for the third of three; what is there already counts. */
static void test_2_7_10_kicks_after_some_chains(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf buf = { f->data, 1, true };

	mock_ring_start_at(&f->ring, 0xfffe);
	start(f, true);
	f->q.kick_fd = f->q.irq.fd;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(virtq_available(&f->q), 0);
		assert_false(virtq_enable_kicks_after(&f->q, 3));
		mock_ring_add(&f->ring, &buf, 1);
		assert_false(mock_ring_kick(&f->ring));
		assert_false(virtq_enable_kicks_after(&f->q, 3));
		mock_ring_add(&f->ring, &buf, 1);
		assert_false(mock_ring_kick(&f->ring));
		assert_int_equal(virtq_available(&f->q), 2);
		mock_ring_add(&f->ring, &buf, 1);
		assert_true(mock_ring_kick(&f->ring));
		assert_true(virtq_enable_kicks_after(&f->q, 3));
		for (unsigned taken = 0; taken < 3; taken++)
			assert_int_equal(pop(f), 1);
	}
}

/* Without the event index a driver can only be asked for each. */
static void test_2_7_10_kicks_after_some_chains_by_flags(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf buf = { f->data, 1, true };

	start(f, false);
	f->q.kick_fd = f->q.irq.fd;
	virtq_disable_kicks(&f->q);
	assert_false(virtq_enable_kicks_after(&f->q, 3));
	mock_ring_add(&f->ring, &buf, 1);
	assert_true(mock_ring_kick(&f->ring));
	assert_true(virtq_enable_kicks_after(&f->q, 3));
}

/* --- The log of writes (core/memory.h) --- */

static bool is_dirty(struct fixture *f, uint64_t gpa)
{
	uint64_t page = ((uint8_t *)gmem_ptr(&f->env.mem, gpa, 1) - f->env.mem.base) / 4096;

	return f->env.mem.log[page / 64] >> page % 64 & 1;
}

static unsigned dirty_count(struct fixture *f)
{
	unsigned count = 0;

	for (uint64_t i = 0; i < f->env.mem.size / 4096 / 64; i++)
		count += (unsigned)__builtin_popcountll(f->env.mem.log[i]);
	return count;
}

/* Data, and what comes after it, in every page that the device may have touched; nothing else. */
static void test_pushed_buffers_and_the_ring_are_logged(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf bufs[] = {
		{ f->data, 4096, false },
		{ f->data + 2 * 4096, 2 * 4096, true },
		{ f->data + 6 * 4096, 1, true },
	};

	for (int indirect = 0; indirect < 2; indirect++) {
		struct gmem *mem = &f->env.mem;
		uint16_t head;
		uint32_t written;

		start(f, indirect);
		head = indirect ? mock_ring_add_indirect(&f->ring, bufs, 3) :
				  mock_ring_add(&f->ring, bufs, 3);
		assert_int_equal(memory_log_start(mem), 0);
		assert_int_equal(pop(f), 1);
		assert_int_equal(dirty_count(f), 0);
		virtq_push(&f->q, head, 1);
		assert_true(is_dirty(f, f->ring.used));
		assert_true(is_dirty(f, f->data + 2 * 4096));
		assert_true(is_dirty(f, f->data + 3 * 4096));
		assert_true(is_dirty(f, f->data + 6 * 4096));
		assert_int_equal(dirty_count(f), 4);
		memory_log_stop(mem);
		assert_true(mock_ring_reap(&f->ring, &head, &written));
		virtq_stop(&f->q);
	}
}

static void test_kick_suppression_is_logged(void **state)
{
	struct fixture *f = *state;

	for (int event_index = 0; event_index < 2; event_index++) {
		start(f, event_index);
		assert_int_equal(memory_log_start(&f->env.mem), 0);
		virtq_disable_kicks(&f->q);
		assert_int_equal(is_dirty(f, f->ring.used), !event_index);
		assert_int_equal(memory_log_start(&f->env.mem), 0);
		assert_false(virtq_enable_kicks(&f->q));
		assert_true(is_dirty(f, f->ring.used));
		virtq_stop(&f->q);
	}
}

/* A driver that changes a chain in flight harms its own RAM at most. */
static void test_a_chain_broken_in_flight_is_pushed(void **state)
{
	struct fixture *f = *state;
	uint16_t head;

	start(f, false);
	head = take_one(f);
	assert_int_equal(memory_log_start(&f->env.mem), 0);
	mock_ring_set_desc(&f->ring, head, f->data, 16, WRITE | NEXT, head);
	virtq_push(&f->q, head, 16);
	assert_true(is_dirty(f, f->data));
	assert_int_equal(mock_ring_used_index(&f->ring), 1);
}

#define T_LARGE(test) cmocka_unit_test_setup_teardown(test, setup_large, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_2_7_size_is_checked),
		TEST(test_2_7_alignment_is_checked),
		TEST(test_2_7_rings_lie_in_ram),
		TEST(test_2_7_6_event_fields_lie_in_ram),
		TEST(test_2_7_state_survives_a_stop),
		TEST(test_stopped_queue_does_nothing),
		TEST(test_2_7_5_chain_in_order),
		TEST(test_2_7_5_buffer_over_two_slots),
		TEST(test_2_7_5_buffer_outside_of_ram),
		TEST(test_2_7_5_zero_length_buffers),
		TEST(test_2_7_5_loops),
		TEST(test_2_7_5_chain_as_long_as_the_ring),
		TEST(test_2_7_5_next_out_of_range),
		TEST(test_2_7_4_2_readable_after_writable),
		T_LARGE(test_2_7_5_2_chain_longer_than_4_gib),
		T_LARGE(test_2_7_5_too_many_pieces),
		TEST(test_2_7_5_3_indirect_chain),
		TEST(test_2_7_5_3_2_direct_then_indirect),
		TEST(test_2_7_5_3_1_indirect_in_indirect),
		TEST(test_2_7_5_3_1_indirect_with_next),
		TEST(test_2_7_5_3_1_indirect_without_feature),
		TEST(test_2_7_5_3_indirect_table_size),
		TEST(test_2_7_5_3_indirect_table_outside_of_ram),
		TEST(test_2_7_5_3_indirect_loops_and_next_out_of_table),
		TEST(test_2_7_6_index_too_far_ahead),
		TEST(test_2_7_6_head_out_of_range),
		TEST(test_2_7_6_head_in_flight),
		TEST(test_2_7_6_unpop),
		TEST(test_2_7_6_indices_wrap),
		TEST(test_2_7_8_used_out_of_order),
		TEST(test_2_7_8_push_many),
		TEST(test_2_7_7_interrupt_by_flags),
		TEST(test_2_7_7_interrupt_by_event_index),
		TEST(test_2_7_7_event_index_lapped),
		TEST(test_2_7_10_kicks_by_flags),
		TEST(test_2_7_10_kicks_by_event_index),
		TEST(test_2_7_10_kicks_after_some_chains),
		TEST(test_2_7_10_kicks_after_some_chains_by_flags),
		TEST(test_pushed_buffers_and_the_ring_are_logged),
		TEST(test_kick_suppression_is_logged),
		TEST(test_a_chain_broken_in_flight_is_pushed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
