/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration space of a type-0 function: header, capabilities, guest accesses, reset.
 */
#include "internal.h"

#include "base/checked.h"
#include "base/le.h"
#include "pci/msix.h"

enum {
	COMMAND_WRITABLE = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
			   PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE,
	STATUS_W1C = PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT | PCI_STATUS_REC_TARGET_ABORT |
		     PCI_STATUS_REC_MASTER_ABORT | PCI_STATUS_SIG_SYSTEM_ERROR |
		     PCI_STATUS_DETECTED_PARITY,
};

/* PCI-SIG ECN "Conventional PCI Advanced Features" (2006): both bits, or neither. */
static void add_flr(struct pci_dev *dev)
{
	int off = pci_add_cap(dev, PCI_CAP_ID_AF, PCI_CAP_AF_SIZEOF);

	if (off < 0)
		return; /* cannot be: it is the first one */
	dev->cfg[off + PCI_AF_LENGTH] = PCI_CAP_AF_SIZEOF;
	dev->cfg[off + PCI_AF_CAP] = PCI_AF_CAP_TP | PCI_AF_CAP_FLR;
	dev->af_cap = (uint8_t)off;
}

void pci_dev_init(struct pci_dev *dev, const struct pci_dev_ops *ops, const char *name,
		  const struct pci_ids *ids, pthread_mutex_t *lock)
{
	dev->ops = ops;
	dev->name = name;
	dev->lock = lock;
	dev->next_cap_at = PCI_STD_HEADER_SIZEOF;

	put_le16(dev->cfg + PCI_VENDOR_ID, ids->vendor);
	put_le16(dev->cfg + PCI_DEVICE_ID, ids->device);
	put_le32(dev->cfg + PCI_CLASS_REVISION, ids->class_code << 8 | ids->revision);
	put_le16(dev->cfg + PCI_SUBSYSTEM_VENDOR_ID, ids->subvendor);
	put_le16(dev->cfg + PCI_SUBSYSTEM_ID, ids->subdevice);
	dev->cfg[PCI_INTERRUPT_PIN] = 1; /* INTA */

	put_le16(dev->writable + PCI_COMMAND, COMMAND_WRITABLE);
	put_le16(dev->w1c + PCI_STATUS, STATUS_W1C);
	dev->writable[PCI_CACHE_LINE_SIZE] = 0xff;
	dev->writable[PCI_INTERRUPT_LINE] = 0xff;

	if (ops->reset)
		add_flr(dev);
}

int pci_add_cap(struct pci_dev *dev, uint8_t id, unsigned len)
{
	unsigned off = dev->next_cap_at;
	uint8_t *link = dev->cfg + (dev->last_cap ? dev->last_cap + PCI_CAP_LIST_NEXT :
						    PCI_CAPABILITY_LIST);

	if (!range_fits(off, len, PCI_CFG_SIZE))
		return -ENOSPC;
	dev->cfg[off + PCI_CAP_LIST_ID] = id;
	*link = (uint8_t)off;
	dev->cfg[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
	dev->last_cap = (uint8_t)off;
	dev->next_cap_at = (uint16_t)align_up(off + len, 4);
	return (int)off;
}

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

/* Within one dword: that is all a bus transaction can do, and PCIe 5.0 §7.2.2 asks of ECAM. */
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

/* The first byte of its dword. Initiate FLR always reads as zero, so it is no writable bit. */
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
