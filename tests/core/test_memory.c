/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_sys.h"

#include "core/memory.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define GIB (1ULL << 30)
#define HUGE (2ULL << 20)

/* Two adjacent slots, a hole, and a third: like a machine with a hole below 4 GiB. */
static const struct gmem_range three[] = {
	{ .gpa = 0, .len = 0x10000 },
	{ .gpa = 0x10000, .len = 0x10000 },
	{ .gpa = 4 * GIB, .len = 0x10000 },
};

static const struct gmem_options plain;

static int setup(void **state)
{
	struct gmem *mem = malloc(sizeof(*mem));

	assert_int_equal(gmem_init(mem, three, 3, &plain), 0);
	*state = mem;
	return 0;
}

static int teardown(void **state)
{
	gmem_destroy(*state);
	free(*state);
	return 0;
}

static void test_bad_ranges_are_refused(void **state)
{
	const struct {
		struct gmem_range ranges[2];
		unsigned count;
	} bad[] = {
		{ { { 0, 0 } }, 1 },
		{ { { 0, 4095 } }, 1 },
		{ { { 1, 4096 } }, 1 },
		{ { { 0, 8192 }, { 4096, 4096 } }, 2 },
		{ { { 8192, 4096 }, { 0, 4096 } }, 2 },
		{ { { UINT64_MAX - 4095, 8192 } }, 1 },
		{ { { 0, 4096 } }, 0 },
		{ { { 0, 4096 } }, GMEM_MAX_SLOTS + 1 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct gmem mem;

		assert_int_equal(gmem_init(&mem, bad[i].ranges, bad[i].count, &plain), -EINVAL);
		gmem_destroy(&mem);
	}
}

static void test_hugepages_need_a_whole_number_of_them(void **state)
{
	const struct gmem_range range = { .gpa = 0, .len = 4096 };
	const struct gmem_options huge = { .hugepages = true };
	struct gmem mem;

	(void)state;
	assert_int_equal(gmem_init(&mem, &range, 1, &huge), -EINVAL);
	gmem_destroy(&mem);
}

/* Not later, by a SIGBUS at the guest's first access. */
static void test_missing_hugepages_are_noticed_at_once(void **state)
{
	const struct gmem_range range = { .gpa = 0, .len = 1ULL << 42 };
	const struct gmem_options private_ram = { .hugepages = true };
	const struct gmem_options shared_ram = { .hugepages = true, .shared = true };
	struct gmem mem;

	(void)state;
	assert_true(gmem_init(&mem, &range, 1, &private_ram) < 0);
	gmem_destroy(&mem);
	assert_true(gmem_init(&mem, &range, 1, &shared_ram) < 0);
	gmem_destroy(&mem);
}

static void test_ptr_stays_in_one_slot(void **state)
{
	struct gmem *mem = *state;

	assert_non_null(gmem_ptr(mem, 0, 0x10000));
	assert_null(gmem_ptr(mem, 0, 0x10001));
	assert_null(gmem_ptr(mem, 0xffff, 2));
	assert_null(gmem_ptr(mem, 0, 0));
	assert_null(gmem_ptr(mem, 0x20000, 1));
	assert_null(gmem_ptr(mem, UINT64_MAX, 2));
	assert_non_null(gmem_ptr(mem, 4 * GIB + 0xffff, 1));
	assert_null(gmem_ptr(mem, 4 * GIB + 0xffff, UINT64_MAX));
}

static void test_copies_span_adjacent_slots(void **state)
{
	struct gmem *mem = *state;
	char buf[64], back[64];

	memset(buf, 0x5a, sizeof(buf));
	assert_int_equal(gmem_write(mem, 0x10000 - 32, buf, 64), 0);
	assert_int_equal(gmem_read(mem, 0x10000 - 32, back, 64), 0);
	assert_memory_equal(buf, back, 64);
	assert_int_equal(*(uint8_t *)gmem_ptr(mem, 0x10000 + 31, 1), 0x5a);
}

static void test_copies_into_the_hole_fail(void **state)
{
	struct gmem *mem = *state;
	char buf[64] = { 0 };

	assert_int_equal(gmem_write(mem, 0x20000 - 32, buf, 64), -EFAULT);
	assert_int_equal(gmem_read(mem, 3 * GIB, buf, 1), -EFAULT);
	assert_int_equal(gmem_read(mem, UINT64_MAX - 1, buf, 8), -EFAULT);
}

static void test_iov_has_one_entry_a_slot(void **state)
{
	struct gmem *mem = *state;
	struct iovec iov[2];

	assert_int_equal(gmem_iov(mem, 0xfff0, 0x20, iov, 2), 2);
	assert_int_equal(iov[0].iov_len, 0x10);
	assert_int_equal(iov[1].iov_len, 0x10);
	assert_int_equal(gmem_iov(mem, 0xfff0, 0x20, iov, 1), -ENOBUFS);
	assert_int_equal(gmem_iov(mem, 0x1fff0, 0x20, iov, 2), -EFAULT);
	assert_int_equal(gmem_iov(mem, 0, 0, iov, 2), 0);
}

static void test_pread_lands_in_ram_and_notices_a_short_file(void **state)
{
	struct gmem *mem = *state;
	FILE *file = tmpfile();
	char back[4];

	fputs("0123456789", file);
	fflush(file);
	assert_int_equal(gmem_pread(mem, 0x10000 - 2, fileno(file), 3, 4), 0);
	assert_int_equal(gmem_read(mem, 0x10000 - 2, back, 4), 0);
	assert_memory_equal(back, "3456", 4);
	assert_int_equal(gmem_pread(mem, 0, fileno(file), 8, 3), -EIO);
	assert_int_equal(gmem_pread(mem, 0x20000 - 1, fileno(file), 0, 2), -EFAULT);
	fclose(file);
}

/* KVM gives the guest a huge page only where both addresses agree modulo its size. */
static void test_ram_is_aligned_to_huge_pages(void **state)
{
	struct gmem *mem = *state;

	assert_int_equal((uintptr_t)gmem_ptr(mem, 0, 1) % (2 << 20), 0);
}

static void test_shared_ram_is_a_memfd_others_can_map(void **state)
{
	const struct gmem_options shared = { .shared = true };
	struct gmem mem;
	char byte = 'k';

	(void)state;
	assert_int_equal(gmem_init(&mem, three, 3, &shared), 0);
	assert_int_equal(gmem_write(&mem, 4 * GIB + 5, &byte, 1), 0);
	byte = 0;
	assert_int_equal(pread(mem.slots[2].fd, &byte, 1, (off_t)mem.slots[2].offset + 5), 1);
	assert_int_equal(byte, 'k');
	gmem_destroy(&mem);
}

static void test_clear_zeroes_either_kind(void **state)
{
	(void)state;
	for (int shared = 0; shared < 2; shared++) {
		const struct gmem_options options = { .shared = shared, .prefault = true };
		struct gmem mem;
		char byte = 'k';

		assert_int_equal(gmem_init(&mem, three, 3, &options), 0);
		assert_int_equal(gmem_write(&mem, 0x1000, &byte, 1), 0);
		assert_int_equal(gmem_clear(&mem), 0);
		assert_int_equal(gmem_read(&mem, 0x1000, &byte, 1), 0);
		assert_int_equal(byte, 0);
		gmem_destroy(&mem);
	}
}

/* Counts its calls, and requests a stop from a given call on. */
struct clock {
	unsigned asked, stop_at;
};

static bool is_over(void *owner)
{
	struct clock *clock = owner;

	return ++clock->asked == clock->stop_at;
}

static void test_work_on_all_ram_can_be_stopped(void **state)
{
	const struct gmem_range range = { .gpa = 0, .len = 64 << 20 };
	struct clock clock = { .stop_at = 2 };
	const struct gmem_options options = {
		.prefault = true,
		.stop = { .wanted = is_over, .owner = &clock },
	};
	char first = 'k', last = 'k';
	struct gmem mem;

	(void)state;
	assert_int_equal(gmem_init(&mem, &range, 1, &options), -ECANCELED);
	assert_int_equal(clock.asked, 2);

	clock = (struct clock){ 0 };
	assert_int_equal(gmem_init(&mem, &range, 1, &options), 0);
	assert_in_range(clock.asked, 4, 64);
	assert_int_equal(gmem_write(&mem, 0, &first, 1), 0);
	assert_int_equal(gmem_write(&mem, range.len - 1, &last, 1), 0);
	clock = (struct clock){ .stop_at = 2 };
	assert_int_equal(gmem_clear(&mem), -ECANCELED);
	assert_int_equal(gmem_read(&mem, 0, &first, 1), 0);
	assert_int_equal(gmem_read(&mem, range.len - 1, &last, 1), 0);
	assert_int_equal(first, 0);
	assert_int_equal(last, 'k');
	gmem_destroy(&mem);
}

static bool is_present(const struct gmem *mem, uint64_t gpa)
{
	unsigned char present = 0;

	assert_int_equal(mincore(gmem_ptr(mem, gpa, 4096), 4096, &present), 0);
	return present & 1;
}

/*
 * If returned, another process could take them, and the next access would fail. Normal pages stand
 * in for them.
 */
static void test_clear_keeps_huge_pages(void **state)
{
	const struct gmem_range range = { .gpa = 0, .len = 3 * HUGE };

	(void)state;
	for (int with_fd = 0; with_fd < 2; with_fd++) {
		const struct gmem_options options = { .shared = with_fd };
		struct gmem mem;
		char byte = 'k';

		assert_int_equal(gmem_init(&mem, &range, 1, &options), 0);
		mem.hugepages = true;
		assert_int_equal(gmem_write(&mem, HUGE, &byte, 1), 0);
		assert_int_equal(gmem_write(&mem, 2 * HUGE - 1, &byte, 1), 0);
		assert_int_equal(gmem_clear(&mem), 0);
		assert_true(is_present(&mem, HUGE));
		if (!with_fd)
			assert_false(is_present(&mem, 0));
		for (uint64_t gpa = HUGE; gpa < 2 * HUGE; gpa += HUGE - 1) {
			assert_int_equal(gmem_read(&mem, gpa, &byte, 1), 0);
			assert_int_equal(byte, 0);
		}
		gmem_destroy(&mem);
	}
}

/* Partly covered pages keep their contents, and so do the neighbours. */
static void test_discard_takes_whole_pages_of_either_kind(void **state)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	(void)state;
	for (int shared = 0; shared < 2; shared++) {
		const struct gmem_range range = { .gpa = GIB, .len = 8 * page };
		const struct gmem_options options = { .shared = shared };
		struct gmem mem;

		assert_int_equal(gmem_init(&mem, &range, 1, &options), 0);
		memset(mem.base, 'k', range.len);
		assert_int_equal(gmem_discard(&mem, mem.base + page + 1, 3 * page), 2 * page);
		for (unsigned i = 0; i < 8; i++)
			assert_int_equal(mem.base[i * page], i == 2 || i == 3 ? 0 : 'k');
		assert_int_equal(gmem_discard(&mem, mem.base + 1, page), 0);
		assert_int_equal(gmem_discard(&mem, mem.base, 0), 0);
		assert_int_equal(mem.base[1], 'k');
		gmem_destroy(&mem);
	}
}

static void test_discard_gives_memory_back(void **state)
{
	struct gmem *mem = *state;

	for (uint64_t gpa = 0; gpa < 0x20000; gpa += 4096)
		assert_int_equal(gmem_write(mem, gpa, "", 1), 0);
	assert_true(is_present(mem, 0x10000));
	assert_int_equal(gmem_discard(mem, gmem_ptr(mem, 0x10000, 0x10000), 0x10000), 0x10000);
	assert_true(is_present(mem, 0));
	assert_false(is_present(mem, 0x10000));
}

static void test_discard_touches_nothing_but_ram(void **state)
{
	struct gmem *mem = *state;
	static char own[0x20000] __attribute__((aligned(0x10000)));

	own[0] = 'k';
	assert_int_equal(gmem_discard(mem, own, sizeof(own)), -EFAULT);
	assert_int_equal(own[0], 'k');
	assert_int_equal(gmem_discard(mem, mem->base - 0x10000, 0x20000), -EFAULT);
	assert_int_equal(gmem_discard(mem, mem->base + mem->size, 0x10000), -EFAULT);
	assert_int_equal(gmem_discard(mem, mem->base + mem->size - 0x10000, 0x20000), -EFAULT);
	assert_int_equal(gmem_discard(mem, mem->base, UINT64_MAX), -EFAULT);
}

/* As with gmem_clear(): if returned, they could be missing at the next access. */
static void test_discard_keeps_huge_pages(void **state)
{
	const struct gmem_range range = { .gpa = 0, .len = 2 * HUGE };
	struct gmem mem;

	(void)state;
	assert_int_equal(gmem_init(&mem, &range, 1, &plain), 0);
	mem.hugepages = true;
	memset(mem.base, 'k', range.len);
	assert_int_equal(gmem_discard(&mem, mem.base, range.len), 0);
	assert_int_equal(mem.base[HUGE], 'k');
	gmem_destroy(&mem);
}

struct recorder {
	struct gmem_listener listener;
	unsigned present, adds, fail_at;
};

static int record_add(struct gmem_listener *listener, const struct gmem_slot *slot)
{
	struct recorder *rec = container_of(listener, struct recorder, listener);

	if (++rec->adds == rec->fail_at)
		return -ENOMEM;
	rec->present |= 1U << slot->id;
	return 0;
}

static void record_remove(struct gmem_listener *listener, const struct gmem_slot *slot)
{
	container_of(listener, struct recorder, listener)->present &= ~(1U << slot->id);
}

static struct recorder recorder(unsigned fail_at)
{
	return (struct recorder){
		.listener = { .add = record_add, .remove = record_remove },
		.fail_at = fail_at,
	};
}

static void test_listener_sees_all_slots_come_and_go(void **state)
{
	struct recorder rec = recorder(0);

	assert_int_equal(gmem_add_listener(*state, &rec.listener), 0);
	assert_int_equal(rec.present, 7);
	gmem_del_listener(*state, &rec.listener);
	assert_int_equal(rec.present, 0);
	gmem_del_listener(*state, &rec.listener);
}

static void test_failing_listener_is_unwound(void **state)
{
	struct gmem *mem = *state;
	struct recorder rec = recorder(3);

	assert_int_equal(gmem_add_listener(mem, &rec.listener), -ENOMEM);
	assert_int_equal(rec.present, 0);
	assert_null(mem->listeners);
}

static void test_kvm_memslots_mirror_ram(void **state)
{
	struct gmem *mem = *state;
	struct fake_sys fake;
	struct kvm kvm;
	struct gmem_kvm gk;

	fake_sys_init(&fake);
	assert_int_equal(kvm_init(&kvm, &fake.sys, 0), 0);
	assert_int_equal(gmem_kvm_attach(&gk, mem, &kvm), 0);
	assert_int_equal(fake.slots[2].guest_phys_addr, 4 * GIB);
	assert_int_equal(fake.slots[2].memory_size, 0x10000);
	assert_ptr_equal((void *)(uintptr_t)fake.slots[2].userspace_addr,
			 gmem_ptr(mem, 4 * GIB, 1));
	gmem_del_listener(mem, &gk.listener);
	assert_int_equal(fake.slots[0].memory_size, 0);
	assert_int_equal(fake.slots[2].memory_size, 0);
	kvm_destroy(&kvm);
	fake_sys_destroy(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_ranges_are_refused),
		cmocka_unit_test(test_hugepages_need_a_whole_number_of_them),
		cmocka_unit_test(test_missing_hugepages_are_noticed_at_once),
		TEST(test_ptr_stays_in_one_slot),
		TEST(test_copies_span_adjacent_slots),
		TEST(test_copies_into_the_hole_fail),
		TEST(test_iov_has_one_entry_a_slot),
		TEST(test_pread_lands_in_ram_and_notices_a_short_file),
		TEST(test_ram_is_aligned_to_huge_pages),
		cmocka_unit_test(test_shared_ram_is_a_memfd_others_can_map),
		cmocka_unit_test(test_clear_zeroes_either_kind),
		cmocka_unit_test(test_work_on_all_ram_can_be_stopped),
		cmocka_unit_test(test_clear_keeps_huge_pages),
		cmocka_unit_test(test_discard_takes_whole_pages_of_either_kind),
		TEST(test_discard_gives_memory_back),
		TEST(test_discard_touches_nothing_but_ram),
		cmocka_unit_test(test_discard_keeps_huge_pages),
		TEST(test_listener_sees_all_slots_come_and_go),
		TEST(test_failing_listener_is_unwound),
		TEST(test_kvm_memslots_mirror_ram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
