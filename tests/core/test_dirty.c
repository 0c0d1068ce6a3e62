/* SPDX-License-Identifier: Apache-2.0 */
/* The dirty log, on two slots whose dirty pages the fake KVM defines. */
#include "core/dirty.h"
#include "fake_sys.h"
#include "unit.h"

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
	uint64_t seen[8];
	unsigned seen_count;
};

/* KVM api.rst 4.8: the log is copied and cleared. */
static int hook(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct fixture *f = container_of(fake, struct fixture, fake);
	const struct kvm_dirty_log *log = arg;
	unsigned words;

	(void)fd;
	if (request != KVM_GET_DIRTY_LOG)
		return FAKE_PASS;
	if (log->slot >= 2 || !(fake->slots[log->slot].flags & KVM_MEM_LOG_DIRTY_PAGES))
		return -ENOENT;
	words = log->slot == 0 ? 3 : 1;
	memcpy(log->dirty_bitmap, f->dirty[log->slot], words * sizeof(uint64_t));
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
		assert_int_equal(f->fake.slots[0].flags, 0);
		assert_int_equal(f->fake.slots[1].flags, 0);
	}
	assert_int_equal(dirty_log_start(&f->log, &f->memslots, &f->mem), 0);
	f->fake.fail_at = f->fake.calls + 1;
	assert_int_equal(dirty_log_read(&f->log, see, f), -EIO);
	assert_int_equal(f->seen_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_slot_is_logged_until_the_end),
		TEST(test_pages_are_told_once_and_in_order),
		TEST(test_failing_start_is_unwound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
