/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration space of one function: PCI Local Bus 3.0 §6, and the Advanced Features ECN. */
#include "pci_rig.h"
#include "unit.h"

#include <string.h>

enum { SLOT = 3 };

struct fixture {
	struct pci_rig rig;
	struct rig_dev *d;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	if (!f || pci_rig_init(&f->rig))
		return -1;
	f->d = rig_dev_new(&f->rig, "test 0");
	return f->d ? 0 : -1;
}

static uint64_t get(struct fixture *f, unsigned off, unsigned size)
{
	return rig_cfg_read(&f->rig, SLOT, off, size);
}

static void put(struct fixture *f, unsigned off, uint64_t value, unsigned size)
{
	rig_cfg_write(&f->rig, SLOT, off, value, size);
}

static void add(struct fixture *f)
{
	assert_int_equal(pci_add(&f->rig.bus, &f->d->dev, SLOT), 0);
}

/* BAR sizing: what a driver computes from the value it reads back. */
static uint64_t size_bar32(struct fixture *f, unsigned index)
{
	unsigned off = PCI_BASE_ADDRESS_0 + 4 * index;
	uint32_t before = (uint32_t)get(f, off, 4), mask;

	put(f, off, UINT32_MAX, 4);
	mask = (uint32_t)get(f, off, 4);
	put(f, off, before, 4);
	return mask ? (uint32_t)~(mask & ~0xfu) + 1ull : 0;
}

static uint64_t size_bar64(struct fixture *f, unsigned index)
{
	unsigned off = PCI_BASE_ADDRESS_0 + 4 * index;
	uint64_t low = get(f, off, 4), high = get(f, off + 4, 4), mask;

	put(f, off, UINT32_MAX, 4);
	put(f, off + 4, UINT32_MAX, 4);
	mask = get(f, off + 4, 4) << 32 | (get(f, off, 4) & ~0xfull);
	put(f, off, low, 4);
	put(f, off + 4, high, 4);
	return ~mask + 1;
}

static void test_6_1_header_of_a_type_0_function(void **state)
{
	struct fixture *f = *state;

	add(f);
	assert_int_equal(get(f, PCI_VENDOR_ID, 4), 0x10441af4);
	assert_int_equal(get(f, PCI_CLASS_REVISION, 4), 0x00ff0001);
	assert_int_equal(get(f, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(get(f, PCI_SUBSYSTEM_VENDOR_ID, 4), 0x11001af4);
	assert_int_equal(get(f, PCI_INTERRUPT_PIN, 1), 1);
	assert_int_equal(get(f, PCI_INTERRUPT_LINE, 1), 7); /* slot 3 */
	assert_int_equal(get(f, PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
}

/* Whatever is written, only the bits that the header allows change. */
static void test_6_2_read_only_bits_stay(void **state)
{
	struct fixture *f = *state;
	uint32_t before[PCI_CFG_SIZE / 4];
	unsigned af;

	add(f);
	af = rig_find_cap(&f->rig, SLOT, PCI_CAP_ID_AF);
	for (unsigned i = 0; i < ARRAY_SIZE(before); i++)
		before[i] = (uint32_t)get(f, 4 * i, 4);
	for (unsigned i = 0; i < ARRAY_SIZE(before); i++) {
		if (4 * i != af + PCI_AF_CTRL)
			put(f, 4 * i, UINT32_MAX, 4);
		else
			put(f, 4 * i, UINT32_MAX & ~PCI_AF_CTRL_FLR, 4);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(before); i++) {
		uint32_t now = (uint32_t)get(f, 4 * i, 4);

		if (4 * i == PCI_COMMAND)
			assert_int_equal(now ^ before[i], 0x544); /* MEMORY is set at first */
		else if (4 * i == PCI_CACHE_LINE_SIZE)
			assert_int_equal(now ^ before[i], 0xff);
		else if (4 * i == PCI_INTERRUPT_LINE)
			assert_int_equal(now, before[i] | 0xff);
		else
			assert_int_equal(now, before[i]);
	}
}

static void test_6_2_3_status_bits_are_cleared_by_ones_and_never_set(void **state)
{
	struct fixture *f = *state;

	add(f);
	put(f, PCI_STATUS, 0xffff, 2);
	assert_int_equal(get(f, PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	f->d->dev.cfg[PCI_STATUS + 1] = PCI_STATUS_DETECTED_PARITY >> 8 |
					PCI_STATUS_REC_MASTER_ABORT >> 8;
	put(f, PCI_STATUS, 0, 2);
	assert_int_equal(get(f, PCI_STATUS, 2), PCI_STATUS_DETECTED_PARITY |
						PCI_STATUS_REC_MASTER_ABORT | PCI_STATUS_CAP_LIST);
	put(f, PCI_STATUS, PCI_STATUS_DETECTED_PARITY, 2);
	assert_int_equal(get(f, PCI_STATUS, 2), PCI_STATUS_REC_MASTER_ABORT | PCI_STATUS_CAP_LIST);
}

static void test_6_1_byte_and_word_accesses(void **state)
{
	struct fixture *f = *state;

	add(f);
	assert_int_equal(get(f, PCI_VENDOR_ID + 1, 1), 0x1a);
	assert_int_equal(get(f, PCI_DEVICE_ID, 2), 0x1044);
	assert_int_equal(get(f, PCI_VENDOR_ID + 1, 2), 0x441a);
	put(f, PCI_COMMAND + 1, PCI_COMMAND_INTX_DISABLE >> 8, 1);
	assert_int_equal(get(f, PCI_COMMAND, 2), PCI_COMMAND_INTX_DISABLE | PCI_COMMAND_MEMORY);
}

/* Neither across a dword, nor as a qword, nor past the end of the space. */
static void test_7_2_2_accesses_that_are_none(void **state)
{
	struct fixture *f = *state;
	const struct {
		unsigned off, size;
	} bad[] = { { 3, 2 }, { 1, 4 }, { 2, 4 }, { 0, 8 }, { 4, 8 }, { 256, 4 }, { 255, 2 },
		    { 254, 4 }, { 0xffc, 4 }, { 0xfff, 1 } };

	add(f);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		unsigned reads = f->d->reads, writes = f->d->writes;

		assert_int_equal(get(f, bad[i].off, bad[i].size),
				 UINT64_MAX >> (64 - 8 * bad[i].size));
		put(f, bad[i].off, 0, bad[i].size);
		assert_int_equal(f->d->reads, reads);
		assert_int_equal(f->d->writes, writes);
	}
	assert_int_equal(get(f, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	assert_int_equal(pci_config_read(&f->d->dev, UINT32_MAX, 1), UINT32_MAX);
	assert_int_equal(pci_config_read(&f->d->dev, UINT32_MAX - 3, 4), UINT32_MAX);
	pci_config_write(&f->d->dev, UINT32_MAX, 0, 1);
	pci_config_write(&f->d->dev, 0, 0, 3);
}

static void test_6_7_capabilities_are_linked_in_order(void **state)
{
	struct fixture *f = *state;
	int first = pci_add_cap(&f->d->dev, PCI_CAP_ID_VNDR, 9);
	int second = pci_add_cap(&f->d->dev, PCI_CAP_ID_VNDR, 16);

	assert_true(first > 0 && first % 4 == 0);
	assert_int_equal(second, first + 12);
	/*
	 * A capability that does not fit is refused without effect, and the space can be used to
	 * the last byte.
	 */
	assert_int_equal(pci_add_cap(&f->d->dev, PCI_CAP_ID_VNDR, 256u - 16 - (unsigned)second + 1),
			 -ENOSPC);
	assert_int_equal(pci_add_cap(&f->d->dev, PCI_CAP_ID_PM, 256u - 16 - (unsigned)second),
			 second + 16);
	assert_int_equal(pci_add_cap(&f->d->dev, PCI_CAP_ID_VNDR, 2), -ENOSPC);
	add(f);
	assert_int_equal(rig_find_cap(&f->rig, SLOT, PCI_CAP_ID_VNDR), first);
	assert_int_equal(get(f, (unsigned)first + 1, 1), second);
	assert_int_equal(rig_find_cap(&f->rig, SLOT, PCI_CAP_ID_PM), second + 16);
	assert_int_equal(get(f, (unsigned)second + 17, 1), 0);
	/* Read-only until the caller says otherwise. */
	put(f, (unsigned)first, UINT32_MAX, 4);
	assert_int_equal(get(f, (unsigned)first, 4), PCI_CAP_ID_VNDR | second << 8);
}

static void test_6_2_5_1_sizing_of_each_kind(void **state)
{
	struct fixture *f = *state;

	rig_dev_add_bar(f->d, 0, 0x1000, false);
	rig_dev_add_bar(f->d, 1, 0x100000, true);
	pci_add_bar(&f->d->dev, 3, 0x200000000, true, true, f->d->dev.bars[0].region.ops, f->d);
	add(f);
	for (unsigned decode = 0; decode < 2; decode++) {
		put(f, PCI_COMMAND, decode ? PCI_COMMAND_MEMORY : 0, 2);
		assert_int_equal(size_bar32(f, 0), 0x1000);
		assert_int_equal(size_bar64(f, 1), 0x100000);
		assert_int_equal(size_bar64(f, 3), 0x200000000);
		assert_int_equal(size_bar32(f, 5), 0); /* no such BAR */
	}
	assert_int_equal(get(f, PCI_BASE_ADDRESS_0, 4) & 0xf, 0);
	assert_int_equal(get(f, PCI_BASE_ADDRESS_1, 4) & 0xf, PCI_BASE_ADDRESS_MEM_TYPE_64);
	assert_int_equal(get(f, PCI_BASE_ADDRESS_3, 4) & 0xf,
			 PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH);
	for (unsigned i = 0; i < PCI_BARS; i++)
		assert_int_equal(f->d->dev.bars[i].mapped, f->d->dev.bars[i].size != 0);
	assert_int_equal(size_bar32(f, 0), 0x1000);
	assert_int_equal(get(f, PCI_ROM_ADDRESS, 4), 0);
}

static void test_6_2_5_memory_decoding_maps_and_unmaps(void **state)
{
	struct fixture *f = *state;
	uint64_t base;

	rig_dev_add_bar(f->d, 0, 0x1000, false);
	add(f);
	base = f->d->dev.bars[0].region.base;
	assert_int_equal(rig_read(&f->rig, base, 4), 0x55667788);
	put(f, PCI_COMMAND, 0, 2);
	assert_int_equal(rig_read(&f->rig, base, 4), UINT32_MAX);
	assert_int_equal(get(f, PCI_BASE_ADDRESS_0, 4), base);
	put(f, PCI_COMMAND, PCI_COMMAND_MEMORY, 1);
	assert_int_equal(rig_read(&f->rig, base + 0xffc, 4), 0x55667788);
	assert_int_equal(rig_read(&f->rig, base + 0x1000, 4), UINT32_MAX);

	assert_int_equal(f->d->bar_event_count, 3);
	assert_true(f->d->bar_events[0].mapped && f->d->bar_events[0].base == base);
	assert_true(!f->d->bar_events[1].mapped && f->d->bar_events[1].base == base);
	assert_true(f->d->bar_events[2].mapped && f->d->bar_events[2].base == base);
}

static void test_6_2_5_bars_move(void **state)
{
	struct fixture *f = *state;
	uint64_t home;

	rig_dev_add_bar(f->d, 0, 0x1000, false);
	rig_dev_add_bar(f->d, 2, 0x4000, true);
	add(f);
	home = f->d->dev.bars[0].region.base;
	put(f, PCI_BASE_ADDRESS_0, 0xd0000000, 4);
	assert_int_equal(rig_read(&f->rig, home, 4), UINT32_MAX);
	assert_int_equal(rig_read(&f->rig, 0xd0000000, 4), 0x55667788);
	/* The old address is unmapped before the new one is mapped. */
	assert_int_equal(f->d->bar_event_count, 4);
	assert_true(!f->d->bar_events[2].mapped && f->d->bar_events[2].base == home);
	assert_true(f->d->bar_events[3].mapped && f->d->bar_events[3].base == 0xd0000000);

	/* Between its halves a 64-bit address is in no window: decoded nowhere. */
	put(f, PCI_BASE_ADDRESS_2, 0x4000, 4);
	assert_false(f->d->dev.bars[2].mapped);
	put(f, PCI_BASE_ADDRESS_3, 0x8, 4);
	assert_int_equal(rig_read(&f->rig, 0x800004000, 4), 0x55667788);
	/* The same value written again: nothing happens. */
	assert_int_equal(f->d->bar_event_count, 6);
	put(f, PCI_BASE_ADDRESS_2, 0x4000, 4);
	assert_int_equal(f->d->bar_event_count, 6);
}

/* RAM, ECAM, interrupt controllers, the top of the address space, or half outside of a window. */
static void test_6_2_5_bars_outside_of_the_windows_are_not_decoded(void **state)
{
	struct fixture *f = *state;
	const uint64_t nowhere[] = { 0, 0x100000, RIG_MMIO32 - 0x1000, RIG_ECAM, 0xfec00000,
				     0xfee00000, 0xfffff000, 0x100000000, RIG_MMIO64 - 0x1000,
				     RIG_MMIO64 + RIG_MMIO64_LEN, 0xfffffffffffff000 };
	const uint64_t somewhere[] = { RIG_MMIO32 + RIG_MMIO32_LEN - 0x1000, RIG_MMIO64,
				       RIG_MMIO64 + RIG_MMIO64_LEN - 0x1000 };

	rig_dev_add_bar(f->d, 0, 0x1000, true);
	rig_dev_add_bar(f->d, 2, 2 * RIG_MMIO32_LEN, true);
	add(f);
	for (unsigned i = 0; i < ARRAY_SIZE(nowhere); i++) {
		put(f, PCI_BASE_ADDRESS_0, nowhere[i] & UINT32_MAX, 4);
		put(f, PCI_BASE_ADDRESS_1, nowhere[i] >> 32, 4);
		assert_false(f->d->dev.bars[0].mapped);
		assert_int_equal(f->rig.mmio.count, 2); /* ECAM and BAR 2 */
	}
	assert_int_equal(get(f, PCI_VENDOR_ID, 4), 0x10441af4);
	/* Its start is inside, its end is not. */
	put(f, PCI_BASE_ADDRESS_3, 0, 4);
	put(f, PCI_BASE_ADDRESS_2, RIG_MMIO32, 4);
	assert_false(f->d->dev.bars[2].mapped);
	for (unsigned i = 0; i < ARRAY_SIZE(somewhere); i++) {
		put(f, PCI_BASE_ADDRESS_0, somewhere[i] & UINT32_MAX, 4);
		put(f, PCI_BASE_ADDRESS_1, somewhere[i] >> 32, 4);
		assert_true(f->d->dev.bars[0].mapped);
		assert_int_equal(f->d->dev.bars[0].region.base, somewhere[i]);
	}
	assert_false(f->d->dev.warned);
}

static void test_6_2_5_a_bar_over_another_waits_for_it(void **state)
{
	struct fixture *f = *state;
	struct rig_dev *other = rig_dev_new(&f->rig, "test 1");
	uint64_t mine, theirs;

	assert_non_null(other);
	rig_dev_add_bar(f->d, 0, 0x1000, false);
	rig_dev_add_bar(other, 0, 0x4000, false);
	add(f);
	assert_int_equal(pci_add(&f->rig.bus, &other->dev, -1), 0);
	mine = f->d->dev.bars[0].region.base;
	theirs = other->dev.bars[0].region.base;

	put(f, PCI_BASE_ADDRESS_0, theirs + 0x2000, 4);
	assert_false(f->d->dev.bars[0].mapped);
	assert_true(f->d->dev.warned);
	rig_write(&f->rig, theirs + 0x2000, 1, 4);
	assert_int_equal(other->bar_writes, 1);
	assert_int_equal(f->d->bar_writes, 0);

	/* The other one moves: both are decoded. */
	rig_cfg_write(&f->rig, PCI_SLOT(other->dev.devfn), PCI_BASE_ADDRESS_0, 0xd0000000, 4);
	assert_true(f->d->dev.bars[0].mapped);
	assert_true(other->dev.bars[0].mapped);
	rig_write(&f->rig, theirs + 0x2000, 1, 4);
	assert_int_equal(f->d->bar_writes, 1);
	put(f, PCI_BASE_ADDRESS_0, mine, 4);
	assert_true(f->d->dev.bars[0].mapped);
}

static void test_6_2_5_two_bars_of_one_device_overlap(void **state)
{
	struct fixture *f = *state;
	uint64_t first;

	rig_dev_add_bar(f->d, 0, 0x1000, false);
	rig_dev_add_bar(f->d, 1, 0x1000, false);
	add(f);
	first = f->d->dev.bars[0].region.base;
	put(f, PCI_BASE_ADDRESS_1, first, 4);
	assert_true(f->d->dev.bars[0].mapped);
	assert_false(f->d->dev.bars[1].mapped);
	put(f, PCI_BASE_ADDRESS_0, 0, 4);
	assert_false(f->d->dev.bars[0].mapped);
	assert_true(f->d->dev.bars[1].mapped);
}

static void test_6_2_5_moving_in_a_loop_grows_nothing(void **state)
{
	struct fixture *f = *state;
	unsigned regions, fds;

	rig_dev_add_bar(f->d, 0, 0x1000, false);
	add(f);
	regions = f->rig.mmio.count;
	fds = fake_open_fds();
	for (uint32_t i = 0; i < 1000; i++) {
		put(f, PCI_BASE_ADDRESS_0, 0xc0000000 + i * 0x1000, 4);
		put(f, PCI_BASE_ADDRESS_0, UINT32_MAX, 4);
		put(f, PCI_COMMAND, i & 3, 2);
	}
	put(f, PCI_BASE_ADDRESS_0, 0xc0000000, 4);
	put(f, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_int_equal(f->rig.mmio.count, regions);
	assert_int_equal(fake_open_fds(), fds);
}

static void test_config_hooks_see_each_valid_access(void **state)
{
	struct fixture *f = *state;

	add(f);
	get(f, PCI_CLASS_REVISION + 2, 2);
	assert_int_equal(f->d->reads, 1);
	assert_int_equal(f->d->read_off, PCI_CLASS_REVISION + 2);
	put(f, PCI_INTERRUPT_LINE, 9, 1);
	assert_int_equal(f->d->writes, 1);
	assert_int_equal(f->d->write_off, PCI_INTERRUPT_LINE);
	assert_int_equal(f->d->write_len, 1);
}

static void test_af_function_level_reset(void **state)
{
	struct fixture *f = *state;
	unsigned af;

	assert_int_equal(rig_dev_add_msix(f->d, 2), 0);
	add(f);
	af = rig_find_cap(&f->rig, SLOT, PCI_CAP_ID_AF);
	assert_int_not_equal(af, 0);
	assert_int_equal(get(f, af + PCI_AF_LENGTH, 1), 6);
	assert_int_equal(get(f, af + PCI_AF_CAP, 1), PCI_AF_CAP_TP | PCI_AF_CAP_FLR);
	assert_int_equal(get(f, af + PCI_AF_STATUS, 1), 0);

	put(f, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	put(f, f->d->msix.cap + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE, 2);
	put(f, af + PCI_AF_CTRL, 0xfe, 1); /* every bit but the one */
	assert_int_equal(f->d->resets, 0);
	assert_int_equal(get(f, af + PCI_AF_CTRL, 1), 0);

	put(f, af + PCI_AF_CTRL, PCI_AF_CTRL_FLR, 1);
	assert_int_equal(f->d->resets, 1);
	assert_int_equal(get(f, af + PCI_AF_CTRL, 1), 0);
	assert_int_equal(get(f, PCI_COMMAND, 2), 0);
	assert_int_equal(get(f, PCI_BASE_ADDRESS_0, 4), PCI_BASE_ADDRESS_MEM_TYPE_64);
	assert_int_equal(get(f, PCI_INTERRUPT_LINE, 1), 0);
	assert_false(f->d->dev.bars[0].mapped);
	assert_int_equal(get(f, f->d->msix.cap + PCI_MSIX_FLAGS, 2), 1);
	assert_false(f->d->msix.enabled);

	/* As part of a wider write. */
	put(f, af + PCI_AF_CTRL, PCI_AF_CTRL_FLR, 2);
	assert_int_equal(f->d->resets, 2);
	put(f, af, PCI_AF_CTRL_FLR, 4); /* the bit, but in another register */
	assert_int_equal(f->d->resets, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PCI_TEST(test_6_1_header_of_a_type_0_function),
		PCI_TEST(test_6_2_read_only_bits_stay),
		PCI_TEST(test_6_2_3_status_bits_are_cleared_by_ones_and_never_set),
		PCI_TEST(test_6_1_byte_and_word_accesses),
		PCI_TEST(test_7_2_2_accesses_that_are_none),
		PCI_TEST(test_6_7_capabilities_are_linked_in_order),
		PCI_TEST(test_6_2_5_1_sizing_of_each_kind),
		PCI_TEST(test_6_2_5_memory_decoding_maps_and_unmaps),
		PCI_TEST(test_6_2_5_bars_move),
		PCI_TEST(test_6_2_5_bars_outside_of_the_windows_are_not_decoded),
		PCI_TEST(test_6_2_5_a_bar_over_another_waits_for_it),
		PCI_TEST(test_6_2_5_two_bars_of_one_device_overlap),
		PCI_TEST(test_6_2_5_moving_in_a_loop_grows_nothing),
		PCI_TEST(test_config_hooks_see_each_valid_access),
		PCI_TEST(test_af_function_level_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
