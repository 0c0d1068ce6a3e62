/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI configuration space of bus 0, as memory (ECAM).
 */
#ifndef PAYLOAD_PCI_H
#define PAYLOAD_PCI_H

#include "guest.h"

enum {
	PCI_ID = 0x00,
	PCI_COMMAND = 0x04,
	PCI_STATUS = 0x06,
	PCI_BAR0 = 0x10,
	PCI_CAPABILITIES = 0x34,
	PCI_INTERRUPT_LINE = 0x3c,
	PCI_INTERRUPT_PIN = 0x3d,

	PCI_COMMAND_MEMORY = 0x2,
	PCI_COMMAND_MASTER = 0x4,
	PCI_COMMAND_INTX_DISABLE = 0x400,
	PCI_STATUS_INTERRUPT = 0x8,

	PCI_ID_BRIDGE = 0x00081b36, /* in slot 0: Red Hat's ID of QEMU's generic host bridge */

	PCI_CAP_VENDOR = 0x09,
	PCI_CAP_MSIX = 0x11,
	PCI_CAP_AF = 0x13, /* byte 4, bit 0: function-level reset */
};

/* MSI-X (PCI 3.0 §6.8.2). */
enum {
	MSIX_CONTROL = 2, /* in the capability */
	MSIX_ENABLE = 0x8000,
	MSIX_MASK_ALL = 0x4000,
	MSIX_ENTRY_CONTROL = 12, /* in an entry: bit 0 masks */
};

/* The address of a function's register in ECAM (PCIe 5.0 §7.2.2). */
static inline uintptr_t pci_ecam(unsigned slot, unsigned reg)
{
	return pci_ecam_base + (slot << 15) + reg;
}

enum { PCI_SLOTS = 32 };

/* The slot of the device with this id, vendor in the lower half; PCI_SLOTS when there is none. */
static inline unsigned pci_look_for(uint32_t id)
{
	unsigned slot = 0;

	while (slot < PCI_SLOTS && read32(pci_ecam(slot, PCI_ID)) != id)
		slot++;
	return slot;
}

/* The same; fails the run if there is none. */
static inline unsigned pci_find(uint32_t id)
{
	unsigned slot = pci_look_for(id);

	check(slot < PCI_SLOTS);
	return slot;
}

/* BAR 0, which may be 64 bits wide. */
static inline uint64_t pci_bar(unsigned slot)
{
	uint32_t low = read32(pci_ecam(slot, PCI_BAR0));
	uint64_t high = low & 4 ? read32(pci_ecam(slot, PCI_BAR0 + 4)) : 0;

	return high << 32 | (low & ~0xfu);
}

/* The next capability with this id after `at` (0: the first), or 0. */
static inline unsigned pci_next_cap(unsigned slot, unsigned at, uint8_t id)
{
	unsigned next = read8(pci_ecam(slot, at ? at + 1 : PCI_CAPABILITIES));

	for (unsigned steps = 0; next && steps < 48; steps++) {
		if (read8(pci_ecam(slot, next)) == id)
			return next;
		next = read8(pci_ecam(slot, next + 1));
	}
	return 0;
}

#endif
