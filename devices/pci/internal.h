/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the files of devices/pci. All of it runs under the device's lock, after pci_add().
 */
#ifndef KINGLET_DEVICES_PCI_INTERNAL_H
#define KINGLET_DEVICES_PCI_INTERNAL_H

#include "pci/pci.h"

/* The register at CF8. */
enum { CF8_ENABLE = 0x80000000u, CF8_IMPLEMENTED = 0x80fffffcu };

/* Maps and unmaps BARs to match the configuration space. (bar.c) */
void pci_update_bars(struct pci_dev *dev);
/* Sets a BAR's register, like a guest's write. pci_update_bars() then applies it. */
void pci_set_bar_address(struct pci_dev *dev, unsigned index, uint64_t address);

/* Drives the shared pin according to the device, INTx disable and MSI-X enable. (intx.c) */
void pci_update_intx(struct pci_dev *dev);

/*
 * Resets everything to its power-on state, except the BARs' initial addresses; nothing is decoded.
 * (config.c)
 */
void pci_function_reset(struct pci_dev *dev);

/* Takes the BARs off the bus. Not locked. (bridge.c) */
void pci_disconnect(struct pci_dev *dev);

#endif
