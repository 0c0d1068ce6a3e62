/* SPDX-License-Identifier: Apache-2.0 */
/* vhost's write log, on a fake vhost-net whose worker writes, and logs what it is told to log. */
#include "capture.h"
#include "unit.h"
#include "vhost_rig.h"

#include <linux/vhost.h>

#define GIB (1ULL << 30)

static const uint64_t OFFERED = BIT(VIRTIO_RING_F_EVENT_IDX);
static const uint64_t LOG_ALL = BIT(VHOST_F_LOG_ALL);

static int setup(void **state)
{
	*state = vhost_rig_new(OFFERED, LOG_ALL, true);
	return 0;
}

static int teardown(void **state)
{
	assert_int_equal(vhost_rig_free(*state), 0);
	return 0;
}

static int turn(struct vhost_rig *f, bool on)
{
	return f->vhost->listener.log(&f->vhost->listener, on);
}

/* The worker writes `len` bytes at `gpa`, and the used ring. */
static void receive(struct vhost_rig *f, unsigned ring, uint64_t gpa, uint32_t len)
{
	const struct mock_buf bufs[] = { { f->out, len, false }, { gpa, len, true } };
	uint32_t written;
	uint16_t head;

	mock_ring_add(&f->rings[ring], bufs, 2);
	mock_ring_kick(&f->rings[ring]);
	mock_env_dispatch(&f->env);
	assert_true(mock_ring_reap(&f->rings[ring], &head, &written));
	assert_int_equal(written, len);
}

/* The next round has these pages, in rising order. */
static void expect_pages(struct vhost_rig *f, const uint64_t *gpas, unsigned count)
{
	vhost_rig_read_log(f);
	assert_int_equal(f->seen_count, count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(f->seen[i], page_of(gpas[i]));
}

static void expect_logging(const struct vhost_rig *f, bool on)
{
	assert_int_equal(!!(f->kernel.features & LOG_ALL), on);
	for (unsigned i = 0; i < RINGS; i++)
		assert_int_equal(f->kernel.rings[i].addr.flags,
				 on ? 1U << VHOST_VRING_F_LOG : 0);
	if (on)
		assert_int_equal(f->kernel.log_base, (uintptr_t)f->vhost->log.words);
	else
		assert_null(f->vhost->log.words);
}

static void expect_requests(const struct vhost_rig *f, const unsigned long *expected, unsigned count)
{
	assert_int_equal(f->env.fake.request_count, count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(f->env.fake.requests[i], expected[i]);
}

/* --- On and off ------------------------------------------------------------------------------- */

static void test_on_and_off_while_rings_run(void **state)
{
	static const unsigned long on[] = { VHOST_SET_LOG_BASE, VHOST_SET_FEATURES,
					    VHOST_SET_VRING_ADDR, VHOST_SET_VRING_ADDR };
	struct vhost_rig *f = *state;
	uint64_t features;

	vhost_rig_start(f);
	features = f->kernel.features;
	f->env.fake.request_count = 0;
	assert_int_equal(turn(f, true), 0);
	expect_requests(f, on, 4);
	expect_logging(f, true);
	assert_int_equal(f->kernel.features, features | LOG_ALL);
	for (unsigned i = 0; i < RINGS; i++)
		assert_int_equal(f->kernel.rings[i].addr.log_guest_addr, f->rings[i].used);
	assert_int_equal(turn(f, true), 0);
	expect_requests(f, on, 4);

	f->env.fake.request_count = 0;
	assert_int_equal(turn(f, false), 0);
	assert_int_equal(turn(f, false), 0);
	expect_requests(f, on + 1, 3);
	expect_logging(f, false);
	assert_int_equal(f->kernel.features, features);
}

static void test_start_while_the_log_is_on(void **state)
{
	static const unsigned long first[] = { VHOST_SET_LOG_BASE, VHOST_SET_FEATURES,
					       VHOST_SET_MEM_TABLE };
	struct vhost_rig *f = *state;

	f->env.fake.request_count = 0;
	assert_int_equal(turn(f, true), 0);
	assert_int_equal(f->env.fake.request_count, 0);
	vhost_rig_start(f);
	assert_memory_equal(f->env.fake.requests, first, sizeof(first));
	expect_logging(f, true);
	mock_driver_status(&f->dev, 0);
	/* A device that stands still is told nothing; its next start is without the log. */
	f->env.fake.request_count = 0;
	assert_int_equal(turn(f, false), 0);
	assert_int_equal(f->env.fake.request_count, 0);
	vhost_rig_start(f);
	expect_logging(f, false);
}

static void test_a_queue_that_is_not_enabled_is_left_alone(void **state)
{
	struct vhost_rig *f = *state;

	mock_ring_bind(&f->rings[1], &f->dev.queues[1]);
	mock_driver_start(&f->dev, &f->transport, OFFERED);
	f->env.fake.request_count = 0;
	assert_int_equal(turn(f, true), 0);
	assert_int_equal(fake_sys_count(&f->env.fake, VHOST_SET_VRING_ADDR), 1);
	assert_int_equal(f->kernel.rings[1].addr.flags, 1U << VHOST_VRING_F_LOG);
}

/* Each round while the worker has work: no position is lost, no byte unlogged. */
static void test_a_thousand_times_under_load(void **state)
{
	struct vhost_rig *f = *state;
	uint64_t in = mock_alloc(&f->env, PAGE, PAGE), used = f->rings[0].used;

	vhost_rig_start(f);
	for (unsigned i = 0; i < 1000; i++) {
		receive(f, 0, in, 100);
		assert_int_equal(dirty_log_start(&f->log, &f->memslots, &f->env.mem), 0);
		receive(f, 0, in, 100);
		expect_pages(f, (uint64_t[]){ used, in }, 2);
		dirty_log_stop(&f->log);
		expect_logging(f, false);
	}
	receive(f, 0, in, 100);
	assert_false(f->dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* --- What is in it ---------------------------------------------------------------------------- */

static void test_pages_that_vhost_wrote(void **state)
{
	struct vhost_rig *f = *state;
	uint64_t in = mock_alloc(&f->env, 4 * PAGE, PAGE), used = f->rings[1].used;

	vhost_rig_start(f);
	receive(f, 1, in, 10);
	assert_int_equal(dirty_log_start(&f->log, &f->memslots, &f->env.mem), 0);
	expect_pages(f, NULL, 0);
	/* Not what it reads. Over the edge of a page, and in the last page of RAM. */
	receive(f, 1, in + PAGE - 1, 2);
	receive(f, 1, MOCK_RAM_END - 1, 1);
	expect_pages(f, (uint64_t[]){ used, in, in + PAGE, MOCK_RAM_END - 1 }, 4);
	expect_pages(f, NULL, 0);
	/* Where two slots touch. */
	receive(f, 1, MOCK_SEAM - 1, 2);
	expect_pages(f, (uint64_t[]){ used, MOCK_SEAM - 1, MOCK_SEAM }, 3);
}

static void test_kinglets_own_writes_join(void **state)
{
	struct vhost_rig *f = *state;
	uint64_t in = mock_alloc(&f->env, 2 * PAGE, PAGE), used = f->rings[0].used;

	vhost_rig_start(f);
	assert_int_equal(dirty_log_start(&f->log, &f->memslots, &f->env.mem), 0);
	receive(f, 0, in, 10);
	assert_int_equal(gmem_write(&f->env.mem, in, "k", 1), 0);
	assert_int_equal(gmem_write(&f->env.mem, in + PAGE, "k", 1), 0);
	expect_pages(f, (uint64_t[]){ used, in, in + PAGE }, 3);
}

/* The last round is after the stop: what the device wrote until then is in it. */
static void test_last_round_of_a_frozen_device(void **state)
{
	struct vhost_rig *f = *state;
	uint64_t in = mock_alloc(&f->env, PAGE, PAGE), used = f->rings[0].used;

	vhost_rig_start(f);
	assert_int_equal(dirty_log_start(&f->log, &f->memslots, &f->env.mem), 0);
	receive(f, 0, in, 10);
	virtio_freeze(&f->dev);
	expect_pages(f, (uint64_t[]){ used, in }, 2);
	virtio_thaw(&f->dev);
	expect_logging(f, true);
	mock_env_dispatch(&f->env);
	vhost_rig_read_log(f);
	receive(f, 0, in, 10);
	mock_driver_status(&f->dev, 0);
	expect_pages(f, (uint64_t[]){ used, in }, 2);
}

/* --- Its size --------------------------------------------------------------------------------- */

struct layout {
	struct gmem_slot slots[3];
	uint64_t words;
};

static void expect_words(struct vhost_rig *f, const struct layout *layout)
{
	struct gmem_listener *listener = &f->vhost->listener;
	unsigned n = 0;

	for (; n < 3 && layout->slots[n].len; n++)
		assert_int_equal(listener->add(listener, &layout->slots[n]), 0);
	assert_int_equal(turn(f, true), 0);
	assert_int_equal(f->vhost->log.count, layout->words);
	assert_int_equal(turn(f, false), 0);
	while (n--)
		listener->remove(listener, &layout->slots[n]);
}

static void test_size_at_each_layout(void **state)
{
	/* A bit for 4 KiB, whole words of 64: 256 KiB each. */
	static const struct layout layouts[] = {
		{ { { .gpa = 0, .len = PAGE } }, 1 },
		{ { { .gpa = 0, .len = 64 * PAGE } }, 1 },
		{ { { .gpa = 0, .len = 65 * PAGE } }, 2 },
		{ { { .gpa = 0, .len = 128 << 20 } }, 512 },
		/* x86: 3 GiB below the hole, the rest above 4 GiB. */
		{ { { .gpa = 0, .len = 3 * GIB } }, 12288 },
		{ { { .gpa = 0, .len = 3 * GIB }, { .gpa = 4 * GIB, .len = PAGE } }, 16385 },
		{ { { .gpa = 0, .len = 3 * GIB }, { .gpa = 4 * GIB, .len = 5 * GIB } }, 36864 },
		/* arm64: from 1 GiB. */
		{ { { .gpa = GIB, .len = GIB } }, 8192 },
		/* In any order. */
		{ { { .gpa = 4 * GIB, .len = GIB }, { .gpa = 0, .len = GIB } }, 20480 },
	};
	struct vhost_rig *f = *state;
	struct gmem_listener *listener = &f->vhost->listener;

	for (unsigned i = 0; i < f->env.mem.count; i++)
		listener->remove(listener, &f->env.mem.slots[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(layouts); i++)
		expect_words(f, &layouts[i]);
	for (unsigned i = 0; i < f->env.mem.count; i++)
		assert_int_equal(listener->add(listener, &f->env.mem.slots[i]), 0);
}

static const struct gmem_slot high = { .gpa = 4 * GIB, .len = PAGE, .hva = (uint8_t *)4096 };
enum { WORDS = MOCK_RAM_END / PAGE / 64, WORDS_HIGH = 4 * GIB / PAGE / 64 + 1 };

static void test_grows_before_the_table_and_shrinks_after_it(void **state)
{
	static const unsigned long grow[] = { VHOST_SET_LOG_BASE, VHOST_SET_MEM_TABLE };
	static const unsigned long shrink[] = { VHOST_SET_MEM_TABLE, VHOST_SET_LOG_BASE };
	struct vhost_rig *f = *state;
	struct gmem_listener *listener = &f->vhost->listener;
	uint64_t in = mock_alloc(&f->env, PAGE, PAGE), used = f->rings[0].used;

	vhost_rig_start(f);
	assert_int_equal(dirty_log_start(&f->log, &f->memslots, &f->env.mem), 0);
	assert_int_equal(f->vhost->log.count, WORDS);
	receive(f, 0, in, 1);
	f->env.fake.request_count = 0;
	assert_int_equal(listener->add(listener, &high), 0);
	expect_requests(f, grow, 2);
	assert_int_equal(f->vhost->log.count, WORDS_HIGH);
	expect_logging(f, true);
	receive(f, 0, MOCK_HIGH, 1);

	f->env.fake.request_count = 0;
	listener->remove(listener, &high);
	expect_requests(f, shrink, 2);
	assert_int_equal(f->vhost->log.count, WORDS);
	expect_logging(f, true);
	/* What was noted is kept. */
	expect_pages(f, (uint64_t[]){ used, in, MOCK_HIGH }, 3);
}

static void test_log_that_cannot_grow(void **state)
{
	struct vhost_rig *f = *state;
	struct gmem_listener *listener = &f->vhost->listener;
	uint64_t in = mock_alloc(&f->env, PAGE, PAGE);

	vhost_rig_start(f);
	assert_int_equal(turn(f, true), 0);
	f->refused = VHOST_SET_LOG_BASE;
	assert_int_equal(listener->add(listener, &high), -EIO);
	assert_int_equal(f->kernel.memory.nregions, 3);
	assert_int_equal(f->vhost->log.count, WORDS);
	expect_logging(f, true);
	receive(f, 0, in, 1);
}

/* The longer log stays, which does no harm. */
static void test_log_that_cannot_shrink(void **state)
{
	struct vhost_rig *f = *state;
	struct gmem_listener *listener = &f->vhost->listener;
	uint64_t in = mock_alloc(&f->env, PAGE, PAGE);

	vhost_rig_start(f);
	assert_int_equal(turn(f, true), 0);
	assert_int_equal(listener->add(listener, &high), 0);
	f->refused = VHOST_SET_LOG_BASE;
	listener->remove(listener, &high);
	assert_int_equal(f->kernel.memory.nregions, 3);
	assert_int_equal(f->vhost->log.count, WORDS_HIGH);
	receive(f, 0, in, 1);
	assert_false(f->dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* --- Errors ----------------------------------------------------------------------------------- */

/* The device goes on, and nothing is logged. */
static void test_nth_failure_when_it_is_turned_on(void **state)
{
	struct vhost_rig *f = *state;
	uint64_t in = mock_alloc(&f->env, PAGE, PAGE);

	vhost_rig_start(f);
	/* Three memory slots of KVM, then the four of vhost. */
	for (unsigned n = 1; n <= 3 + 4; n++) {
		f->env.fake.fail_at = f->env.fake.calls + n;
		assert_int_equal(dirty_log_start(&f->log, &f->memslots, &f->env.mem), -EIO);
		expect_logging(f, false);
		for (unsigned i = 0; i < RINGS; i++)
			receive(f, i, in, 100);
		assert_false(f->dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
	}
	/* vhost undoes its own steps. */
	for (unsigned n = 1; n <= 4; n++) {
		f->env.fake.fail_at = f->env.fake.calls + n;
		assert_int_equal(turn(f, true), -EIO);
		expect_logging(f, false);
	}
	assert_int_equal(dirty_log_start(&f->log, &f->memslots, &f->env.mem), 0);
	expect_logging(f, true);
}

/* The kernel goes on to write to the log, so its memory stays until it is needed no more. */
static void test_nth_failure_when_it_is_turned_off(void **state)
{
	struct vhost_rig *f = *state;
	uint64_t in = mock_alloc(&f->env, PAGE, PAGE);

	vhost_rig_start(f);
	for (unsigned n = 1; n <= 3; n++) {
		assert_int_equal(turn(f, true), 0);
		f->env.fake.fail_at = f->env.fake.calls + n;
		assert_int_equal(turn(f, false), 0);
		assert_non_null(f->vhost->log.words);
		/* asan would tell */
		receive(f, 0, in, 100);
		receive(f, 1, in, 100);
		assert_int_equal(f->vhost->listener.add(&f->vhost->listener, &high), 0);
		assert_int_equal(f->vhost->log.count, WORDS_HIGH);
		assert_int_equal(f->kernel.log_base, (uintptr_t)f->vhost->log.words);
		f->vhost->listener.remove(&f->vhost->listener, &high);
	}
	assert_int_equal(turn(f, true), 0);
	assert_int_equal(turn(f, false), 0);
	expect_logging(f, false);
}

static void test_nth_failure_at_a_start_with_the_log(void **state)
{
	struct vhost_rig *f = *state;

	assert_int_equal(turn(f, true), 0);
	for (unsigned n = 1; n <= 3 + 2 * 6 + 2; n++) {
		for (unsigned i = 0; i < RINGS; i++)
			mock_ring_bind(&f->rings[i], &f->dev.queues[i]);
		f->env.fake.fail_at = f->env.fake.calls + n;
		assert_true(mock_driver_start(&f->dev, &f->transport, OFFERED) &
			    VIRTIO_CONFIG_S_NEEDS_RESET);
		assert_int_equal(fake_vhost_running(&f->kernel), 0);
		mock_driver_status(&f->dev, 0);
	}
	vhost_rig_start(f);
	expect_logging(f, true);
}

static void test_failure_is_named(void **state)
{
	struct vhost_rig *f = *state;
	struct capture capture;
	int ret;

	vhost_rig_start(f);
	f->refused = VHOST_SET_LOG_BASE;
	capture_stderr_begin(&capture);
	ret = turn(f, true);
	capture_expect_all(&capture, "kinglet: virtio-net 0: VHOST_SET_LOG_BASE: Input/output error\n");
	assert_int_equal(ret, -EIO);
}

static void test_kernel_without_a_log(void **state)
{
	struct vhost_rig *f = *state;
	struct capture capture;
	int ret;

	vhost_rig_start(f);
	f->vhost->features &= ~LOG_ALL;
	f->env.fake.request_count = 0;
	capture_stderr_begin(&capture);
	ret = turn(f, true);
	capture_expect_all(&capture,
			   "kinglet: virtio-net 0: its vhost-net has no write log\n");
	assert_int_equal(ret, -EOPNOTSUPP);
	assert_int_equal(f->env.fake.request_count, 0);
}

/* The log is between Kinglet and the kernel: a driver that wants it is refused. */
static void test_guest_cannot_turn_it_on(void **state)
{
	struct vhost_rig *f = *state;

	mock_transport_init(&f->transport, &f->dev);
	mock_driver_status(&f->dev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	mock_driver_status(&f->dev, VIRTIO_CONFIG_S_DRIVER);
	assert_false(virtio_offered(&f->dev) & LOG_ALL);
	f->dev.acked = OFFERED | BIT(VIRTIO_F_VERSION_1) | LOG_ALL;
	mock_driver_status(&f->dev, VIRTIO_CONFIG_S_FEATURES_OK);
	assert_false(f->dev.status & VIRTIO_CONFIG_S_FEATURES_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_on_and_off_while_rings_run),
		TEST(test_start_while_the_log_is_on),
		TEST(test_a_queue_that_is_not_enabled_is_left_alone),
		TEST(test_a_thousand_times_under_load),
		TEST(test_pages_that_vhost_wrote),
		TEST(test_kinglets_own_writes_join),
		TEST(test_last_round_of_a_frozen_device),
		TEST(test_size_at_each_layout),
		TEST(test_grows_before_the_table_and_shrinks_after_it),
		TEST(test_log_that_cannot_grow),
		TEST(test_log_that_cannot_shrink),
		TEST(test_nth_failure_when_it_is_turned_on),
		TEST(test_nth_failure_when_it_is_turned_off),
		TEST(test_nth_failure_at_a_start_with_the_log),
		TEST(test_failure_is_named),
		TEST(test_kernel_without_a_log),
		TEST(test_guest_cannot_turn_it_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
