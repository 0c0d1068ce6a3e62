/* SPDX-License-Identifier: Apache-2.0 */
/* The saved state of the PCI bus: what a guest did on one is on another, of the same machine. */
#include "capture.h"
#include "pci_rig.h"
#include "saved.h"
#include "unit.h"

#include <string.h>

enum { VECTORS = 3, SLOT = 1, OTHER = 2, PIN = 10, OTHER_PIN = 11 };

/* A machine with two devices. */
struct machine {
	struct pci_rig rig;
	struct rig_dev *devs[2];
};

struct fixture {
	struct machine old, new;
};

static void machine_init(struct machine *m)
{
	static const char *const names[] = { "test 0", "test 1" };

	assert_int_equal(pci_rig_init(&m->rig), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(m->devs); i++) {
		m->devs[i] = rig_dev_new(&m->rig, names[i]);
		assert_non_null(m->devs[i]);
		assert_int_equal(rig_dev_add_msix(m->devs[i], VECTORS), 0);
		assert_int_equal(pci_add(&m->rig.bus, &m->devs[i]->dev, -1), 0);
	}
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	machine_init(&f->old);
	machine_init(&f->new);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pci_rig_destroy(&f->old.rig);
	pci_rig_destroy(&f->new.rig);
	test_free(f);
	return 0;
}

static int bus_state(void *object, struct state *state)
{
	return pci_bus_state(object, state);
}

static void expect_identity(struct fixture *f)
{
	saved_move(bus_state, &f->old.rig.bus, &f->new.rig.bus);
}

static const struct pci_bar *bar_of(const struct machine *m, unsigned slot)
{
	return &m->devs[slot - 1]->dev.bars[RIG_MSIX_BAR];
}

static void move_bar(struct machine *m, unsigned slot, uint64_t address)
{
	rig_cfg_write(&m->rig, slot, PCI_BASE_ADDRESS_0, address & UINT32_MAX, 4);
	rig_cfg_write(&m->rig, slot, PCI_BASE_ADDRESS_1, address >> 32, 4);
}

static void set_intx(struct machine *m, unsigned slot, bool level)
{
	struct rig_dev *d = m->devs[slot - 1];

	pthread_mutex_lock(&d->lock);
	pci_set_intx(&d->dev, level);
	pthread_mutex_unlock(&d->lock);
}

static void test_identity_at_power_on(void **state)
{
	struct fixture *f = *state;

	expect_identity(f);
	assert_true(bar_of(&f->new, SLOT)->mapped && bar_of(&f->new, OTHER)->mapped);
}

static void test_reset_leaves_what_power_on_does(void **state)
{
	struct fixture *f = *state;
	struct machine *m = &f->old;
	struct saved fresh = saved_take(bus_state, &m->rig.bus);

	for (unsigned off = PCI_COMMAND; off < PCI_CFG_SIZE; off += 4)
		rig_cfg_write(&m->rig, SLOT, off, UINT32_MAX, 4);
	move_bar(m, OTHER, RIG_MMIO64);
	rig_write(&m->rig, RIG_MMIO64 + RIG_TABLE, 0xfee00000, 4);
	set_intx(m, OTHER, true);
	rig_out(&m->rig, RIG_CF8, UINT32_MAX, 4);
	pci_bus_reset(&m->rig.bus);
	saved_expect_same(&fresh, bus_state, &m->rig.bus);
	saved_free(&fresh);
}

/* Each is where the other was first. */
static void test_swapped_bars(void **state)
{
	struct fixture *f = *state;
	uint64_t first = bar_of(&f->old, SLOT)->region.base;
	uint64_t second = bar_of(&f->old, OTHER)->region.base;

	move_bar(&f->old, SLOT, RIG_MMIO64);
	move_bar(&f->old, OTHER, first);
	move_bar(&f->old, SLOT, second);
	expect_identity(f);
	assert_true(bar_of(&f->new, SLOT)->mapped && bar_of(&f->new, OTHER)->mapped);
	assert_int_equal(bar_of(&f->new, SLOT)->region.base, second);
	assert_int_equal(bar_of(&f->new, OTHER)->region.base, first);
}

static void test_bars_that_are_off_or_outside(void **state)
{
	struct fixture *f = *state;

	move_bar(&f->old, SLOT, RIG_ECAM);
	rig_cfg_write(&f->old.rig, OTHER, PCI_COMMAND, 0, 2);
	expect_identity(f);
	assert_false(bar_of(&f->new, SLOT)->mapped || bar_of(&f->new, OTHER)->mapped);
	/* The bus still works. */
	assert_int_equal(rig_cfg_read(&f->new.rig, SLOT, PCI_VENDOR_ID, 2), 0x1af4);
	move_bar(&f->new, SLOT, RIG_MMIO32);
	assert_true(bar_of(&f->new, SLOT)->mapped);
}

/* One of the two is mapped, as with a guest that does this. */
static void test_overlapping_bars(void **state)
{
	struct fixture *f = *state;
	uint64_t first = bar_of(&f->old, SLOT)->region.base;
	struct capture capture;

	capture_stderr_begin(&capture);
	move_bar(&f->old, OTHER, first);
	expect_identity(f);
	capture_expect(&capture, "not mapped");
	assert_true(bar_of(&f->new, SLOT)->mapped);
	assert_false(bar_of(&f->new, OTHER)->mapped);
	move_bar(&f->new, SLOT, RIG_MMIO64);
	assert_true(bar_of(&f->new, OTHER)->mapped);
}

static void test_pins_and_masks(void **state)
{
	struct fixture *f = *state;
	struct machine *m = &f->old;

	set_intx(m, SLOT, true);
	set_intx(m, OTHER, true);
	rig_cfg_write(&m->rig, OTHER, PCI_COMMAND,
		      PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE, 2);
	rig_out(&m->rig, RIG_CF8, 0x80001004, 4);
	expect_identity(f);
	assert_true(f->new.rig.fake.levels[PIN]);
	assert_false(f->new.rig.fake.levels[OTHER_PIN]);
	assert_int_equal(rig_in(&f->new.rig, RIG_CF8, 4), 0x80001004);
	set_intx(&f->new, SLOT, false);
	assert_false(f->new.rig.fake.levels[PIN]);
}

static void test_msix_table(void **state)
{
	struct fixture *f = *state;
	uint64_t table = bar_of(&f->old, SLOT)->region.base + RIG_TABLE;

	rig_write(&f->old.rig, table + 16, 0x1111222233334444, 8);
	rig_write(&f->old.rig, table + 24, 0x55556666, 8);
	rig_cfg_write(&f->old.rig, SLOT, f->old.devs[0]->msix.cap + PCI_MSIX_FLAGS,
		      PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 2);
	expect_identity(f);
	assert_int_equal(rig_read(&f->new.rig, table + 16, 8), 0x1111222233334444);
	assert_int_equal(rig_read(&f->new.rig, table + 24, 8), 0x55556666);
	assert_true(f->new.devs[0]->msix.enabled && f->new.devs[0]->msix.masked);
	assert_false(f->new.devs[1]->msix.enabled);
}

/* --- What is refused -------------------------------------------------------------------------- */

static void refuse_byte(struct fixture *f, const char *table, const char *name, unsigned off,
			uint8_t value, const char *why)
{
	struct saved saved = saved_take(bus_state, &f->old.rig.bus);
	size_t len;

	saved_section(&saved, table, name, &len)[off] = value;
	saved_refused(&saved, bus_state, &f->new.rig.bus, why);
	saved_free(&saved);
}

static void test_refuses_another_device(void **state)
{
	struct fixture *f = *state;

	refuse_byte(f, "pci-function", "test 0", 0, PCI_DEVFN(5, 0),
		    "in slot 5; this machine has it in slot 1");
	refuse_byte(f, "pci-function", "test 0", 1 + PCI_DEVICE_ID, 0x45,
		    "register 0x02 is 0x45; that of this machine is 0x44");
	/* Below the BAR's size. */
	refuse_byte(f, "pci-function", "test 0", 1 + PCI_BASE_ADDRESS_0 + 1, 0x10,
		    "register 0x11 is 0x10");
	/* I/O decoding, which it does not have. */
	refuse_byte(f, "pci-function", "test 1", 1 + PCI_COMMAND, PCI_COMMAND_IO, "register 0x04");
	refuse_byte(f, "msix", "test 1", 12, 2, "control is 2");
	refuse_byte(f, "pci-bus", "", 0, 1, "unknown bits");
}

static void test_any_byte_changed(void **state)
{
	struct fixture *f = *state;
	struct saved saved;
	struct capture capture;
	char text[2048];
	uint8_t *at;

	rig_cfg_write(&f->old.rig, SLOT, f->old.devs[0]->msix.cap + PCI_MSIX_FLAGS,
		      PCI_MSIX_FLAGS_ENABLE, 2);
	saved = saved_take(bus_state, &f->old.rig.bus);
	capture_stderr_begin(&capture);
	for (size_t i = 0; (at = saved_byte(&saved, i)); i++) {
		for (unsigned bit = 1; bit <= 0x80; bit <<= 1) {
			*at ^= (uint8_t)bit;
			if (!saved_load(&saved, bus_state, &f->new.rig.bus))
				rig_cfg_write(&f->new.rig, SLOT, PCI_COMMAND, UINT16_MAX, 2);
			*at ^= (uint8_t)bit;
			pci_rig_destroy(&f->new.rig);
			machine_init(&f->new);
		}
	}
	capture_stderr_end(&capture, text, sizeof(text));
	saved_free(&saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_identity_at_power_on),
		TEST(test_reset_leaves_what_power_on_does),
		TEST(test_swapped_bars),
		TEST(test_bars_that_are_off_or_outside),
		TEST(test_overlapping_bars),
		TEST(test_pins_and_masks),
		TEST(test_msix_table),
		TEST(test_refuses_another_device),
		TEST(test_any_byte_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
