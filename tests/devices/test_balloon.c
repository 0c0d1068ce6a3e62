/* SPDX-License-Identifier: Apache-2.0 */
/* The memory balloon, virtio 1.2 §5.5. */
#include "backend/local.h"
#include "capture.h"
#include "saved.h"
#include "devices/balloon.h"
#include "mock_ring.h"

#include <string.h>

#include "unit.h"

enum {
	PAGE = 4096,
	PAGES = 16, /* of the guest, filled with 'k' */
	REPORTING = 1 << VIRTIO_BALLOON_F_REPORTING,
	STATS = 1 << VIRTIO_BALLOON_F_STATS_VQ,
	INTERVAL_MS = 20,
	LONG_MS = 10000, /* for what comes in much less */
};

struct fixture {
	struct mock_env env;
	struct mock_ring rings[5];
	struct mock_transport transport;
	uint64_t array; /* GPA of 64 KiB for what the driver says */
	uint64_t pages; /* GPA */
};

static void fill_pages(struct fixture *f)
{
	memset(gmem_ptr(&f->env.mem, f->pages, PAGES * PAGE), 'k', PAGES * PAGE);
}

/* Fresh ones, as a driver has after a reset. */
static void make_rings(struct fixture *f)
{
	for (unsigned i = 0; i < f->env.dev->queue_count; i++)
		mock_ring_init(&f->rings[i], &f->env, 16);
}

static void make(struct fixture *f, const struct balloon_config *config)
{
	mock_env_init(&f->env);
	assert_int_equal(virtio_balloon_new(&f->env.dev, &f->env.virtio, 0, config), 0);
	assert_int_equal(local_backend_bind(f->env.dev, 0, f->env.dev->queue_count), 0);
	make_rings(f);
	f->array = mock_alloc(&f->env, 64 << 10, PAGE);
	f->pages = mock_alloc(&f->env, PAGES * PAGE, PAGE);
	fill_pages(f);
}

static int setup(void **state)
{
	const struct balloon_config config = {
		.size = 3 * PAGE, .free_page_reporting = true
	};
	struct fixture *f = test_calloc(1, sizeof(*f));

	make(f, &config);
	*state = f;
	return 0;
}

static void start(struct fixture *f, uint64_t features)
{
	for (unsigned i = 0; i < f->env.dev->queue_count; i++)
		mock_ring_bind(&f->rings[i], &f->env.dev->queues[i]);
	assert_true(mock_driver_start(f->env.dev, &f->transport, features) &
		    VIRTIO_CONFIG_S_DRIVER_OK);
	mock_env_dispatch(&f->env);
}

/* Bit n: page n reads as zero. */
static unsigned given_back(struct fixture *f)
{
	const char *pages = gmem_ptr(&f->env.mem, f->pages, PAGES * PAGE);
	unsigned mask = 0;

	for (unsigned i = 0; i < PAGES; i++)
		mask |= (unsigned)!pages[i * PAGE] << i;
	return mask;
}

/* Makes the buffers available, and has the device use them with nothing written. */
static void request(struct fixture *f, unsigned queue, const struct mock_buf *bufs, unsigned n)
{
	struct mock_ring *ring = &f->rings[queue];
	uint16_t head = mock_ring_add(ring, bufs, n), used;
	uint32_t written;

	mock_ring_kick(ring);
	mock_env_dispatch(&f->env);
	assert_true(mock_ring_reap(ring, &used, &written));
	assert_int_equal(used, head);
	assert_int_equal(written, 0);
	assert_true(mock_irq_taken(&f->env.dev->queues[queue].irq));
}

static void inflate(struct fixture *f, const uint32_t *pfns, unsigned count)
{
	const struct mock_buf buf = { f->array, count * (uint32_t)sizeof(*pfns), false };

	assert_int_equal(gmem_write(&f->env.mem, f->array, pfns, buf.len), 0);
	request(f, 0, &buf, 1);
}

static struct virtio_balloon_stats stats_of(struct fixture *f)
{
	struct virtio_balloon_stats stats;

	virtio_balloon_get_stats(f->env.dev, &stats);
	return stats;
}

static uint32_t read_config(struct fixture *f, unsigned off)
{
	uint32_t value;

	virtio_config_read(f->env.dev, off, &value, sizeof(value));
	return le32toh(value);
}

static void assert_broken(struct fixture *f)
{
	assert_true(f->env.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_false(f->env.dev->started);
	assert_int_equal(f->transport.config_changes, 1);
}

/* --- Configuration, §5.5.4 ------------------------------------------------------------------ */

static void test_5_5_4_size_is_asked_for_and_actual_is_the_driver_s(void **state)
{
	struct fixture *f = *state;
	uint32_t value = htole32(2);

	assert_int_equal(f->env.dev->config_len, 8);
	assert_int_equal(read_config(f, 0), 3);
	assert_int_equal(read_config(f, 4), 0);
	virtio_config_write(f->env.dev, 4, &value, sizeof(value));
	assert_int_equal(read_config(f, 4), 2);
	virtio_config_write(f->env.dev, 0, &value, sizeof(value));
	assert_int_equal(read_config(f, 0), 3);
	assert_int_equal(stats_of(f).target, 3 * PAGE);
	assert_int_equal(stats_of(f).actual, 2 * PAGE);
}

/* The guest hears of it by the interrupt; what is no size of its memory is refused. */
static void test_resize_asks_for_another_size(void **state)
{
	struct fixture *f = *state;
	struct virtio_dev *dev = f->env.dev;

	start(f, 0);
	assert_int_equal(dev->model->resize(dev, f->env.mem.size), -EINVAL);
	assert_int_equal(dev->model->resize(dev, PAGE + 1), -EINVAL);
	assert_int_equal(f->transport.config_changes, 0);
	assert_int_equal(dev->model->resize(dev, 7 * PAGE), 0);
	assert_int_equal(f->transport.config_changes, 1);
	assert_int_equal(read_config(f, 0), 7);
	assert_int_equal(stats_of(f).target, 7 * PAGE);
}

static void test_5_5_3_what_is_offered_follows_the_config(void **state)
{
	const uint64_t reporting = 1ULL << VIRTIO_BALLOON_F_REPORTING;
	const uint64_t on_oom = 1ULL << VIRTIO_BALLOON_F_DEFLATE_ON_OOM;
	const uint64_t poison = 1ULL << VIRTIO_BALLOON_F_PAGE_POISON;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		const struct balloon_config config = {
			.free_page_reporting = i & 1, .deflate_on_oom = i & 2
		};
		struct fixture f;

		make(&f, &config);
		assert_int_equal(!!(f.env.dev->offered & reporting), i & 1);
		assert_int_equal(!!(f.env.dev->offered & on_oom), i >> 1);
		/* A guest that counts on what its free pages hold then does without reporting. */
		assert_false(f.env.dev->offered & poison);
		assert_int_equal(f.env.dev->queue_count, i & 1 ? 5 : 3);
		mock_env_destroy(&f.env);
	}
}

static void test_ram_that_is_too_small_or_of_huge_pages_is_refused(void **state)
{
	struct fixture *f = *state;
	struct balloon_config config = { .size = f->env.mem.size };
	struct virtio_dev *dev;

	assert_int_equal(virtio_balloon_new(&dev, &f->env.virtio, 0, &config), -EINVAL);
	config.size = 0;
	f->env.mem.hugepages = true;
	assert_int_equal(virtio_balloon_new(&dev, &f->env.virtio, 0, &config), -EINVAL);
}

/* --- Inflation, §5.5.6 ---------------------------------------------------------------------- */

static void test_5_5_6_inflation_gives_pages_back(void **state)
{
	struct fixture *f = *state;
	const uint32_t first = (uint32_t)(f->pages / PAGE);
	/* Neither in order nor each one once. */
	const uint32_t pfns[] = { first + 5, first + 3, first + 4, first + 3, first + 9 };

	start(f, 0);
	inflate(f, pfns, ARRAY_SIZE(pfns));
	assert_int_equal(given_back(f), 1U << 3 | 1U << 4 | 1U << 5 | 1U << 9);
	assert_int_equal(stats_of(f).inflated, 4 * PAGE);
}

/* Over the seam of two slots, which lie side by side for the guest. */
static void test_5_5_6_a_run_may_span_slots(void **state)
{
	struct fixture *f = *state;
	const uint32_t pfns[] = { MOCK_SEAM / PAGE - 1, MOCK_SEAM / PAGE };

	start(f, 0);
	inflate(f, pfns, ARRAY_SIZE(pfns));
	assert_int_equal(stats_of(f).inflated, 2 * PAGE);
}

static void test_5_5_6_what_is_no_ram_is_ignored(void **state)
{
	struct fixture *f = *state;
	const uint32_t pfns[] = { MOCK_HOLE / PAGE, UINT32_MAX, UINT32_MAX - 1, MOCK_RAM_END / PAGE,
				  (uint32_t)(f->pages / PAGE) };

	start(f, 0);
	inflate(f, pfns, ARRAY_SIZE(pfns));
	assert_int_equal(given_back(f), 1);
	assert_int_equal(stats_of(f).inflated, PAGE);
}

/* Of an array as long as the guest's memory, the first 1024 are served: not more in one turn. */
static void test_5_5_6_a_request_is_bounded(void **state)
{
	struct fixture *f = *state;
	uint32_t pfns[1024 + PAGES];

	for (unsigned i = 0; i < ARRAY_SIZE(pfns); i++)
		pfns[i] = htole32(i < 1024 ? MOCK_HIGH / PAGE + i / 2
					   : (uint32_t)(f->pages / PAGE) + i - 1024);
	start(f, 0);
	inflate(f, pfns, ARRAY_SIZE(pfns));
	assert_int_equal(given_back(f), 0);
	assert_int_equal(stats_of(f).inflated, 512 * PAGE);
}

/* No array, part of an entry, or one that the device may only write to. */
static void test_5_5_6_a_request_without_pages_is_used(void **state)
{
	struct fixture *f = *state;
	const uint32_t pfn = htole32((uint32_t)(f->pages / PAGE));
	const struct mock_buf bufs[] = {
		{ f->array, 0, false }, { f->array, 3, false }, { f->array, 4, true }
	};

	assert_int_equal(gmem_write(&f->env.mem, f->array, &pfn, sizeof(pfn)), 0);
	start(f, REPORTING);
	for (unsigned i = 0; i < ARRAY_SIZE(bufs); i++)
		request(f, 0, &bufs[i], 1);
	assert_int_equal(given_back(f), 0);
}

static void test_5_5_6_deflation_is_acknowledged(void **state)
{
	struct fixture *f = *state;
	const uint32_t pfn = htole32((uint32_t)(f->pages / PAGE));
	const struct mock_buf buf = { f->array, sizeof(pfn), false };

	assert_int_equal(gmem_write(&f->env.mem, f->array, &pfn, sizeof(pfn)), 0);
	start(f, REPORTING);
	request(f, 1, &buf, 1);
	assert_int_equal(given_back(f), 0);
}

static void test_2_7_damaged_ring_breaks_the_device(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 5; i++) {
		start(f, REPORTING | STATS);
		mock_ring_set_avail_index(&f->rings[i], 17);
		eventfd_signal(f->env.dev->queues[i].kick_fd);
		mock_env_dispatch(&f->env);
		assert_broken(f);
		mock_driver_status(f->env.dev, 0);
		make_rings(f);
	}
}

/* A full ring is served one request a turn, so that the loop gets to others in between. */
static void test_serve_is_bounded_and_comes_back(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf buf = { f->array, 4, false };

	start(f, 0);
	for (unsigned i = 0; i < 3; i++)
		mock_ring_add(&f->rings[0], &buf, 1);
	assert_true(mock_ring_kick(&f->rings[0]));
	for (uint16_t i = 1; i <= 3; i++) {
		assert_true(mock_env_wait(&f->env, 0));
		assert_int_equal(mock_ring_used_index(&f->rings[0]), i);
	}
	assert_false(mock_env_wait(&f->env, 0));
	mock_ring_add(&f->rings[0], &buf, 1);
	assert_true(mock_ring_kick(&f->rings[0]));
}

/* --- Free page reporting, §5.5.6.7 ---------------------------------------------------------- */

/* Queue 3 as Linux and QEMU count, queue 4 as the specification does. */
static void test_5_5_6_7_reported_pages_are_given_back(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf bufs[] = {
		{ f->pages + PAGE, 2 * PAGE, true }, { f->pages + 5 * PAGE, PAGE, true }
	};

	start(f, REPORTING);
	for (unsigned queue = 3; queue <= 4; queue++) {
		fill_pages(f);
		request(f, queue, bufs, ARRAY_SIZE(bufs));
		assert_int_equal(given_back(f), 1U << 1 | 1U << 2 | 1U << 5);
	}
	assert_int_equal(stats_of(f).reported, 6 * PAGE);
}

/* Parts of pages stay, and so does what is not the device's to write. */
static void test_5_5_6_7_only_whole_pages_are_given_back(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf bufs[] = { { f->pages, PAGE, false },
					 { f->pages + 2 * PAGE + 1, 2 * PAGE, true },
					 { f->pages + 8 * PAGE, PAGE - 1, true } };

	start(f, REPORTING);
	request(f, 4, bufs, ARRAY_SIZE(bufs));
	assert_int_equal(given_back(f), 1U << 3);
}

static void test_5_5_6_7_what_is_no_ram_breaks_the_device(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf buf = { MOCK_HOLE - PAGE, 2 * PAGE, true };

	start(f, REPORTING);
	mock_ring_add(&f->rings[4], &buf, 1);
	mock_ring_kick(&f->rings[4]);
	mock_env_dispatch(&f->env);
	assert_broken(f);
	assert_int_equal(stats_of(f).reported, 0);
}

/* Such a driver has not said that its buffers are free pages. */
static void test_5_5_2_no_reports_without_the_feature(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf buf = { f->pages, PAGE, true };

	start(f, STATS);
	for (unsigned queue = 3; queue <= 4; queue++)
		request(f, queue, &buf, 1);
	assert_int_equal(given_back(f), 0);
}

/* It may report its own rings. They read as zero then, and that is all. */
static void test_rings_that_are_reported_do_no_harm(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf buf = { 0, MOCK_SLOT_LEN, true };

	start(f, REPORTING | STATS);
	mock_ring_add(&f->rings[3], &buf, 1);
	mock_ring_kick(&f->rings[3]);
	mock_env_dispatch(&f->env);
	assert_int_equal(given_back(f), (1U << PAGES) - 1);
	assert_int_equal(stats_of(f).reported, MOCK_SLOT_LEN);
}

/* --- Statistics, §5.5.6.3 ------------------------------------------------------------------- */

static void put_stat(struct fixture *f, unsigned index, uint16_t tag, uint64_t value)
{
	const struct virtio_balloon_stat stat = { .tag = htole16(tag), .val = htole64(value) };

	assert_int_equal(gmem_write(&f->env.mem, f->array + index * sizeof(stat), &stat,
				    sizeof(stat)), 0);
}

static void answer(struct fixture *f, unsigned stats)
{
	const struct mock_buf buf = {
		f->array, stats * (uint32_t)sizeof(struct virtio_balloon_stat), false
	};

	mock_ring_add(&f->rings[2], &buf, 1);
	mock_ring_kick(&f->rings[2]);
	mock_env_dispatch(&f->env);
}

static void test_5_5_6_3_statistics_in_any_order(void **state)
{
	struct fixture *f = *state;
	struct virtio_balloon_stats stats;

	start(f, STATS);
	put_stat(f, 0, VIRTIO_BALLOON_S_MEMTOT, 1ULL << 40);
	put_stat(f, 1, 0x7fff, 1);
	put_stat(f, 2, VIRTIO_BALLOON_S_NR, 2);
	put_stat(f, 3, VIRTIO_BALLOON_S_SWAP_IN, 7);
	answer(f, 4);
	stats = stats_of(f);
	assert_int_equal(stats.guest[VIRTIO_BALLOON_S_MEMTOT], 1ULL << 40);
	assert_int_equal(stats.guest[VIRTIO_BALLOON_S_SWAP_IN], 7);
	/* The buffer is kept for the next question, which with no interval never comes. */
	assert_int_equal(mock_ring_used_index(&f->rings[2]), 0);
}

/* As Linux counts: without statistics, the third queue is the one for reports. */
static void test_5_5_2_the_third_queue_without_statistics(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf buf = { f->pages, PAGE, true };

	start(f, REPORTING);
	request(f, 2, &buf, 1);
	assert_int_equal(given_back(f), 1);
}

/* More than there can be, and none at all. */
static void test_5_5_6_3_statistics_of_any_length(void **state)
{
	struct fixture *f = *state;
	uint16_t head;
	uint32_t written;

	start(f, STATS);
	for (unsigned i = 0; i < 1000; i++)
		put_stat(f, i, VIRTIO_BALLOON_S_MEMFREE, i);
	answer(f, 1000);
	assert_int_equal(stats_of(f).guest[VIRTIO_BALLOON_S_MEMFREE], 63);
	/* A second buffer, which must not come: the first one is given back. */
	answer(f, 0);
	assert_true(mock_ring_reap(&f->rings[2], &head, &written));
	assert_false(mock_ring_reap(&f->rings[2], &head, &written));
	assert_int_equal(stats_of(f).guest[VIRTIO_BALLOON_S_MEMFREE], 0);
}

/* The device has it, and must not lose it. */
static void test_the_statistics_buffer_outlives_a_freeze(void **state)
{
	struct fixture *f = *state;
	uint16_t head;
	uint32_t written;

	start(f, STATS);
	put_stat(f, 0, VIRTIO_BALLOON_S_MEMFREE, 5);
	answer(f, 1);
	virtio_freeze(f->env.dev);
	assert_int_equal(f->env.dev->queues[2].state.last_avail, 0);
	assert_false(f->env.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	virtio_thaw(f->env.dev);
	mock_env_dispatch(&f->env);
	/* It can still be given back. */
	answer(f, 0);
	assert_true(mock_ring_reap(&f->rings[2], &head, &written));
}

static void test_5_5_6_3_the_driver_is_asked_again(void **state)
{
	const struct balloon_config config = { .stats_interval = INTERVAL_MS * 1000000 };
	struct fixture f;
	uint16_t head;
	uint32_t written;

	(void)state;
	make(&f, &config);
	start(&f, STATS);
	for (unsigned i = 1; i <= 3; i++) {
		put_stat(&f, 0, VIRTIO_BALLOON_S_MEMFREE, i);
		answer(&f, 1);
		assert_int_equal(stats_of(&f).guest[VIRTIO_BALLOON_S_MEMFREE], i);
		while (!mock_ring_reap(&f.rings[2], &head, &written))
			assert_true(mock_env_wait(&f.env, LONG_MS));
		assert_true(mock_irq_taken(&f.env.dev->queues[2].irq));
	}
	/* Not before it has answered. */
	assert_false(mock_env_wait(&f.env, 2 * INTERVAL_MS));
	mock_env_destroy(&f.env);
}

static void test_what_stats_shows(void **state)
{
	struct fixture *f = *state;
	const uint32_t actual = htole32(2 << 8);
	struct capture capture;

	start(f, STATS);
	put_stat(f, 0, VIRTIO_BALLOON_S_MEMTOT, 200ULL << 20);
	put_stat(f, 1, VIRTIO_BALLOON_S_CACHES, 5ULL << 20);
	put_stat(f, 2, VIRTIO_BALLOON_S_MAJFLT, 7);
	answer(f, 3);
	virtio_config_write(f->env.dev, 4, &actual, sizeof(actual));
	capture_stderr_begin(&capture);
	f->env.dev->model->print_stats(f->env.dev);
	capture_expect_all(&capture,
			   "kinglet: virtio-balloon 0: 2 of 0 MiB in the balloon; "
			   "given back: 0 MiB from it, 0 MiB reported free\n"
			   "kinglet: virtio-balloon 0: the guest has 200 MiB: 0 free, "
			   "0 available, 5 caches; 0 swapped in, 0 out; 7 major faults\n");
}

static void expect_stat(const struct virtio_stat *stats, unsigned count, const char *name,
			uint64_t value)
{
	unsigned i = 0;

	while (i < count && strcmp(stats[i].name, name) != 0)
		i++;
	assert_true(i < count);
	assert_int_equal(stats[i].value, value);
}

static void test_stats_are_numbers_for_programs(void **state)
{
	struct fixture *f = *state;
	const uint32_t actual = htole32(2 << 8);
	struct virtio_stat stats[VIRTIO_STATS_MAX];
	unsigned count;

	start(f, STATS);
	assert_int_equal(f->env.dev->model->get_stats(f->env.dev, stats), 4);
	put_stat(f, 0, VIRTIO_BALLOON_S_MEMTOT, 200ULL << 20);
	put_stat(f, 1, VIRTIO_BALLOON_S_MAJFLT, 7);
	answer(f, 2);
	virtio_config_write(f->env.dev, 4, &actual, sizeof(actual));
	count = f->env.dev->model->get_stats(f->env.dev, stats);
	expect_stat(stats, count, "actual", 2 << 20);
	expect_stat(stats, count, "guest_memory", 200ULL << 20);
	expect_stat(stats, count, "guest_major_faults", 7);
}

static void test_reset_begins_anew(void **state)
{
	const struct balloon_config config = {
		.size = PAGE, .stats_interval = INTERVAL_MS * 1000000
	};
	const uint32_t value = htole32(1);
	struct fixture f;

	(void)state;
	make(&f, &config);
	start(&f, STATS);
	put_stat(&f, 0, VIRTIO_BALLOON_S_MEMFREE, 5);
	answer(&f, 1);
	virtio_config_write(f.env.dev, 4, &value, sizeof(value));
	mock_driver_status(f.env.dev, 0);
	assert_int_equal(read_config(&f, 4), 0);
	assert_int_equal(read_config(&f, 0), 1);
	/* A guest resets its devices when it goes down: for the report, what it said stays. */
	assert_int_equal(stats_of(&f).actual, PAGE);
	assert_int_equal(stats_of(&f).guest[VIRTIO_BALLOON_S_MEMFREE], 5);
	/* The next driver has given nothing: it is not asked. */
	make_rings(&f);
	start(&f, STATS);
	assert_false(mock_env_wait(&f.env, 2 * INTERVAL_MS));
	assert_int_equal(mock_ring_used_index(&f.rings[2]), 0);
	mock_env_destroy(&f.env);
}

/* --- Save and restore ------------------------------------------------------------------------ */

/* Another device takes the driver over. */
static void move(struct fixture *f, const struct balloon_config *config)
{
	struct saved saved;

	virtio_freeze(f->env.dev);
	device_save(&saved, f->env.dev);
	mock_driver_status(f->env.dev, 0);
	f->env.dev->model->destroy(f->env.dev);
	assert_int_equal(virtio_balloon_new(&f->env.dev, &f->env.virtio, 0, config), 0);
	assert_int_equal(local_backend_bind(f->env.dev, 0, f->env.dev->queue_count), 0);
	mock_transport_init(&f->transport, f->env.dev);
	for (unsigned i = 0; i < f->env.dev->queue_count; i++)
		f->rings[i].q = &f->env.dev->queues[i];
	assert_int_equal(device_load(&saved, f->env.dev), 0);
	device_expect_same(&saved, f->env.dev);
	saved_free(&saved);
	virtio_thaw(f->env.dev);
	mock_env_dispatch(&f->env);
	assert_false(f->env.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void test_target_and_answers_survive_a_restore(void **state)
{
	const struct balloon_config config = {
		.size = PAGE, .stats_interval = INTERVAL_MS * 1000000, .free_page_reporting = true
	};
	struct fixture *f = *state;
	const uint32_t actual = htole32(2), pfn = (uint32_t)(f->pages / PAGE) + 3;
	uint16_t head;
	uint32_t written;

	start(f, STATS);
	put_stat(f, 0, VIRTIO_BALLOON_S_MEMFREE, 5);
	answer(f, 1);
	virtio_config_write(f->env.dev, 4, &actual, sizeof(actual));
	assert_int_equal(f->env.dev->model->resize(f->env.dev, 7 * PAGE), 0);
	move(f, &config);
	assert_int_equal(read_config(f, 0), 7);
	assert_int_equal(read_config(f, 4), 2);
	assert_int_equal(stats_of(f).target, 7 * PAGE);
	assert_int_equal(stats_of(f).actual, 2 * PAGE);
	assert_int_equal(stats_of(f).guest[VIRTIO_BALLOON_S_MEMFREE], 5);
	/* This device has the statistics buffer now, and asks with it, once. */
	while (!mock_ring_reap(&f->rings[2], &head, &written))
		assert_true(mock_env_wait(&f->env, LONG_MS));
	assert_false(mock_env_wait(&f->env, 2 * INTERVAL_MS));
	assert_false(mock_ring_reap(&f->rings[2], &head, &written));
	inflate(f, &pfn, 1);
	assert_int_equal(given_back(f), 1U << 3);
}

/* Requests not yet taken are served by the other device. */
static void test_requests_survive_a_restore(void **state)
{
	const struct balloon_config config = { .free_page_reporting = true };
	struct fixture *f = *state;
	const uint32_t first = (uint32_t)(f->pages / PAGE);

	start(f, 0);
	for (uint32_t i = 0; i < 4; i++) {
		const struct mock_buf buf = { f->array + 4 * i, 4, false };
		const uint32_t pfn = htole32(first + i);

		assert_int_equal(gmem_write(&f->env.mem, buf.gpa, &pfn, sizeof(pfn)), 0);
		mock_ring_add(&f->rings[0], &buf, 1);
	}
	mock_ring_kick(&f->rings[0]);
	assert_true(mock_env_wait(&f->env, 0));
	assert_int_equal(mock_ring_used_index(&f->rings[0]), 1);
	move(f, &config);
	assert_int_equal(mock_ring_used_index(&f->rings[0]), 4);
	assert_int_equal(given_back(f), 0xf);
	assert_int_equal(stats_of(f).inflated, 3 * PAGE);
}

static void test_reset_forgets_the_driver(void **state)
{
	const uint32_t actual = htole32(2);
	struct fixture *f = *state;
	struct saved saved;

	device_save(&saved, f->env.dev);
	start(f, REPORTING);
	virtio_config_write(f->env.dev, 4, &actual, sizeof(actual));
	mock_driver_status(f->env.dev, 0);
	/* It stays for the report. */
	device_set(&saved, f->env.dev, virtio_balloon_state_tables[1], "stats.actual", 0, 2 * PAGE);
	assert_int_equal(device_load(&saved, f->env.dev), 0);
	device_expect_same(&saved, f->env.dev);
	saved_free(&saved);
}

static void test_hostile_target_is_refused(void **state)
{
	struct fixture *f = *state;
	struct saved saved;

	device_save(&saved, f->env.dev);
	device_set(&saved, f->env.dev, virtio_balloon_state_tables[0], "config.num_pages", 0,
		   f->env.mem.size / PAGE);
	device_expect_refused(&saved, f->env.dev, "num_pages is all of the guest's memory");
	device_set(&saved, f->env.dev, virtio_balloon_state_tables[0], "config.num_pages", 0,
		   UINT32_MAX);
	device_expect_refused(&saved, f->env.dev, "num_pages is all of the guest's memory");
	saved_free(&saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DEVICE_TEST(test_5_5_4_size_is_asked_for_and_actual_is_the_driver_s),
		DEVICE_TEST(test_resize_asks_for_another_size),
		cmocka_unit_test(test_5_5_3_what_is_offered_follows_the_config),
		DEVICE_TEST(test_ram_that_is_too_small_or_of_huge_pages_is_refused),
		DEVICE_TEST(test_5_5_6_inflation_gives_pages_back),
		DEVICE_TEST(test_5_5_6_a_run_may_span_slots),
		DEVICE_TEST(test_5_5_6_what_is_no_ram_is_ignored),
		DEVICE_TEST(test_5_5_6_a_request_is_bounded),
		DEVICE_TEST(test_5_5_6_a_request_without_pages_is_used),
		DEVICE_TEST(test_5_5_6_deflation_is_acknowledged),
		DEVICE_TEST(test_2_7_damaged_ring_breaks_the_device),
		DEVICE_TEST(test_serve_is_bounded_and_comes_back),
		DEVICE_TEST(test_5_5_6_7_reported_pages_are_given_back),
		DEVICE_TEST(test_5_5_6_7_only_whole_pages_are_given_back),
		DEVICE_TEST(test_5_5_6_7_what_is_no_ram_breaks_the_device),
		DEVICE_TEST(test_5_5_2_no_reports_without_the_feature),
		DEVICE_TEST(test_rings_that_are_reported_do_no_harm),
		DEVICE_TEST(test_5_5_6_3_statistics_in_any_order),
		DEVICE_TEST(test_5_5_2_the_third_queue_without_statistics),
		DEVICE_TEST(test_5_5_6_3_statistics_of_any_length),
		DEVICE_TEST(test_the_statistics_buffer_outlives_a_freeze),
		cmocka_unit_test(test_5_5_6_3_the_driver_is_asked_again),
		DEVICE_TEST(test_what_stats_shows),
		DEVICE_TEST(test_stats_are_numbers_for_programs),
		cmocka_unit_test(test_reset_begins_anew),
		DEVICE_TEST(test_target_and_answers_survive_a_restore),
		DEVICE_TEST(test_requests_survive_a_restore),
		DEVICE_TEST(test_reset_forgets_the_driver),
		DEVICE_TEST(test_hostile_target_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
