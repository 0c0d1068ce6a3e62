/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory accesses that leave RAM: each is an exit, with the address and up to eight bytes.
 *
 *	kinglet run mmio.elf --memory 16M
 */
#include "pci.h"

enum { RAM_SIZE = 16 << 20 };

static void test_nobody(uintptr_t address)
{
	write8(address, 0);
	write16(address, 0);
	write32(address, 0);
	write64(address, 0);
	check(read8(address) == 0xff);
	check(read16(address) == 0xffff);
	check(read32(address) == 0xffffffff);
	check(read64(address) == UINT64_MAX);
}

/* The last bytes of RAM are RAM. */
static void test_end_of_ram(uintptr_t end)
{
	write64(end - 8, 0x1122334455667788);
	check(read64(end - 8) == 0x1122334455667788);
	test_nobody(end);
	check(read64(end - 8) == 0x1122334455667788);
}

/* The PCI host bridge's id, by every width that configuration space supports. */
static void test_widths(uintptr_t id)
{
	check(read32(id) == PCI_ID_BRIDGE);
	check(read16(id) == 0x1b36);
	check(read16(id + 2) == 0x0008);
	check(read8(id) == 0x36);
	check(read8(id + 1) == 0x1b);
	check(read64(id) == UINT64_MAX);
}

int main(const void *handoff)
{
	(void)handoff;
	test_nobody(no_ram);
	test_end_of_ram(ram_base + RAM_SIZE);
	test_widths(pci_ecam(0, PCI_ID));
	print("ok\n");
	return 0;
}
