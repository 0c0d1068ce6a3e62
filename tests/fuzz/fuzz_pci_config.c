/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three devices on a PCI bus, and a guest that writes anything to configuration space, BARs and
 * MSI-X tables, while the devices interrupt.
 */
#include "fuzz.h"
#include "pci_rig.h"

#include "base/checked.h"
#include "base/le.h"

enum { DEVICES = 3 };

static const unsigned vectors[DEVICES] = { 2, 5, 100 };
static const unsigned slots[DEVICES] = { 1, 2, 5 }; /* the first and the last share a pin */

struct scene {
	struct pci_rig rig;
	struct rig_dev *devs[DEVICES];
};

static void build(struct scene *s)
{
	FUZZ_CHECK(!pci_rig_init(&s->rig));
	for (unsigned i = 0; i < DEVICES; i++) {
		struct rig_dev *d = rig_dev_new(&s->rig, "fuzzed");

		FUZZ_CHECK(d && !rig_dev_add_msix(d, vectors[i]));
		rig_dev_add_bar(d, 2, 0x1000u << 4 * i, false);
		rig_dev_add_bar(d, 3, 0x10000u << 8 * i, true);
		FUZZ_CHECK(!pci_add(&s->rig.bus, &d->dev, (int)slots[i]));
		s->devs[i] = d;
	}
}

static bool in_window(uint64_t base, uint64_t len)
{
	return range_fits(base - RIG_MMIO32, len, RIG_MMIO32_LEN) ||
	       range_fits(base - RIG_MMIO64, len, RIG_MMIO64_LEN);
}

static uint64_t address_of(const struct pci_dev *dev, unsigned index)
{
	const uint8_t *reg = dev->cfg + PCI_BASE_ADDRESS_0 + 4 * index;
	uint64_t high = dev->bars[index].is_64bit ? get_le32(reg + 4) : 0;

	return high << 32 | (get_le32(reg) & ~0xfu);
}

static bool overlaps_another(const struct scene *s, const struct pci_bar *bar, uint64_t address)
{
	for (unsigned i = 0; i < s->rig.mmio.count; i++) {
		const struct bus_region *other = s->rig.mmio.regions[i];

		if (other != &bar->region &&
		    ranges_overlap(other->base, other->len, address, bar->size))
			return true;
	}
	return false;
}

static void check_bars(const struct scene *s)
{
	unsigned mapped = 1; /* ECAM */

	for (unsigned i = 0; i < DEVICES; i++) {
		const struct pci_dev *dev = &s->devs[i]->dev;

		for (unsigned b = 0; b < PCI_BARS; b++) {
			const struct pci_bar *bar = &dev->bars[b];
			uint64_t address = address_of(dev, b);
			bool wanted = bar->size && in_window(address, bar->size) &&
				      dev->cfg[PCI_COMMAND] & PCI_COMMAND_MEMORY;

			mapped += bar->mapped;
			if (bar->mapped)
				FUZZ_CHECK(wanted && bar->region.base == address);
			else if (wanted)
				FUZZ_CHECK(overlaps_another(s, bar, address));
		}
	}
	FUZZ_CHECK(s->rig.mmio.count == mapped);
}

/* The table in msix.h. */
static enum irq_sink sink_of(const struct msix *msix, const struct msix_binding *binding)
{
	const uint8_t *entry = msix->table + binding->vector * MSIX_ENTRY_SIZE;
	uint16_t control = get_le16(msix->dev->cfg + msix->cap + PCI_MSIX_FLAGS);
	uint16_t command = get_le16(msix->dev->cfg + PCI_COMMAND);

	if (!(control & PCI_MSIX_FLAGS_ENABLE))
		return IRQ_RELAY;
	if (binding->vector == MSIX_NO_VECTOR || control & PCI_MSIX_FLAGS_MASKALL ||
	    !(command & PCI_COMMAND_MASTER) ||
	    entry[PCI_MSIX_ENTRY_VECTOR_CTRL] & PCI_MSIX_ENTRY_CTRL_MASKBIT)
		return IRQ_HELD;
	return IRQ_KVM;
}

static void check_lines(const struct scene *s)
{
	unsigned attached = 0;

	for (unsigned i = 0; i < DEVICES; i++) {
		const struct msix *msix = &s->devs[i]->msix;

		FUZZ_CHECK(msix->binding_count == RIG_LINES);
		for (unsigned b = 0; b < RIG_LINES; b++) {
			const struct msix_binding *binding = &msix->bindings[b];

			FUZZ_CHECK(binding->line->sink == sink_of(msix, binding));
			attached += binding->line->sink == IRQ_KVM;
		}
	}
	FUZZ_CHECK(s->rig.fake.irqfd_count == attached);
	FUZZ_CHECK(s->rig.irqs.table->nr <= DEVICES * RIG_LINES);
}

static void check_pins(const struct scene *s)
{
	static const uint32_t gsis[4] = { 5, 10, 11, 7 };
	bool high[4] = { false };

	for (unsigned i = 0; i < DEVICES; i++) {
		const struct rig_dev *d = s->devs[i];
		bool disabled = get_le16(d->dev.cfg + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE;

		high[PCI_SLOT(d->dev.devfn) % 4] |=
			d->dev.intx_level && !disabled && !d->msix.enabled;
	}
	for (unsigned pin = 0; pin < 4; pin++)
		FUZZ_CHECK(s->rig.fake.levels[gsis[pin]] == high[pin]);
}

/* A GPA: most of them inside what a BAR decodes now, or the last address of it. */
static uint64_t pick_address(struct scene *s, struct fuzz_input *in)
{
	const struct rig_dev *d = s->devs[fuzz_pick(in, DEVICES)];
	const struct pci_bar *bar = &d->dev.bars[fuzz_pick(in, PCI_BARS)];
	uint64_t off = fuzz_take(in, 2);

	switch (fuzz_pick(in, 8)) {
	case 0:
		return fuzz_take(in, 8);
	case 1:
		return RIG_ECAM + (fuzz_take(in, 3) & (RIG_ECAM_LEN - 1));
	case 2:
		return bar->region.base + bar->size - 1 - (off & 15);
	case 3:
		return d->dev.bars[RIG_MSIX_BAR].region.base + RIG_PBA + (off & 0x1f);
	case 4:
		return d->dev.bars[RIG_MSIX_BAR].region.base + RIG_TABLE + (off & 0x7f);
	case 5:
	case 6: /* vector control */
		return d->dev.bars[RIG_MSIX_BAR].region.base + RIG_TABLE + (off & 0x70) + 12;
	default:
		return bar->region.base + off;
	}
}

static void access_memory(struct scene *s, struct fuzz_input *in)
{
	uint64_t addr = pick_address(s, in);
	unsigned size = fuzz_size(in);

	if (fuzz_pick(in, 4))
		rig_write(&s->rig, addr, fuzz_take(in, size), size);
	else
		rig_read(&s->rig, addr, size);
}

/* Registers with side effects, and all others. */
static unsigned pick_register(const struct pci_dev *dev, struct fuzz_input *in)
{
	unsigned any = (unsigned)fuzz_take(in, 1);

	switch (fuzz_pick(in, 8)) {
	case 0:
		return PCI_COMMAND;
	case 1:
		return PCI_BASE_ADDRESS_0 + any % 24 / 4 * 4;
	case 2:
	case 3:
	case 4:
		return dev->msix->cap + PCI_MSIX_FLAGS + any % 2;
	case 5:
		return any % 16 ? any : dev->af_cap + PCI_AF_CTRL;
	default:
		return any;
	}
}

/* An address that some BAR has, in two halves; MSI-X enabled, decoding enabled; or anything. */
static uint64_t pick_value(struct scene *s, struct fuzz_input *in, unsigned size)
{
	const struct pci_bar *bar =
		&s->devs[fuzz_pick(in, DEVICES)]->dev.bars[fuzz_pick(in, PCI_BARS)];

	switch (fuzz_pick(in, 8)) {
	case 0:
		return bar->region.base;
	case 1:
		return bar->region.base >> 32;
	case 2:
	case 3:
		return PCI_MSIX_FLAGS_ENABLE;
	case 4:
		return PCI_COMMAND_MEMORY;
	default:
		return fuzz_take(in, size);
	}
}

static void access_config(struct scene *s, struct fuzz_input *in)
{
	unsigned which = fuzz_pick(in, DEVICES);
	unsigned off = pick_register(&s->devs[which]->dev, in), size = fuzz_size(in);

	if (fuzz_pick(in, 4))
		rig_cfg_write(&s->rig, slots[which], off, pick_value(s, in, size), size);
	else
		rig_cfg_read(&s->rig, slots[which], off, size);
}

static void access_ports(struct scene *s, struct fuzz_input *in)
{
	uint16_t port = (uint16_t)(RIG_CF8 - 2 + fuzz_pick(in, 12));
	unsigned size = 1U << fuzz_pick(in, 3);

	if (fuzz_pick(in, 4))
		rig_out(&s->rig, port, (uint32_t)fuzz_take(in, size), size);
	else
		rig_in(&s->rig, port, size);
}

static void device_acts(struct scene *s, struct fuzz_input *in)
{
	struct rig_dev *d = s->devs[fuzz_pick(in, DEVICES)];
	struct irq_line *line = &d->lines[fuzz_pick(in, RIG_LINES)].irq;
	uint16_t vector = (uint16_t)fuzz_pick(in, d->msix.vectors + 2);

	pthread_mutex_lock(&d->lock);
	switch (fuzz_pick(in, 4)) {
	case 0:
		pci_set_intx(&d->dev, fuzz_pick(in, 2));
		break;
	case 1:
		irq_line_raise(line);
		break;
	default:
		FUZZ_CHECK(msix_bind(&d->msix, line, vector) ==
			   (vector < d->msix.vectors ? 0 : -EINVAL));
		break;
	}
	pthread_mutex_unlock(&d->lock);
}

static void step(struct scene *s, struct fuzz_input *in)
{
	switch (fuzz_pick(in, 16)) {
	case 0:
		if (!fuzz_pick(in, 16))
			pci_bus_reset(&s->rig.bus);
		break;
	case 1:
	case 2:
		access_ports(s, in);
		break;
	case 3:
	case 4:
	case 5:
		device_acts(s, in);
		break;
	case 6:
	case 7:
	case 8:
	case 9:
		access_memory(s, in);
		break;
	default:
		access_config(s, in);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	unsigned fds = fake_open_fds();
	static struct scene s;

	build(&s);
	while (in.left) {
		step(&s, &in);
		check_bars(&s);
		check_lines(&s);
		check_pins(&s);
	}
	for (unsigned i = 0; i < DEVICES; i++)
		FUZZ_CHECK(rig_cfg_read(&s.rig, slots[i], PCI_VENDOR_ID, 4) == 0x10441af4);
	pci_rig_destroy(&s.rig);
	FUZZ_CHECK(fake_open_fds() == fds);
	return 0;
}
