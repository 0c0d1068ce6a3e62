/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the files of devices/pci. All of it runs under the device's lock, after pci_add().
 */
#ifndef KINGLET_DEVICES_PCI_INTERNAL_H
#define KINGLET_DEVICES_PCI_INTERNAL_H

#include "pci/pci.h"

/* Maps and unmaps BARs until they agree with the configuration space. (bar.c) */
void pci_update_bars(struct pci_dev *dev);
/* Moves a BAR: what a guest does by writing its register. pci_update_bars() makes it so. */
void pci_set_bar_address(struct pci_dev *dev, unsigned index, uint64_t address);

/* Drives the shared pin as the device, INTx disable and MSI-X enable say. (intx.c) */
void pci_update_intx(struct pci_dev *dev);

/* Everything but the BARs' initial addresses is as after power-on; nothing is decoded. (config.c) */
void pci_function_reset(struct pci_dev *dev);

#endif
