/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory accesses that leave RAM: each is an exit, with the address and up to eight bytes.
 *
 *	kinglet run mmio.elf --memory 16M
 */
#include "guest.h"

enum { RAM_END = 16 << 20 };

static const uintptr_t nobody = 0xd0000000, ecam = 0xe0000000;

static uint64_t read64(uintptr_t address)
{
	return *(volatile uint64_t *)address;
}

static void write64(uintptr_t address, uint64_t value)
{
	*(volatile uint64_t *)address = value;
}

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

/* The last bytes of RAM are RAM; an access across its end is half of each. */
static void test_end_of_ram(void)
{
	write64(RAM_END - 8, 0x1122334455667788);
	check(read64(RAM_END - 8) == 0x1122334455667788);
	check(read64(RAM_END - 4) == 0xffffffff11223344);
	write64(RAM_END - 4, 0);
	check(read64(RAM_END - 8) == 0x0000000055667788);
}

/* The PCI host bridge's id, by every width that configuration space knows. */
static void test_widths(void)
{
	check(read32(ecam) == 0x00081b36);
	check(read16(ecam) == 0x1b36);
	check(read16(ecam + 2) == 0x0008);
	check(read8(ecam) == 0x36);
	check(read8(ecam + 1) == 0x1b);
	check(read64(ecam) == UINT64_MAX);
}

int main(const void *handoff)
{
	(void)handoff;
	test_nobody(nobody);
	test_nobody(RAM_END);
	test_end_of_ram();
	test_widths();
	return 0;
}
