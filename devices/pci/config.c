/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration space of a type-0 function that is there: guest accesses and reset.
 */
#include "internal.h"

#include "base/checked.h"
#include "base/le.h"
#include "pci/msix.h"

void pci_function_reset(struct pci_dev *dev)
{
	if (dev->ops->reset)
		dev->ops->reset(dev);
	if (dev->msix)
		msix_reset(dev->msix);
	pci_set_intx(dev, false);
	for (unsigned i = 0; i < PCI_CFG_SIZE; i++)
		dev->cfg[i] &= (uint8_t)~(dev->writable[i] | dev->w1c[i]);
	pci_update_bars(dev);
}

/* Within one dword: the limit of a bus transaction, and of ECAM by PCIe 5.0 §7.2.2. */
static bool access_valid(unsigned off, unsigned len)
{
	return (len == 1 || len == 2 || len == 4) && range_fits(off, len, PCI_CFG_SIZE) &&
	       off % 4 + len <= 4;
}

uint32_t pci_config_read(struct pci_dev *dev, unsigned off, unsigned len)
{
	if (!access_valid(off, len))
		return UINT32_MAX;
	if (dev->ops->config_reading)
		dev->ops->config_reading(dev, off, len);
	return (uint32_t)get_le_bytes(dev->cfg + off, len);
}

/*
 * The first byte of its dword. Initiate FLR always reads as zero, so it is not in the write mask.
 */
static bool starts_flr(const struct pci_dev *dev, unsigned off, uint32_t value)
{
	return dev->af_cap && off == dev->af_cap + (unsigned)PCI_AF_CTRL && value & PCI_AF_CTRL_FLR;
}

void pci_config_write(struct pci_dev *dev, unsigned off, uint32_t value, unsigned len)
{
	if (!access_valid(off, len))
		return;
	for (unsigned i = off; i < off + len; i++) {
		uint8_t byte = (uint8_t)(value >> 8 * (i - off));
		uint8_t kept = dev->cfg[i] & (uint8_t)~(dev->writable[i] | (byte & dev->w1c[i]));

		dev->cfg[i] = kept | (byte & dev->writable[i]);
	}

	if (starts_flr(dev, off, value))
		pci_function_reset(dev);
	if (ranges_overlap(off, len, PCI_COMMAND, 2) ||
	    ranges_overlap(off, len, PCI_BASE_ADDRESS_0, 4 * PCI_BARS))
		pci_update_bars(dev);
	if (dev->msix && (ranges_overlap(off, len, PCI_COMMAND, 2) ||
			  ranges_overlap(off, len, dev->msix->cap + PCI_MSIX_FLAGS, 2)))
		msix_control_written(dev->msix);
	pci_update_intx(dev);
	if (dev->ops->config_written)
		dev->ops->config_written(dev, off, len);
}
