/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An access across the end of RAM, which an x86 CPU allows: half is memory, half an exit.
 *
 *	kinglet run mmio-edge.elf --memory 16M
 */
#include "guest.h"

enum { RAM_END = 16 << 20 };

int main(const void *handoff)
{
	(void)handoff;
	write64(RAM_END - 8, 0x1122334455667788);
	check(read64(RAM_END - 4) == 0xffffffff11223344);
	write64(RAM_END - 4, 0);
	check(read64(RAM_END - 8) == 0x0000000055667788);
	return 0;
}
