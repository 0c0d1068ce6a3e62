/* SPDX-License-Identifier: Apache-2.0 */
/* MSI-X: PCI Local Bus 3.0 §6.8.2. Guest accesses go through the BAR and configuration space. */
#include "pci_rig.h"
#include "unit.h"

#include <poll.h>
#include <string.h>

enum { SLOT = 1, VECTORS = 3 };

struct fixture {
	struct pci_rig rig;
	struct rig_dev *d;
	uint64_t bar;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	if (!f || pci_rig_init(&f->rig))
		return -1;
	f->d = rig_dev_new(&f->rig, "test 0");
	if (!f->d || rig_dev_add_msix(f->d, VECTORS) || pci_add(&f->rig.bus, &f->d->dev, SLOT))
		return -1;
	f->bar = f->d->dev.bars[RIG_MSIX_BAR].region.base;
	rig_cfg_write(&f->rig, SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	return 0;
}

static uint64_t entry(struct fixture *f, unsigned vector, unsigned off)
{
	return f->bar + RIG_TABLE + vector * MSIX_ENTRY_SIZE + off;
}

static void set_message(struct fixture *f, unsigned vector, uint64_t address, uint32_t data)
{
	rig_write(&f->rig, entry(f, vector, PCI_MSIX_ENTRY_LOWER_ADDR), address & UINT32_MAX, 4);
	rig_write(&f->rig, entry(f, vector, PCI_MSIX_ENTRY_UPPER_ADDR), address >> 32, 4);
	rig_write(&f->rig, entry(f, vector, PCI_MSIX_ENTRY_DATA), data, 4);
}

static void mask(struct fixture *f, unsigned vector, bool masked)
{
	rig_write(&f->rig, entry(f, vector, PCI_MSIX_ENTRY_VECTOR_CTRL), masked, 4);
}

static void control(struct fixture *f, uint16_t flags)
{
	rig_cfg_write(&f->rig, SLOT, f->d->msix.cap + PCI_MSIX_FLAGS, flags, 2);
}

static uint64_t pba(struct fixture *f)
{
	return rig_read(&f->rig, f->bar + RIG_PBA, 8);
}

static int bind_line(struct fixture *f, unsigned line, uint16_t vector)
{
	int ret;

	pthread_mutex_lock(&f->d->lock);
	ret = msix_bind(&f->d->msix, &f->d->lines[line].irq, vector);
	pthread_mutex_unlock(&f->d->lock);
	return ret;
}

static struct irq_line *line_of(struct fixture *f, unsigned line)
{
	return &f->d->lines[line].irq;
}

/* The message that KVM would inject for the line, or NULL when it is not attached. */
static const struct kvm_irq_routing_msi *delivered(struct fixture *f, unsigned line)
{
	uint32_t gsi;

	if (!fake_irqfd_attached(&f->rig.fake, line_of(f, line)->fd, &gsi))
		return NULL;
	return fake_route(&f->rig.fake, gsi) ? &fake_route(&f->rig.fake, gsi)->u.msi : NULL;
}

static bool event_waits(struct fixture *f, unsigned line)
{
	struct pollfd pfd = { .fd = line_of(f, line)->fd, .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

static void test_6_8_2_capability(void **state)
{
	struct fixture *f = *state;
	unsigned cap = rig_find_cap(&f->rig, SLOT, PCI_CAP_ID_MSIX);

	assert_int_equal(cap, f->d->msix.cap);
	assert_int_equal(rig_cfg_read(&f->rig, SLOT, cap + PCI_MSIX_FLAGS, 2), VECTORS - 1);
	assert_int_equal(rig_cfg_read(&f->rig, SLOT, cap + PCI_MSIX_TABLE, 4),
			 RIG_TABLE | RIG_MSIX_BAR);
	assert_int_equal(rig_cfg_read(&f->rig, SLOT, cap + PCI_MSIX_PBA, 4),
			 RIG_PBA | RIG_MSIX_BAR);
	control(f, 0xffff);
	assert_int_equal(rig_cfg_read(&f->rig, SLOT, cap + PCI_MSIX_FLAGS, 2),
			 (VECTORS - 1) | PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (unsigned i = 0; i < VECTORS; i++)
		assert_int_equal(rig_read(&f->rig, entry(f, i, PCI_MSIX_ENTRY_VECTOR_CTRL), 4), 1);
}

static void test_6_8_2_init_refuses_what_does_not_fit(void **state)
{
	struct fixture *f = *state;
	struct rig_dev *d = rig_dev_new(&f->rig, "test 1");
	struct msix m;

	assert_non_null(d);
	rig_dev_add_bar(d, 0, 0x4000, true);
	assert_int_equal(msix_init(&m, &d->dev, 0, 0, 0, 0x800, 1), -EINVAL);
	assert_int_equal(msix_init(&m, &d->dev, 2049, 0, 0, 0x800, 1), -EINVAL);
	assert_int_equal(msix_init(&m, &d->dev, 1, 2, 0, 0x800, 1), -EINVAL); /* no such BAR */
	assert_int_equal(msix_init(&m, &d->dev, 1, 6, 0, 0x800, 1), -EINVAL);
	assert_int_equal(msix_init(&m, &d->dev, 1, 0, 4, 0x800, 1), -EINVAL);
	assert_int_equal(msix_init(&m, &d->dev, 2, 0, 0x3ff0, 0, 1), -EINVAL);
	assert_int_equal(msix_init(&m, &d->dev, 65, 0, 0, 0x3ff8, 1), -EINVAL);
	assert_int_equal(msix_init(&m, &d->dev, 64, 0, 0, 0x3ff8, 1), 0);
	msix_destroy(&m);
	d->dev.msix = NULL;
	rig_dev_free(d);
}

static void test_6_8_2_table_accesses(void **state)
{
	struct fixture *f = *state;
	const uint64_t end = entry(f, VECTORS, 0);

	rig_write(&f->rig, entry(f, 1, 0), 0x1111222233334444, 8);
	rig_write(&f->rig, entry(f, 1, 8), 0xffffffff55556666, 8);
	assert_int_equal(rig_read(&f->rig, entry(f, 1, 0), 4), 0x33334444);
	assert_int_equal(rig_read(&f->rig, entry(f, 1, 4), 4), 0x11112222);
	assert_int_equal(rig_read(&f->rig, entry(f, 1, 8), 8), 0x155556666); /* reserved: zero */
	/* Neither dwords nor qwords, unaligned, or beyond the end: nothing is written. */
	rig_write(&f->rig, entry(f, 1, 0), 0, 1);
	rig_write(&f->rig, entry(f, 1, 2), 0, 2);
	rig_write(&f->rig, entry(f, 1, 2), 0, 4);
	rig_write(&f->rig, entry(f, 1, 4), 0, 8);
	assert_int_equal(rig_read(&f->rig, entry(f, 1, 0), 8), 0x1111222233334444);
	rig_write(&f->rig, end, UINT64_MAX, 8);
	rig_write(&f->rig, end - 4, UINT64_MAX, 8);
	assert_int_equal(rig_read(&f->rig, end, 8), 0);
	assert_int_equal(rig_read(&f->rig, end - 4, 8), 0);
	assert_int_equal(msix_table_read(&f->d->msix, UINT64_MAX, 4), 0);
	assert_int_equal(msix_table_read(&f->d->msix, UINT64_MAX - 3, 4), 0);
	msix_table_write(&f->d->msix, UINT64_MAX - 3, 0, 4);
	assert_int_equal(msix_pba_read(&f->d->msix, UINT64_MAX, 8), 0);
}

static void test_6_8_2_unmasked_vector_goes_to_kvm(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(bind_line(f, 0, 2), 0);
	assert_int_equal(line_of(f, 0)->sink, IRQ_RELAY); /* not enabled yet */
	set_message(f, 2, 0x1fee01000, 0x4123);
	control(f, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(line_of(f, 0)->sink, IRQ_HELD);
	mask(f, 2, false);
	assert_non_null(delivered(f, 0));
	assert_int_equal(delivered(f, 0)->address_lo, 0xfee01000);
	assert_int_equal(delivered(f, 0)->address_hi, 1);
	assert_int_equal(delivered(f, 0)->data, 0x4123);
	assert_null(delivered(f, 1));
}

/* The driver may unmask first and enable last, as Linux does. */
static void test_6_8_2_enable_applies_all_vectors(void **state)
{
	struct fixture *f = *state;

	for (uint16_t i = 0; i < VECTORS; i++) {
		assert_int_equal(bind_line(f, i, i), 0);
		set_message(f, i, 0xfee00000, i);
		mask(f, i, false);
	}
	control(f, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (unsigned i = 0; i < VECTORS; i++)
		assert_int_equal(line_of(f, i)->sink, IRQ_HELD);
	control(f, PCI_MSIX_FLAGS_ENABLE);
	for (unsigned i = 0; i < VECTORS; i++)
		assert_int_equal(delivered(f, i)->data, i);
	assert_int_equal(f->rig.fake.irqfd_count, VECTORS);
}

static void test_6_8_2_mask_and_unmask_lose_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(bind_line(f, 0, 1), 0);
	set_message(f, 1, 0xfee00000, 0x31);
	control(f, PCI_MSIX_FLAGS_ENABLE);
	mask(f, 1, false);
	mask(f, 1, true);
	assert_null(delivered(f, 0));
	assert_int_equal(pba(f), 0);
	irq_line_raise(line_of(f, 0));
	assert_int_equal(pba(f), 1 << 1);
	mask(f, 1, false);
	/* KVM injects what waits in an eventfd when it is attached. */
	assert_non_null(delivered(f, 0));
	assert_true(event_waits(f, 0));
	assert_int_equal(pba(f), 0);
}

static void test_6_8_2_function_mask_loses_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(bind_line(f, 0, 0), 0);
	mask(f, 0, false);
	control(f, PCI_MSIX_FLAGS_ENABLE);
	control(f, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	assert_null(delivered(f, 0));
	irq_line_raise(line_of(f, 0));
	assert_int_equal(pba(f), 1);
	/* The vector's own mask applies. */
	mask(f, 0, true);
	control(f, PCI_MSIX_FLAGS_ENABLE);
	assert_null(delivered(f, 0));
	assert_int_equal(pba(f), 1);
	mask(f, 0, false);
	assert_non_null(delivered(f, 0));
	assert_true(event_waits(f, 0));
}

/* A message is a write to memory: without bus mastering it waits. */
static void test_6_2_2_no_message_without_bus_mastering(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(bind_line(f, 0, 0), 0);
	mask(f, 0, false);
	control(f, PCI_MSIX_FLAGS_ENABLE);
	rig_cfg_write(&f->rig, SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_null(delivered(f, 0));
	irq_line_raise(line_of(f, 0));
	assert_int_equal(pba(f), 1);
	rig_cfg_write(&f->rig, SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	assert_non_null(delivered(f, 0));
	assert_true(event_waits(f, 0));
}

static void test_6_8_2_pba_has_one_bit_per_vector(void **state)
{
	struct fixture *f = *state;
	struct rig_dev *d = rig_dev_new(&f->rig, "test 1");
	uint64_t addr;

	assert_non_null(d);
	assert_int_equal(rig_dev_add_msix(d, 100), 0);
	assert_int_equal(pci_add(&f->rig.bus, &d->dev, -1), 0);
	addr = d->dev.bars[RIG_MSIX_BAR].region.base + RIG_PBA;
	rig_cfg_write(&f->rig, PCI_SLOT(d->dev.devfn), d->msix.cap + PCI_MSIX_FLAGS,
		      PCI_MSIX_FLAGS_ENABLE, 2);
	assert_int_equal(msix_bind(&d->msix, &d->lines[0].irq, 0), 0);
	assert_int_equal(msix_bind(&d->msix, &d->lines[1].irq, 63), 0);
	assert_int_equal(msix_bind(&d->msix, &d->lines[2].irq, 99), 0);
	irq_line_raise(&d->lines[0].irq);
	irq_line_raise(&d->lines[1].irq);
	irq_line_raise(&d->lines[2].irq);
	irq_line_raise(&d->lines[3].irq); /* no vector, no bit */
	assert_int_equal(rig_read(&f->rig, addr, 8), 1ull << 63 | 1);
	assert_int_equal(rig_read(&f->rig, addr, 4), 1);
	assert_int_equal(rig_read(&f->rig, addr + 4, 4), 1u << 31);
	assert_int_equal(rig_read(&f->rig, addr + 8, 8), 1ull << 35);
	assert_int_equal(rig_read(&f->rig, addr + 12, 4), 1u << 3);
	assert_int_equal(rig_read(&f->rig, addr + 12, 1), 1u << 3);
	assert_int_equal(rig_read(&f->rig, addr + 16, 8), 0);
	rig_write(&f->rig, addr, 0, 8); /* read-only */
	assert_int_equal(rig_read(&f->rig, addr, 4), 1);
}

static void test_6_8_2_message_is_never_torn(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(bind_line(f, 0, 0), 0);
	set_message(f, 0, 0xfee00000, 0x30);
	mask(f, 0, false);
	control(f, PCI_MSIX_FLAGS_ENABLE);
	/*
	 * Rewritten without masking: the old one stays in effect until vector control is written.
	 */
	set_message(f, 0, 0xfee02000, 0x40);
	assert_int_equal(delivered(f, 0)->address_lo, 0xfee00000);
	assert_int_equal(delivered(f, 0)->data, 0x30);
	mask(f, 0, false);
	assert_int_equal(delivered(f, 0)->address_lo, 0xfee02000);
	assert_int_equal(delivered(f, 0)->data, 0x40);
	/* As a driver should: masked, changed, unmasked; the GSI is kept. */
	mask(f, 0, true);
	set_message(f, 0, 0xfee03000, 0x50);
	mask(f, 0, false);
	assert_int_equal(delivered(f, 0)->address_lo, 0xfee03000);
	assert_int_equal(delivered(f, 0)->data, 0x50);
	assert_int_equal(f->rig.fake.route_count, 1);
}

static void test_6_8_2_vector_changes_while_running(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < VECTORS; i++) {
		set_message(f, i, 0xfee00000, 0x60 + i);
		mask(f, i, i == 2);
	}
	control(f, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(bind_line(f, 0, 0), 0);
	assert_int_equal(delivered(f, 0)->data, 0x60);
	assert_int_equal(bind_line(f, 0, 1), 0);
	assert_int_equal(delivered(f, 0)->data, 0x61);
	assert_int_equal(bind_line(f, 1, 1), 0); /* shared by two lines */
	assert_int_equal(delivered(f, 1)->data, 0x61);
	assert_int_equal(bind_line(f, 0, 2), 0);
	assert_null(delivered(f, 0));
	/* Moving a pending event to another vector keeps it. */
	irq_line_raise(line_of(f, 0));
	assert_int_equal(pba(f), 1 << 2);
	assert_int_equal(bind_line(f, 0, 0), 0);
	assert_true(delivered(f, 0) && event_waits(f, 0));
	assert_int_equal(f->rig.fake.route_count, 2);
}

static void test_6_8_2_no_vector_and_vector_out_of_range(void **state)
{
	struct fixture *f = *state;

	mask(f, 0, false);
	control(f, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(bind_line(f, 0, 0), 0);
	assert_int_equal(bind_line(f, 0, VECTORS), -EINVAL);
	assert_null(delivered(f, 0));
	assert_int_equal(bind_line(f, 0, 0xfffe), -EINVAL);
	assert_int_equal(bind_line(f, 0, MSIX_NO_VECTOR), 0);
	assert_int_equal(line_of(f, 0)->sink, IRQ_HELD);
	/* Raised without a vector: lost at the next bind. */
	irq_line_raise(line_of(f, 0));
	assert_int_equal(pba(f), 0);
	assert_int_equal(bind_line(f, 0, 0), 0);
	assert_false(event_waits(f, 0));
}

static void test_6_8_2_disabled_goes_to_the_relay(void **state)
{
	struct fixture *f = *state;

	mask(f, 0, false);
	assert_int_equal(bind_line(f, 0, 0), 0);
	irq_line_raise(line_of(f, 0));
	line_of(f, 0)->relay.fn(&line_of(f, 0)->relay, EPOLLIN);
	assert_int_equal(f->d->relays, 1);
	control(f, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(line_of(f, 0)->sink, IRQ_KVM);
	irq_line_raise(line_of(f, 1)); /* without a vector */
	control(f, 0);
	assert_int_equal(line_of(f, 0)->sink, IRQ_RELAY);
	assert_int_equal(f->rig.fake.irqfd_count, 0);
	assert_false(event_waits(f, 1));
}

static void test_6_8_2_msix_silences_intx(void **state)
{
	struct fixture *f = *state;

	pthread_mutex_lock(&f->d->lock);
	pci_set_intx(&f->d->dev, true);
	pthread_mutex_unlock(&f->d->lock);
	assert_true(f->rig.fake.levels[10]);
	control(f, PCI_MSIX_FLAGS_ENABLE);
	assert_false(f->rig.fake.levels[10]);
	control(f, 0);
	assert_true(f->rig.fake.levels[10]);
}

static void test_reset_forgets_everything(void **state)
{
	struct fixture *f = *state;
	unsigned af = rig_find_cap(&f->rig, SLOT, PCI_CAP_ID_AF);

	set_message(f, 0, 0xfee00000, 0x30);
	mask(f, 0, false);
	control(f, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(bind_line(f, 0, 0), 0);
	assert_int_equal(bind_line(f, 1, 1), 0);
	irq_line_raise(line_of(f, 1));
	rig_cfg_write(&f->rig, SLOT, af + PCI_AF_CTRL, PCI_AF_CTRL_FLR, 1);
	assert_int_equal(f->rig.fake.irqfd_count, 0);
	assert_false(event_waits(f, 1));
	for (unsigned i = 0; i < RIG_LINES; i++)
		assert_int_equal(line_of(f, i)->sink, IRQ_RELAY);
	rig_cfg_write(&f->rig, SLOT, PCI_BASE_ADDRESS_0, f->bar, 4);
	rig_cfg_write(&f->rig, SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_int_equal(rig_read(&f->rig, entry(f, 0, 0), 8), 0);
	assert_int_equal(rig_read(&f->rig, entry(f, 0, 8), 8), 1ull << 32);
	/* One pending for the relay is dropped as well. */
	irq_line_raise(line_of(f, 0));
	rig_cfg_write(&f->rig, SLOT, af + PCI_AF_CTRL, PCI_AF_CTRL_FLR, 1);
	assert_false(event_waits(f, 0));
	rig_cfg_write(&f->rig, SLOT, PCI_BASE_ADDRESS_0, f->bar, 4);
	rig_cfg_write(&f->rig, SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	/* Vectors were unbound. */
	mask(f, 0, false);
	control(f, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(line_of(f, 0)->sink, IRQ_HELD);
}

static int no_routes(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	(void)fake;
	(void)fd;
	(void)arg;
	return request == KVM_SET_GSI_ROUTING ? -EINVAL : FAKE_PASS;
}

static void test_a_line_that_kvm_refuses_is_held(void **state)
{
	struct fixture *f = *state;

	control(f, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(bind_line(f, 0, 0), 0);
	irq_line_raise(line_of(f, 0));
	f->rig.fake.hook = no_routes;
	mask(f, 0, false);
	assert_int_equal(line_of(f, 0)->sink, IRQ_HELD);
	assert_true(f->d->msix.warned);
	assert_int_equal(pba(f), 1);
	/* A bind can return it: the line then has no vector. */
	assert_int_equal(bind_line(f, 1, 0), -EINVAL);
	assert_int_equal(line_of(f, 1)->sink, IRQ_HELD);
	f->rig.fake.hook = NULL;
	mask(f, 0, false);
	assert_true(delivered(f, 0) && event_waits(f, 0));
	assert_null(delivered(f, 1));
}

static void test_more_lines_than_declared_are_refused(void **state)
{
	struct fixture *f = *state;
	struct irq_line extra;

	assert_int_equal(irq_line_init(&extra, &f->rig.irqs, NULL), 0);
	assert_int_equal(msix_bind(&f->d->msix, &extra, 0), -ENOSPC);
	irq_line_destroy(&extra);
}

static void test_masking_in_a_loop_grows_nothing(void **state)
{
	struct fixture *f = *state;
	unsigned fds;

	control(f, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(bind_line(f, 0, 0), 0);
	mask(f, 0, false);
	fds = fake_open_fds();
	for (uint16_t i = 0; i < 300; i++) {
		mask(f, 0, true);
		set_message(f, 0, 0xfee00000, i);
		mask(f, 0, false);
		assert_int_equal(bind_line(f, 0, i % VECTORS), 0);
		assert_int_equal(bind_line(f, 0, 0), 0);
	}
	assert_int_equal(fake_open_fds(), fds);
	assert_int_equal(f->rig.fake.irqfd_count, 1);
	assert_int_equal(f->rig.fake.route_count, 1);
	assert_int_equal(f->d->msix.binding_count, RIG_LINES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PCI_TEST(test_6_8_2_capability),
		PCI_TEST(test_6_8_2_init_refuses_what_does_not_fit),
		PCI_TEST(test_6_8_2_table_accesses),
		PCI_TEST(test_6_8_2_unmasked_vector_goes_to_kvm),
		PCI_TEST(test_6_8_2_enable_applies_all_vectors),
		PCI_TEST(test_6_8_2_mask_and_unmask_lose_nothing),
		PCI_TEST(test_6_8_2_function_mask_loses_nothing),
		PCI_TEST(test_6_2_2_no_message_without_bus_mastering),
		PCI_TEST(test_6_8_2_pba_has_one_bit_per_vector),
		PCI_TEST(test_6_8_2_message_is_never_torn),
		PCI_TEST(test_6_8_2_vector_changes_while_running),
		PCI_TEST(test_6_8_2_no_vector_and_vector_out_of_range),
		PCI_TEST(test_6_8_2_disabled_goes_to_the_relay),
		PCI_TEST(test_6_8_2_msix_silences_intx),
		PCI_TEST(test_reset_forgets_everything),
		PCI_TEST(test_a_line_that_kvm_refuses_is_held),
		PCI_TEST(test_more_lines_than_declared_are_refused),
		PCI_TEST(test_masking_in_a_loop_grows_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
