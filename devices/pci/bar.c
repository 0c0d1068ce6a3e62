/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base address registers. Sizing needs no code: the write mask keeps the address bits below the
 * BAR's size at zero (PCI 3.0 §6.2.5.1).
 *
 * A BAR is decoded only where the host bridge forwards addresses, inside the bus's windows: so it
 * never covers RAM, ECAM or an interrupt controller, whatever the guest writes. Half-written 64-bit
 * addresses and sizing with decoding enabled give addresses outside of them and are legal, so
 * nothing is logged.
 */
#include "internal.h"

#include "base/checked.h"
#include "base/le.h"
#include "base/log.h"

#include <string.h>

static unsigned bar_offset(unsigned index)
{
	return PCI_BASE_ADDRESS_0 + 4 * index;
}

void pci_add_bar(struct pci_dev *dev, unsigned index, uint64_t size, bool is_64bit,
		 bool prefetchable, const struct bus_ops *ops, void *owner)
{
	unsigned off = bar_offset(index);
	uint64_t mask = ~(size - 1);
	uint32_t type = (is_64bit ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
			(prefetchable ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0);

	dev->bars[index] = (struct pci_bar){
		.size = size,
		.is_64bit = is_64bit,
		.region = { .len = size, .ops = ops, .owner = owner, .name = dev->name },
	};
	put_le32(dev->cfg + off, type);
	put_le32(dev->writable + off, (uint32_t)mask);
	if (is_64bit)
		put_le32(dev->writable + off + 4, (uint32_t)(mask >> 32));
}

static uint64_t bar_address(const struct pci_dev *dev, unsigned index)
{
	const uint8_t *reg = dev->cfg + bar_offset(index);
	uint64_t address = get_le32(reg) & ~0xfu;

	if (dev->bars[index].is_64bit)
		address |= (uint64_t)get_le32(reg + 4) << 32;
	return address;
}

void pci_set_bar_address(struct pci_dev *dev, unsigned index, uint64_t address)
{
	uint8_t *reg = dev->cfg + bar_offset(index);

	put_le32(reg, (uint32_t)address | (get_le32(reg) & 0xf));
	if (dev->bars[index].is_64bit)
		put_le32(reg + 4, (uint32_t)(address >> 32));
}

/* An address below the window wraps to one far above it. */
static bool in_window(const struct pci_window *window, uint64_t address, uint64_t size)
{
	return range_fits(address - window->base, size, window->len);
}

static bool bar_wanted(const struct pci_dev *dev, unsigned index, uint64_t address)
{
	uint64_t size = dev->bars[index].size;

	return size && dev->cfg[PCI_COMMAND] & PCI_COMMAND_MEMORY &&
	       (in_window(&dev->bus->mmio32, address, size) ||
		in_window(&dev->bus->mmio64, address, size));
}

static void tell(struct pci_dev *dev, unsigned index)
{
	if (dev->ops->bar_changed)
		dev->ops->bar_changed(dev, index);
}

static void unmap_bar(struct pci_dev *dev, unsigned index)
{
	struct pci_bar *bar = &dev->bars[index];

	bus_remove(dev->bus->mmio, &bar->region);
	bar->mapped = false;
	dev->bars_freed = true;
	tell(dev, index);
}

/* Overlapping another BAR: stays unmapped. The bridge tries again when any BAR has moved. */
static void map_bar(struct pci_dev *dev, unsigned index, uint64_t address)
{
	struct pci_bar *bar = &dev->bars[index];
	int ret;

	bar->region.base = address;
	ret = bus_add(dev->bus->mmio, &bar->region);
	if (ret) {
		if (!dev->warned)
			log_warning("%s: BAR %u at 0x%llx: not mapped: %s", dev->name, index,
				    (unsigned long long)address, strerror(-ret));
		dev->warned = true;
		return;
	}
	bar->mapped = true;
	tell(dev, index);
}

void pci_update_bars(struct pci_dev *dev)
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		struct pci_bar *bar = &dev->bars[i];
		uint64_t address = bar_address(dev, i);
		bool wanted = bar_wanted(dev, i, address);

		if (bar->mapped && (!wanted || bar->region.base != address))
			unmap_bar(dev, i);
		if (wanted && !bar->mapped)
			map_bar(dev, i, address);
	}
}
