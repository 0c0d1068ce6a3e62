/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI configuration space of bus 0 through the two ports that PCs have had since 1992.
 */
#ifndef PAYLOAD_PCI_PORTS_H
#define PAYLOAD_PCI_PORTS_H

#include "pci.h"

/* The same register as pci_ecam(), through ports 0xcf8 and 0xcfc. */
static inline uint32_t pci_port_read(unsigned slot, unsigned reg)
{
	outl(0xcf8, 0x80000000u | slot << 11 | (reg & 0xfc));
	return inl(0xcfc);
}

static inline void pci_port_write(unsigned slot, unsigned reg, uint32_t value)
{
	outl(0xcf8, 0x80000000u | slot << 11 | (reg & 0xfc));
	outl(0xcfc, value);
}

#endif
