/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the configuration space of a type-0 function begins as: header and capabilities.
 */
#include "pci/pci.h"

#include "base/checked.h"
#include "base/le.h"

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
		return; /* cannot happen: it is the first one */
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
