/* SPDX-License-Identifier: Apache-2.0 */
/* The dirty log, on two slots whose dirty pages the fake KVM defines. */
#include "core/dirty.h"
#include "fake_sys.h"
#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define GIB (1ULL << 30)

/* 130 pages: two words and a bit; 1 page: less than a word. */
static const struct gmem_range ranges[] = {
	{ .gpa = 0, .len = 130 * DIRTY_PAGE },
	{ .gpa = 4 * GIB, .len = DIRTY_PAGE },
};

struct fixture {
	struct fake_sys fake;
	struct kvm kvm;
	struct gmem mem;
	struct gmem_kvm memslots;
	struct dirty_log log;
	uint64_t dirty[2][3]; /* by slot: KVM's own log */
	bool by_hand, refuses, has_no_such;
	uint64_t seen[8];
	unsigned seen_count;
};

static unsigned page_count(uint32_t slot)
{
	return (unsigned)(ranges[slot].len / DIRTY_PAGE);
}

/* KVM api.rst 4.117. */
static int clear(struct fixture *f, const struct kvm_clear_dirty_log *log)
{
	const uint64_t *bits = log->dirty_bitmap;

	assert_true(f->by_hand && log->slot < 2);
	if (log->first_page % 64 ||
	    (log->num_pages % 64 && log->first_page + log->num_pages != page_count(log->slot)))
		return -EINVAL;
	for (unsigned i = 0; i < (log->num_pages + 63) / 64; i++)
		f->dirty[log->slot][log->first_page / 64 + i] &= ~bits[i];
	return 0;
}

/* KVM api.rst 7.18. */
static int enable(struct fixture *f, const struct kvm_enable_cap *cap)
{
	assert_int_equal(cap->cap, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);
	if (f->refuses || cap->flags || cap->args[0] & ~1ULL)
		return -EINVAL;
	f->by_hand = cap->args[0];
	return 0;
}

/* KVM api.rst 4.8: the log is copied and, but for one by hand, cleared. */
static int hook(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct fixture *f = container_of(fake, struct fixture, fake);
	const struct kvm_dirty_log *log = arg;

	(void)fd;
	if (request == KVM_CLEAR_DIRTY_LOG)
		return clear(f, arg);
	if (request == KVM_ENABLE_CAP)
		return enable(f, arg);
	if (request == KVM_CHECK_EXTENSION && f->has_no_such)
		return 0;
	if (request != KVM_GET_DIRTY_LOG)
		return FAKE_PASS;
	if (log->slot >= 2 || !(fake->slots[log->slot].flags & KVM_MEM_LOG_DIRTY_PAGES))
		return -ENOENT;
	memcpy(log->dirty_bitmap, f->dirty[log->slot],
	       (page_count(log->slot) + 63) / 64 * sizeof(uint64_t));
	if (!f->by_hand)
		memset(f->dirty[log->slot], 0, sizeof(f->dirty[0]));
	return 0;
}

static void see(void *owner, uint64_t gpa)
{
	struct fixture *f = owner;

	assert_true(f->seen_count < ARRAY_SIZE(f->seen));
	f->seen[f->seen_count++] = gpa;
}

static int setup(void **state)
{
	static const struct gmem_options plain;
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	*state = f;
	fake_sys_init(&f->fake);
	f->fake.hook = hook;
	assert_int_equal(gmem_init(&f->mem, ranges, 2, &plain), 0);
	assert_int_equal(kvm_init(&f->kvm, &f->fake.sys, 0), 0);
	assert_int_equal(gmem_kvm_attach(&f->memslots, &f->mem, &f->kvm), 0);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	dirty_log_stop(&f->log);
	gmem_del_listener(&f->mem, &f->memslots.listener);
	kvm_destroy(&f->kvm);
	gmem_destroy(&f->mem);
	fake_sys_destroy(&f->fake);
	free(f);
	return 0;
}

static void test_every_slot_is_logged_until_the_end(void **state)
{
	struct fixture *f = *state;
	struct kvm_userspace_memory_region before = f->fake.slots[0];

	assert_int_equal(before.flags, 0);
	assert_int_equal(dirty_log_start(&f->log, &f->memslots, &f->mem), 0);
	assert_int_equal(f->fake.slots[0].flags, KVM_MEM_LOG_DIRTY_PAGES);
	assert_int_equal(f->fake.slots[1].flags, KVM_MEM_LOG_DIRTY_PAGES);
	assert_int_equal(f->fake.slots[0].memory_size, before.memory_size);
	assert_int_equal(f->fake.slots[0].userspace_addr, before.userspace_addr);
	dirty_log_stop(&f->log);
	dirty_log_stop(&f->log);
	assert_int_equal(f->fake.slots[0].flags, 0);
	assert_int_equal(f->fake.slots[1].flags, 0);
	assert_int_equal(f->fake.slots[1].memory_size, DIRTY_PAGE);
}

static void test_pages_are_told_once_and_in_order(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(dirty_log_start(&f->log, &f->memslots, &f->mem), 0);
	f->dirty[0][0] = 1 | 1ULL << 63;
	f->dirty[0][2] = 2; /* page 129, the last */
	f->dirty[1][0] = 1;
	assert_int_equal(dirty_log_read(&f->log, see, f), 0);
	assert_int_equal(f->seen_count, 4);
	assert_int_equal(f->seen[0], 0);
	assert_int_equal(f->seen[1], 63 * DIRTY_PAGE);
	assert_int_equal(f->seen[2], 129 * DIRTY_PAGE);
	assert_int_equal(f->seen[3], 4 * GIB);
	assert_int_equal(dirty_log_read(&f->log, see, f), 0);
	assert_int_equal(f->seen_count, 4);
}

/* Whichever call fails, no slot still logs, and no memory leaks (asan). */
static void test_failing_start_is_unwound(void **state)
{
	struct fixture *f = *state;

	for (unsigned n = 1; n <= 2; n++) {
		f->fake.fail_at = f->fake.calls + n;
		assert_int_equal(dirty_log_start(&f->log, &f->memslots, &f->mem), -EIO);
		assert_null(f->log.words);
		assert_false(gmem_is_logged(&f->mem));
		assert_int_equal(f->fake.slots[0].flags, 0);
		assert_int_equal(f->fake.slots[1].flags, 0);
	}
	assert_int_equal(dirty_log_start(&f->log, &f->memslots, &f->mem), 0);
	f->fake.fail_at = f->fake.calls + 1;
	assert_int_equal(dirty_log_read(&f->log, see, f), -EIO);
	assert_int_equal(f->seen_count, 0);
}

/* --- Writes of this process ------------------------------------------------------------------- */

static void assert_seen(struct fixture *f, unsigned count, ...)
{
	va_list gpas;

	f->seen_count = 0;
	assert_int_equal(dirty_log_read(&f->log, see, f), 0);
	assert_int_equal(f->seen_count, count);
	va_start(gpas, count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(f->seen[i], va_arg(gpas, uint64_t));
	va_end(gpas);
}

#define PAGE_AT(page) ((uint64_t)(page) * DIRTY_PAGE)

static void test_own_writes_are_in_the_log_with_those_of_vcpus(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(gmem_write(&f->mem, 0, "k", 1), 0);
	assert_int_equal(dirty_log_start(&f->log, &f->memslots, &f->mem), 0);
	assert_seen(f, 0);
	f->dirty[0][0] = 1ULL << 2 | 1ULL << 5;
	assert_int_equal(gmem_write(&f->mem, PAGE_AT(2) - 1, "kk", 2), 0);
	assert_int_equal(gmem_write(&f->mem, PAGE_AT(129), "k", 1), 0);
	/* Its bit is in a word with page 129's. */
	gmem_written(&f->mem, gmem_ptr(&f->mem, 4 * GIB, 1), 1);
	assert_seen(f, 5, PAGE_AT(1), PAGE_AT(2), PAGE_AT(5), PAGE_AT(129), 4 * GIB);
	assert_seen(f, 0);
	/* Over the borders of words. */
	gmem_written(&f->mem, gmem_ptr(&f->mem, PAGE_AT(63), 1), DIRTY_PAGE + 1);
	assert_seen(f, 2, PAGE_AT(63), PAGE_AT(64));
	dirty_log_stop(&f->log);
	assert_int_equal(gmem_write(&f->mem, 0, "k", 1), 0);
	assert_int_equal(dirty_log_start(&f->log, &f->memslots, &f->mem), 0);
	assert_seen(f, 0);
}

static void test_every_way_to_write_is_logged(void **state)
{
	struct fixture *f = *state;
	FILE *file = tmpfile();
	unsigned pages = f->mem.size / DIRTY_PAGE;

	fputs("0123456789", file);
	fflush(file);
	assert_int_equal(dirty_log_start(&f->log, &f->memslots, &f->mem), 0);
	assert_int_equal(gmem_pread(&f->mem, PAGE_AT(7), fileno(file), 0, 4), 0);
	assert_seen(f, 1, PAGE_AT(7));
	/* Also a part of what was asked for. */
	assert_int_equal(gmem_pread(&f->mem, PAGE_AT(8), fileno(file), 0, 20), -EIO);
	assert_seen(f, 1, PAGE_AT(8));
	assert_true(gmem_discard(&f->mem, gmem_ptr(&f->mem, PAGE_AT(0), 1), PAGE_AT(2)) >= 0);
	assert_true(f->mem.log[0] != 0);
	assert_int_equal(gmem_clear(&f->mem), 0);
	for (unsigned page = 0; page < pages; page++)
		assert_true(f->mem.log[page / 64] >> page % 64 & 1);
	fclose(file);
}

static void test_what_is_not_ram_is_no_write_to_it(void **state)
{
	struct fixture *f = *state;
	char own;

	assert_int_equal(dirty_log_start(&f->log, &f->memslots, &f->mem), 0);
	gmem_written(&f->mem, &own, 1);
	gmem_written(&f->mem, f->mem.base - 1, 1);
	gmem_written(&f->mem, f->mem.base + f->mem.size, 1);
	gmem_written(&f->mem, f->mem.base + f->mem.size - 1, 2);
	gmem_written(&f->mem, f->mem.base, 0);
	assert_int_equal(gmem_write(&f->mem, 3 * GIB, "k", 1), -EFAULT);
	assert_seen(f, 0);
}

/* --- By hand ---------------------------------------------------------------------------------- */

static void test_by_hand_pages_stay_dirty_until_they_are_cleared(void **state)
{
	struct fixture *f = *state;
	const struct gmem_slot *low = &f->mem.slots[0], *high = &f->mem.slots[1];
	uint64_t words[2] = { 1ULL << 3, 2 };

	assert_int_equal(dirty_log_start_by_hand(&f->log, &f->memslots, &f->mem), 0);
	f->dirty[0][0] = 1;
	f->dirty[0][1] = 1ULL << 3 | 1ULL << 4;
	f->dirty[0][2] = 2; /* page 129 */
	f->dirty[1][0] = 1;
	/* This process's own are, as ever, told once. */
	assert_int_equal(gmem_write(&f->mem, PAGE_AT(1), "k", 1), 0);
	assert_seen(f, 6, PAGE_AT(0), PAGE_AT(1), PAGE_AT(67), PAGE_AT(68), PAGE_AT(129), 4 * GIB);
	assert_seen(f, 5, PAGE_AT(0), PAGE_AT(67), PAGE_AT(68), PAGE_AT(129), 4 * GIB);
	assert_int_equal(dirty_log_clear(&f->log, low, 64, 66, words), 0);
	assert_seen(f, 3, PAGE_AT(0), PAGE_AT(68), 4 * GIB);
	words[0] = 1;
	assert_int_equal(dirty_log_clear(&f->log, high, 0, 1, words), 0);
	assert_seen(f, 2, PAGE_AT(0), PAGE_AT(68));
	assert_int_equal(dirty_log_clear(&f->log, low, 1, 64, words), -EINVAL);
	f->fake.fail_at = f->fake.calls + 1;
	assert_int_equal(dirty_log_clear(&f->log, low, 0, 64, words), -EIO);
	dirty_log_stop(&f->log);
	assert_false(f->by_hand);
}

static void test_without_by_hand_the_plain_log_does(void **state)
{
	struct fixture *f = *state;
	uint64_t word = 1;

	f->has_no_such = true;
	assert_int_equal(dirty_log_start_by_hand(&f->log, &f->memslots, &f->mem), 0);
	f->dirty[0][0] = 1;
	assert_seen(f, 1, PAGE_AT(0));
	assert_int_equal(dirty_log_clear(&f->log, &f->mem.slots[0], 0, 64, &word), 0);
	assert_seen(f, 0);
	dirty_log_stop(&f->log);
	assert_int_equal(fake_sys_count(&f->fake, KVM_ENABLE_CAP), 0);
	assert_int_equal(fake_sys_count(&f->fake, KVM_CLEAR_DIRTY_LOG), 0);
	/* What is offered, and then refused, is an error. */
	f->has_no_such = false;
	f->refuses = true;
	assert_int_equal(dirty_log_start_by_hand(&f->log, &f->memslots, &f->mem), -EINVAL);
	assert_null(f->log.words);
	assert_int_equal(f->fake.slots[0].flags, 0);
}

/* --- Others that write ------------------------------------------------------------------------ */

/* A kernel's worker with a log by guest-physical page, here of the second slot only. */
struct other {
	struct gmem_listener listener;
	uint64_t word;
	unsigned on; /* the calls in order, as bits after a leading 1 */
	int error;
};

static int add_nothing(struct gmem_listener *listener, const struct gmem_slot *slot)
{
	(void)listener;
	(void)slot;
	return 0;
}

static void remove_nothing(struct gmem_listener *listener, const struct gmem_slot *slot)
{
	(void)listener;
	(void)slot;
}

static int log_other(struct gmem_listener *listener, bool on)
{
	struct other *other = container_of(listener, struct other, listener);

	other->on = other->on << 1 | on;
	return on ? other->error : 0;
}

static void take_other(struct gmem_listener *listener, const struct gmem_slot *slot,
		       uint64_t *words)
{
	struct other *other = container_of(listener, struct other, listener);

	if (slot->gpa == 4 * GIB)
		gmem_log_take(&other->word, 7, 1, words);
}

static void add_other(struct fixture *f, struct other *other)
{
	*other = (struct other){
		.listener = { .add = add_nothing, .remove = remove_nothing,
			      .log = log_other, .take = take_other },
		.on = 1,
	};
	assert_int_equal(gmem_add_listener(&f->mem, &other->listener), 0);
}

static void test_others_have_a_log_of_their_own(void **state)
{
	struct fixture *f = *state;
	struct other first, second;

	add_other(f, &first);
	add_other(f, &second);
	assert_int_equal(dirty_log_start(&f->log, &f->memslots, &f->mem), 0);
	first.word = 1ULL << 7 | 1ULL << 6; /* the latter is in no slot: not taken */
	second.word = 1ULL << 7;
	assert_seen(f, 1, 4 * GIB);
	assert_true(first.word == 1ULL << 6 && !second.word);
	assert_seen(f, 0);
	second.word = 1ULL << 7;
	f->dirty[0][0] = 1;
	assert_seen(f, 2, (uint64_t)0, 4 * GIB);
	dirty_log_stop(&f->log);
	assert_int_equal(first.on, 6);
	assert_int_equal(second.on, 6);
	gmem_del_listener(&f->mem, &first.listener);
	gmem_del_listener(&f->mem, &second.listener);
}

static void test_other_that_cannot_log_fails_the_start(void **state)
{
	struct fixture *f = *state;
	struct other first, second;

	add_other(f, &first);
	add_other(f, &second);
	/* The last one added is asked first. */
	first.error = -EIO;
	assert_int_equal(dirty_log_start(&f->log, &f->memslots, &f->mem), -EIO);
	assert_int_equal(second.on, 6);
	assert_int_equal(first.on, 6);
	assert_false(gmem_is_logged(&f->mem));
	assert_int_equal(f->fake.slots[0].flags, 0);
	gmem_del_listener(&f->mem, &first.listener);
	gmem_del_listener(&f->mem, &second.listener);
}

/*
 * Two devices and a reader: each page has a counter, and what the reader has seen of it at the end is
 * the last value.
 */
enum { WRITES = 20000 };

struct writer {
	struct fixture *f;
	unsigned first; /* its pages: this one, and each second one after it */
	pthread_t thread;
	bool *ended; /* atomic */
};

static unsigned *counter_at(struct fixture *f, uint64_t gpa)
{
	return gmem_ptr(&f->mem, gpa, sizeof(unsigned));
}

static void *write_pages(void *arg)
{
	struct writer *w = arg;

	for (unsigned n = 1; n <= WRITES; n++) {
		unsigned *counter = counter_at(w->f, PAGE_AT((w->first + 2 * n) % 130));

		__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
		gmem_written(&w->f->mem, counter, sizeof(*counter));
	}
	__atomic_store_n(w->ended, true, __ATOMIC_RELAXED);
	return NULL;
}

struct copy {
	struct fixture *f;
	unsigned counters[130];
};

static void copy_page(void *owner, uint64_t gpa)
{
	struct copy *copy = owner;

	copy->counters[gpa / DIRTY_PAGE] =
		__atomic_load_n(counter_at(copy->f, gpa), __ATOMIC_RELAXED);
}

static void test_concurrent_writes_are_in_this_round_or_the_next(void **state)
{
	struct fixture *f = *state;
	bool ended = false;
	struct writer writers[2] = { { .f = f, .ended = &ended },
				     { .f = f, .ended = &ended, .first = 1 } };
	struct copy copy = { .f = f };

	assert_int_equal(dirty_log_start(&f->log, &f->memslots, &f->mem), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(
			pthread_create(&writers[i].thread, NULL, write_pages, &writers[i]), 0);
	/* To the end of one: the other may still write. */
	while (!__atomic_load_n(&ended, __ATOMIC_RELAXED))
		assert_int_equal(dirty_log_read(&f->log, copy_page, &copy), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(writers[i].thread, NULL);
	assert_int_equal(dirty_log_read(&f->log, copy_page, &copy), 0);
	for (unsigned page = 0; page < 130; page++)
		assert_int_equal(copy.counters[page], *counter_at(f, PAGE_AT(page)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_slot_is_logged_until_the_end),
		TEST(test_pages_are_told_once_and_in_order),
		TEST(test_failing_start_is_unwound),
		TEST(test_own_writes_are_in_the_log_with_those_of_vcpus),
		TEST(test_every_way_to_write_is_logged),
		TEST(test_what_is_not_ram_is_no_write_to_it),
		TEST(test_by_hand_pages_stay_dirty_until_they_are_cleared),
		TEST(test_without_by_hand_the_plain_log_does),
		TEST(test_others_have_a_log_of_their_own),
		TEST(test_other_that_cannot_log_fails_the_start),
		TEST(test_concurrent_writes_are_in_this_round_or_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
