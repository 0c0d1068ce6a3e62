/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Layout of RAM on x86_64 and the guest's memory map.
 */
#include "image_rig.h"

#define GIB (1024 * MIB)

static void ram_below_the_hole_is_one_range(void **state)
{
	static const uint64_t sizes[] = { 1 * MIB, 8 * MIB, 64 * MIB, 3 * GIB };
	struct gmem_range ranges[2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(arch_ram_ranges(sizes[i], ranges), 1);
		assert_int_equal(ranges[0].gpa, 0);
		assert_int_equal(ranges[0].len, sizes[i]);
	}
}

static void more_ram_continues_at_4_gib(void **state)
{
	static const uint64_t sizes[] = { 3 * GIB + 4096, 5 * GIB, 64 * GIB };
	struct gmem_range ranges[2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(arch_ram_ranges(sizes[i], ranges), 2);
		assert_int_equal(ranges[0].gpa, 0);
		assert_int_equal(ranges[0].len, 3 * GIB);
		assert_int_equal(ranges[1].gpa, 4 * GIB);
		assert_int_equal(ranges[1].len, sizes[i] - 3 * GIB);
	}
}

static void impossible_sizes_are_refused(void **state)
{
	static const uint64_t sizes[] = { 0, 4096, 1 * MIB - 4096, 8 * MIB + 1, 1ULL << 43,
					  UINT64_MAX & ~4095ULL, UINT64_MAX };
	struct gmem_range ranges[2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_int_equal(arch_ram_ranges(sizes[i], ranges), -EINVAL);
}

/* RAM of the given size, without real memory: the map does not access it. */
static unsigned build(uint64_t size, struct boot_e820_entry map[MEMMAP_MAX], struct gmem *mem)
{
	struct gmem_range ranges[2];
	int count = arch_ram_ranges(size, ranges);

	*mem = (struct gmem){ .count = (unsigned)count, .size = size, .fd = -1 };
	for (int i = 0; i < count; i++)
		mem->slots[i] = (struct gmem_slot){ .gpa = ranges[i].gpa, .len = ranges[i].len };
	return memmap_build(mem, map);
}

static void assert_entry(const struct boot_e820_entry *entry, uint64_t start, uint64_t end,
			 uint32_t type)
{
	assert_int_equal(entry->addr, start);
	assert_int_equal(entry->addr + entry->size, end);
	assert_int_equal(entry->type, type);
}

static void map_of_8_mib(void **state)
{
	struct boot_e820_entry map[MEMMAP_MAX];
	struct gmem mem;

	(void)state;
	assert_int_equal(build(8 * MIB, map, &mem), 4);
	assert_entry(&map[0], 0, 0x9fc00, E820_RAM);
	assert_entry(&map[1], 0x9fc00, 1 * MIB, E820_RESERVED);
	assert_entry(&map[2], 1 * MIB, 8 * MIB, E820_RAM);
	assert_entry(&map[3], X86_ECAM_BASE, X86_ECAM_BASE + X86_ECAM_LEN, E820_RESERVED);
	assert_int_equal(memmap_low_end(&mem), 8 * MIB);
	assert_int_equal(memmap_high_end(&mem), 4 * GIB);
}

static void map_of_1_mib_has_no_empty_entry(void **state)
{
	struct boot_e820_entry map[MEMMAP_MAX];
	struct gmem mem;

	(void)state;
	assert_int_equal(build(1 * MIB, map, &mem), 3);
	assert_entry(&map[2], X86_ECAM_BASE, X86_ECAM_BASE + X86_ECAM_LEN, E820_RESERVED);
}

static void map_around_the_hole(void **state)
{
	static const uint64_t above[] = { 0, 4096, 61 * GIB };
	struct boot_e820_entry map[MEMMAP_MAX];
	struct gmem mem;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(above); i++) {
		assert_int_equal(build(3 * GIB + above[i], map, &mem), above[i] ? 5 : 4);
		assert_entry(&map[2], 1 * MIB, 3 * GIB, E820_RAM);
		if (above[i])
			assert_entry(&map[4], 4 * GIB, 4 * GIB + above[i], E820_RAM);
		assert_int_equal(memmap_low_end(&mem), 3 * GIB);
		assert_int_equal(memmap_high_end(&mem), 4 * GIB + above[i]);
	}
}

static void map_is_sorted_and_disjoint(void **state)
{
	struct boot_e820_entry map[MEMMAP_MAX];
	struct gmem mem;
	unsigned count = build(64 * GIB, map, &mem);

	(void)state;
	for (unsigned i = 1; i < count; i++)
		assert_true(map[i - 1].addr + map[i - 1].size <= map[i].addr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ram_below_the_hole_is_one_range),
		cmocka_unit_test(more_ram_continues_at_4_gib),
		cmocka_unit_test(impossible_sizes_are_refused),
		cmocka_unit_test(map_of_8_mib),
		cmocka_unit_test(map_of_1_mib_has_no_empty_entry),
		cmocka_unit_test(map_around_the_hole),
		cmocka_unit_test(map_is_sorted_and_disjoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
