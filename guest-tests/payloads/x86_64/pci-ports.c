/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration space both ways: ports and ECAM show the same registers.
 *
 *	kinglet run pci-ports.elf
 */
#include "pci_ports.h"
#include "virtio.h"

static void test_absent(void)
{
	for (unsigned slot = 28; slot < PCI_SLOTS; slot++)
		check(pci_port_read(slot, PCI_ID) == 0xffffffff);
	outl(0xcf8, 0); /* not enabled: nothing answers */
	check(inl(0xcfc) == 0xffffffff);
}

static void test_both_ways(unsigned slot)
{
	for (unsigned reg = 0; reg < 0x100; reg += 4)
		check(pci_port_read(slot, reg) == read32(pci_ecam(slot, reg)));
	pci_port_write(slot, PCI_INTERRUPT_LINE, 0xee);
	check(read8(pci_ecam(slot, PCI_INTERRUPT_LINE)) == 0xee);
	outl(0xcf8, 0x80000000u | slot << 11 | PCI_INTERRUPT_LINE);
	outb(0xcfc, 0x77);
	check(read8(pci_ecam(slot, PCI_INTERRUPT_LINE)) == 0x77);
	check(inw(0xcfe) == read16(pci_ecam(slot, PCI_INTERRUPT_LINE + 2)));
}

int main(const void *handoff)
{
	(void)handoff;
	test_absent();
	test_both_ways(pci_find(VIRTIO_RNG));
	return 0;
}
