/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INTx: a level on a pin that devices share. The pin is high while any of them asserts it.
 */
#include "internal.h"

#include "base/le.h"
#include "base/log.h"
#include "pci/msix.h"

#include <string.h>

void pci_set_intx(struct pci_dev *dev, bool level)
{
	dev->intx_level = level;
	pci_update_intx(dev);
}

/* Neither with INTx disable set, nor while MSI-X is enabled. (PCI 3.0 §6.2.2, §6.8.2.3) */
static bool intx_wanted(const struct pci_dev *dev)
{
	return dev->intx_level &&
	       !(get_le16(dev->cfg + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE) &&
	       !(dev->msix && dev->msix->enabled);
}

static void drive_pin(struct pci_bus *bus, unsigned slot, bool level)
{
	unsigned pin = slot % 4; /* INTA of a slot, swizzled */
	uint32_t before, after;
	int ret = 0;

	pthread_mutex_lock(&bus->intx_lock);
	before = bus->intx_asserted[pin];
	after = level ? before | 1u << slot : before & ~(1u << slot);
	bus->intx_asserted[pin] = after;
	if (!before != !after)
		ret = irqs_set_level(bus->irqs, bus->intx_gsis[pin], level);
	if (ret < 0 && !bus->intx_warned) {
		log_error("pci: GSI %u: KVM_IRQ_LINE: %s", bus->intx_gsis[pin], strerror(-ret));
		bus->intx_warned = true;
	}
	pthread_mutex_unlock(&bus->intx_lock);
}

void pci_update_intx(struct pci_dev *dev)
{
	/* The status bit shows the request, even if it must not reach the pin. */
	if (dev->intx_level)
		dev->cfg[PCI_STATUS] |= PCI_STATUS_INTERRUPT;
	else
		dev->cfg[PCI_STATUS] &= (uint8_t)~PCI_STATUS_INTERRUPT;
	drive_pin(dev->bus, PCI_SLOT(dev->devfn), intx_wanted(dev));
}
