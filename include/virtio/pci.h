/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio over PCI, modern only (virtio 1.2 §4.1): one 64-bit memory BAR holds the common, ISR,
 * device and notify structures and the MSI-X table and PBA, each on its own 4 KiB page.
 *
 * Each queue has its own notify address (notify_off_multiplier 4), so an ioeventfd of length 0 or 2
 * without datamatch receives its kicks; it follows BAR moves.
 */
#ifndef KINGLET_VIRTIO_PCI_H
#define KINGLET_VIRTIO_PCI_H

#include "pci/pci.h"
#include "virtio/virtio.h"

/*
 * Wraps `dev` in a PCI function and puts it on the bus, which owns both from then on (also on
 * failure: dev is destroyed). Logs on failure.
 */
__must_check int virtio_pci_add(struct pci_bus *bus, struct virtio_dev *dev);

/* The transport's registers, in a saved state; ends with NULL. */
extern const struct state_table *const virtio_pci_state_tables[];

#endif
