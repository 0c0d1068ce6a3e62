/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

/* The initial page tables end at 4 GiB: this adds one 2 MiB page in the fifth GiB. */
void map_device(uint64_t address)
{
	static uint64_t directory[512] __attribute__((aligned(4096)));
	const uint64_t gib = 1 << 30;
	uint64_t *pml4, *pdpt;

	asm("mov %%cr3, %0" : "=r"(pml4));
	pdpt = (uint64_t *)(pml4[0] & ~0xfffull);
	/* Large, writable, present. */
	directory[address % gib >> 21] = (address & -(2ull << 20)) | 0x83;
	pdpt[address / gib] = (uintptr_t)directory | 3;
}
