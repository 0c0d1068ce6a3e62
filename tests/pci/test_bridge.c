/* SPDX-License-Identifier: Apache-2.0 */
/* The host bridge: access to configuration space, address windows, shared interrupt pins, reset. */
#include "pci_rig.h"
#include "unit.h"

#include <string.h>

static int setup(void **state)
{
	struct pci_rig *rig = calloc(1, sizeof(*rig));

	*state = rig;
	return rig ? pci_rig_init(rig) : -1;
}

static struct rig_dev *new_dev(struct pci_rig *rig)
{
	struct rig_dev *d = rig_dev_new(rig, "test");

	assert_non_null(d);
	return d;
}

static struct rig_dev *add_dev(struct pci_rig *rig, int slot)
{
	struct rig_dev *d = new_dev(rig);

	rig_dev_add_bar(d, 0, 0x1000, false);
	assert_int_equal(pci_add(&rig->bus, &d->dev, slot), 0);
	return d;
}

static void set_intx(struct rig_dev *d, bool level)
{
	pthread_mutex_lock(&d->lock);
	pci_set_intx(&d->dev, level);
	pthread_mutex_unlock(&d->lock);
}

static uint32_t config_address(unsigned bus, unsigned slot, unsigned function, unsigned off)
{
	return 0x80000000 | bus << 16 | slot << 11 | function << 8 | (off & 0xfc);
}

static void test_bridge_is_at_00_0(void **state)
{
	struct pci_rig *rig = *state;

	assert_int_equal(rig_cfg_read(rig, 0, PCI_VENDOR_ID, 4), 0x00081b36);
	assert_int_equal(rig_cfg_read(rig, 0, PCI_CLASS_DEVICE, 2), 0x0600);
	assert_int_equal(rig_cfg_read(rig, 0, PCI_INTERRUPT_PIN, 1), 0);
	assert_int_equal(rig_find_cap(rig, 0, PCI_CAP_ID_AF), 0);
}

static void test_6_1_absent_functions_read_all_ones(void **state)
{
	struct pci_rig *rig = *state;

	add_dev(rig, 4);
	for (unsigned devfn = 0; devfn < 256; devfn++) {
		uint64_t addr = RIG_ECAM + (devfn << 12);

		if (devfn == 0 || devfn == 4 << 3)
			continue;
		assert_int_equal(rig_read(rig, addr, 4), UINT32_MAX);
		assert_int_equal(rig_read(rig, addr + PCI_HEADER_TYPE, 1), 0xff);
		rig_write(rig, addr + PCI_COMMAND, 0, 4);
		rig_out(rig, RIG_CF8, 0x80000000 | devfn << 8, 4);
		assert_int_equal(rig_in(rig, RIG_CF8 + 4, 4), UINT32_MAX);
		assert_int_equal(rig_in(rig, RIG_CF8 + 6, 2), 0xffff);
		rig_out(rig, RIG_CF8 + 4, 0, 4);
	}
	rig_out(rig, RIG_CF8, config_address(1, 4, 0, 0), 4);
	assert_int_equal(rig_in(rig, RIG_CF8 + 4, 4), UINT32_MAX);
}

static void test_3_2_2_3_2_cf8_is_a_dword_register(void **state)
{
	struct pci_rig *rig = *state;

	rig_out(rig, RIG_CF8, UINT32_MAX, 4);
	assert_int_equal(rig_in(rig, RIG_CF8, 4), 0x80fffffc);
	rig_out(rig, RIG_CF8, config_address(0, 0, 0, 8), 4);
	/* Smaller accesses are plain ports that nothing answers: a probe for mechanism #2. */
	rig_out(rig, RIG_CF8 + 3, 0x01, 1);
	rig_out(rig, RIG_CF8, 0, 1);
	rig_out(rig, RIG_CF8 + 2, 0, 2);
	assert_int_equal(rig_in(rig, RIG_CF8, 1), 0xff);
	assert_int_equal(rig_in(rig, RIG_CF8 + 2, 2), 0xffff);
	assert_int_equal(rig_in(rig, RIG_CF8 + 2, 4), UINT32_MAX);
	assert_int_equal(rig_in(rig, RIG_CF8, 4), config_address(0, 0, 0, 8));
	assert_int_equal(rig_in(rig, RIG_CF8 + 4, 4), 0x06000000);
}

static void test_3_2_2_3_2_cfc_bytes_and_words(void **state)
{
	struct pci_rig *rig = *state;

	add_dev(rig, 2);
	rig_out(rig, RIG_CF8, config_address(0, 2, 0, PCI_VENDOR_ID), 4);
	assert_int_equal(rig_in(rig, RIG_CF8 + 4, 4), 0x10441af4);
	assert_int_equal(rig_in(rig, RIG_CF8 + 4, 2), 0x1af4);
	assert_int_equal(rig_in(rig, RIG_CF8 + 6, 2), 0x1044);
	assert_int_equal(rig_in(rig, RIG_CF8 + 5, 1), 0x1a);
	assert_int_equal(rig_in(rig, RIG_CF8 + 7, 1), 0x10);
	assert_int_equal(rig_in(rig, RIG_CF8 + 7, 2), 0xffff); /* past the last port */

	rig_out(rig, RIG_CF8, config_address(0, 2, 0, PCI_COMMAND), 4);
	rig_out(rig, RIG_CF8 + 5, PCI_COMMAND_INTX_DISABLE >> 8, 1);
	assert_int_equal(rig_cfg_read(rig, 2, PCI_COMMAND, 2),
			 PCI_COMMAND_INTX_DISABLE | PCI_COMMAND_MEMORY);
	rig_out(rig, RIG_CF8 + 4, PCI_COMMAND_MASTER, 2);
	assert_int_equal(rig_cfg_read(rig, 2, PCI_COMMAND, 2), PCI_COMMAND_MASTER);

	/* Not enabled: no configuration cycle. */
	rig_out(rig, RIG_CF8, config_address(0, 2, 0, PCI_COMMAND) & 0x7fffffff, 4);
	assert_int_equal(rig_in(rig, RIG_CF8 + 4, 4), UINT32_MAX);
	rig_out(rig, RIG_CF8 + 4, 0, 2);
	assert_int_equal(rig_cfg_read(rig, 2, PCI_COMMAND, 2), PCI_COMMAND_MASTER);
}

static void test_slots_are_given_in_order_and_end(void **state)
{
	struct pci_rig *rig = *state;
	struct rig_dev *d;

	add_dev(rig, 2);
	assert_int_equal(PCI_SLOT(add_dev(rig, -1)->dev.devfn), 1);
	for (int slot = 3; slot < PCI_SLOTS; slot++)
		assert_int_equal(PCI_SLOT(add_dev(rig, -1)->dev.devfn), slot);
	d = new_dev(rig);
	assert_int_equal(pci_add(&rig->bus, &d->dev, -1), -ENOSPC);
	assert_int_equal(pci_add(&rig->bus, &d->dev, PCI_SLOTS), -ENOSPC);
	assert_int_equal(pci_add(&rig->bus, &d->dev, 5), -EBUSY);
	rig_dev_free(d);
}

static void test_windows_give_aligned_addresses_that_never_overlap(void **state)
{
	struct pci_rig *rig = *state;
	struct rig_dev *d = new_dev(rig), *e = new_dev(rig);

	rig_dev_add_bar(d, 0, 0x1000, false);
	rig_dev_add_bar(d, 1, 0x10000000, false);
	rig_dev_add_bar(d, 2, 0x1000, true);
	rig_dev_add_bar(d, 4, 0x80000000, true);
	assert_int_equal(pci_add(&rig->bus, &d->dev, -1), 0);
	assert_int_equal(d->dev.bars[0].region.base, RIG_MMIO32);
	assert_int_equal(d->dev.bars[1].region.base, RIG_MMIO32 + 0x10000000);
	/* The window below 4 GiB is full: 64-bit BARs go above. */
	assert_int_equal(d->dev.bars[2].region.base, RIG_MMIO64);
	assert_int_equal(d->dev.bars[4].region.base, RIG_MMIO64 + 0x80000000);
	rig_dev_add_bar(e, 0, 0x1000, false);
	assert_int_equal(pci_add(&rig->bus, &e->dev, -1), -ENOSPC);
	rig_dev_free(e);
}

static void test_a_refused_device_leaves_nothing(void **state)
{
	struct pci_rig *rig = *state;
	const uint64_t next32 = rig->bus.mmio32.next, next64 = rig->bus.mmio64.next;
	struct bus_region squatter = { .base = RIG_MMIO32 + 0x2000, .len = 0x1000 };
	struct rig_dev *d = new_dev(rig);
	unsigned destroyed = 0;

	d->destroyed = &destroyed;
	assert_int_equal(bus_add(&rig->mmio, &squatter), 0);
	rig_dev_add_bar(d, 0, 0x1000, false);
	rig_dev_add_bar(d, 1, 0x1000, false);
	rig_dev_add_bar(d, 2, 0x1000, false);
	assert_int_equal(pci_add(&rig->bus, &d->dev, -1), -EBUSY);
	assert_int_equal(destroyed, 0);
	assert_int_equal(rig->mmio.count, 2);
	assert_int_equal(rig->bus.mmio32.next, next32);
	assert_int_equal(rig->bus.mmio64.next, next64);
	assert_int_equal(rig_cfg_read(rig, 1, 0, 4), UINT32_MAX);
	rig_dev_free(d);
	bus_remove(&rig->mmio, &squatter);
}

static void test_2_2_6_shared_pin_falls_when_the_last_device_lets_go(void **state)
{
	struct pci_rig *rig = *state;
	struct rig_dev *a = add_dev(rig, 1), *b = add_dev(rig, 5), *c = add_dev(rig, 2);

	set_intx(a, true);
	assert_true(rig->fake.levels[10]);
	assert_false(rig->fake.levels[11]);
	set_intx(b, true);
	set_intx(b, false);
	assert_true(rig->fake.levels[10]);
	set_intx(b, true);
	set_intx(c, true);
	assert_true(rig->fake.levels[11]);
	set_intx(a, false);
	assert_true(rig->fake.levels[10]);
	set_intx(b, false);
	assert_false(rig->fake.levels[10]);
	assert_true(rig->fake.levels[11]);
	assert_int_equal(rig_cfg_read(rig, 1, PCI_INTERRUPT_LINE, 1), 10);
	assert_int_equal(rig_cfg_read(rig, 5, PCI_INTERRUPT_LINE, 1), 10);
	assert_int_equal(rig_cfg_read(rig, 2, PCI_INTERRUPT_LINE, 1), 11);
}

static void test_6_2_2_intx_disable_hides_the_pin_but_not_the_status(void **state)
{
	struct pci_rig *rig = *state;
	struct rig_dev *d = add_dev(rig, 1);

	rig_cfg_write(rig, 1, PCI_COMMAND, PCI_COMMAND_INTX_DISABLE, 2);
	set_intx(d, true);
	assert_false(rig->fake.levels[10]);
	assert_true(rig_cfg_read(rig, 1, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	rig_cfg_write(rig, 1, PCI_COMMAND, 0, 2);
	assert_true(rig->fake.levels[10]);
	rig_cfg_write(rig, 1, PCI_COMMAND, PCI_COMMAND_INTX_DISABLE, 2);
	assert_false(rig->fake.levels[10]);
	rig_cfg_write(rig, 1, PCI_COMMAND, 0, 2);
	set_intx(d, false);
	assert_false(rig->fake.levels[10]);
	assert_false(rig_cfg_read(rig, 1, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
}

static void test_6_2_4_only_changes_reach_kvm(void **state)
{
	struct pci_rig *rig = *state;
	struct rig_dev *d = add_dev(rig, 1);

	set_intx(d, false);
	assert_int_equal(fake_sys_count(&rig->fake, KVM_IRQ_LINE), 0);
	set_intx(d, true);
	set_intx(d, true);
	assert_int_equal(fake_sys_count(&rig->fake, KVM_IRQ_LINE), 1);
}

static void test_flr_lets_the_shared_pin_go(void **state)
{
	struct pci_rig *rig = *state;
	struct rig_dev *a = add_dev(rig, 1), *b = add_dev(rig, 5);
	unsigned af = rig_find_cap(rig, 1, PCI_CAP_ID_AF);

	set_intx(a, true);
	set_intx(b, true);
	rig_cfg_write(rig, 1, af + PCI_AF_CTRL, PCI_AF_CTRL_FLR, 1);
	assert_true(rig->fake.levels[10]);
	rig_cfg_write(rig, 5, af + PCI_AF_CTRL, PCI_AF_CTRL_FLR, 1);
	assert_false(rig->fake.levels[10]);
	assert_false(rig_cfg_read(rig, 1, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
}

static void test_machine_reset_brings_everything_home(void **state)
{
	struct pci_rig *rig = *state;
	struct rig_dev *a = add_dev(rig, 1), *b = add_dev(rig, 2);
	uint64_t home_a = a->dev.bars[0].region.base, home_b = b->dev.bars[0].region.base;

	/* They swap addresses, one is switched off, one interrupts. */
	rig_cfg_write(rig, 1, PCI_BASE_ADDRESS_0, 0xd0000000, 4);
	rig_cfg_write(rig, 2, PCI_BASE_ADDRESS_0, home_a, 4);
	rig_cfg_write(rig, 1, PCI_BASE_ADDRESS_0, home_b, 4);
	rig_cfg_write(rig, 1, PCI_COMMAND, PCI_COMMAND_MASTER, 2);
	rig_cfg_write(rig, 2, PCI_INTERRUPT_LINE, 42, 1);
	rig_out(rig, RIG_CF8, UINT32_MAX, 4);
	set_intx(b, true);

	pci_bus_reset(&rig->bus);
	assert_int_equal(a->resets, 1);
	assert_int_equal(b->resets, 1);
	assert_true(a->dev.bars[0].mapped && a->dev.bars[0].region.base == home_a);
	assert_true(b->dev.bars[0].mapped && b->dev.bars[0].region.base == home_b);
	assert_int_equal(rig_cfg_read(rig, 1, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	assert_int_equal(rig_cfg_read(rig, 2, PCI_INTERRUPT_LINE, 1), 11);
	assert_false(rig->fake.levels[11]);
	assert_int_equal(rig_in(rig, RIG_CF8, 4), 0);
}

struct vcpu_thread {
	struct pci_rig *rig;
	unsigned slot;
	uint64_t homes[2];
};

/*
 * Moves its device's BAR onto the other's initial address and back, and accesses whatever is there.
 */
static void *move_to_and_fro(void *arg)
{
	struct vcpu_thread *t = arg;

	for (unsigned i = 0; i < 2000; i++) {
		rig_cfg_write(t->rig, t->slot, PCI_BASE_ADDRESS_0, t->homes[i % 2], 4);
		rig_write(t->rig, t->homes[0], i, 4);
		rig_read(t->rig, t->homes[1], 4);
	}
	return NULL;
}

/* The BARs overlap again and again; neither vCPU waits forever for the other. */
static void test_6_2_5_two_vcpus_move_bars_over_each_other(void **state)
{
	struct pci_rig *rig = *state;
	struct rig_dev *a = add_dev(rig, 1), *b = add_dev(rig, 2);
	uint64_t home_a = a->dev.bars[0].initial_address, home_b = b->dev.bars[0].initial_address;
	struct vcpu_thread threads[] = {
		{ rig, 1, { home_b, home_a } },
		{ rig, 2, { home_a, home_b } },
	};
	pthread_t ids[2];

	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&ids[i], NULL, move_to_and_fro, &threads[i]), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(ids[i], NULL);
	assert_true(a->dev.bars[0].mapped && a->dev.bars[0].region.base == home_a);
	assert_true(b->dev.bars[0].mapped && b->dev.bars[0].region.base == home_b);
	assert_int_equal(rig->mmio.count, 3);
}

static void test_destroy_takes_every_device_along(void **state)
{
	struct pci_rig rig;
	unsigned destroyed = 0, fds = fake_open_fds();

	(void)state;
	assert_int_equal(pci_rig_init(&rig), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct rig_dev *d = new_dev(&rig);

		assert_int_equal(rig_dev_add_msix(d, 2), 0);
		d->destroyed = &destroyed;
		assert_int_equal(pci_add(&rig.bus, &d->dev, -1), 0);
	}
	pci_bus_destroy(&rig.bus);
	assert_int_equal(destroyed, 3);
	assert_int_equal(rig.mmio.count, 0);
	assert_int_equal(rig.pio.count, 0);
	assert_int_equal(pci_bus_init(&rig.bus, &(struct pci_bus_options){
		.mmio = &rig.mmio, .irqs = &rig.irqs, .ecam_base = RIG_ECAM, .ecam_len = 0x1000,
	}), 0);
	assert_int_equal(rig.pio.count, 0);
	pci_rig_destroy(&rig);
	assert_int_equal(fake_open_fds(), fds);
}

static void test_init_fails_whole(void **state)
{
	struct pci_rig *rig = *state;
	struct pci_bus second;
	const struct pci_bus_options options = {
		.mmio = &rig->mmio, .pio = &rig->pio, .irqs = &rig->irqs, .config_port = RIG_CF8,
		.ecam_base = RIG_ECAM + RIG_ECAM_LEN, .ecam_len = 0x100000,
	};

	/* CF8 is taken: the ECAM added before must be removed again. */
	assert_int_equal(pci_bus_init(&second, &options), -EBUSY);
	assert_int_equal(rig->mmio.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PCI_TEST(test_bridge_is_at_00_0),
		PCI_TEST(test_6_1_absent_functions_read_all_ones),
		PCI_TEST(test_3_2_2_3_2_cf8_is_a_dword_register),
		PCI_TEST(test_3_2_2_3_2_cfc_bytes_and_words),
		PCI_TEST(test_slots_are_given_in_order_and_end),
		PCI_TEST(test_windows_give_aligned_addresses_that_never_overlap),
		PCI_TEST(test_a_refused_device_leaves_nothing),
		PCI_TEST(test_2_2_6_shared_pin_falls_when_the_last_device_lets_go),
		PCI_TEST(test_6_2_2_intx_disable_hides_the_pin_but_not_the_status),
		PCI_TEST(test_6_2_4_only_changes_reach_kvm),
		PCI_TEST(test_flr_lets_the_shared_pin_go),
		PCI_TEST(test_machine_reset_brings_everything_home),
		PCI_TEST(test_6_2_5_two_vcpus_move_bars_over_each_other),
		cmocka_unit_test(test_destroy_takes_every_device_along),
		PCI_TEST(test_init_fails_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
