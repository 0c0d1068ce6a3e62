/* SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

/*
 * The only table: blocks of 1 GiB, identity-mapped. Read by start.S. (Arm ARM D5.3.1: block, access
 * flag; D5.3.3: inner shareable, never executed; the attributes by their index in MAIR_EL1)
 */
#define GIB (1ull << 30)
#define BLOCK 0x401ull
#define DEVICE (BLOCK | 3ull << 53)
#define NORMAL (BLOCK | 1 << 2 | 3 << 8)

extern uint64_t memory_map[512];
uint64_t memory_map[512] __attribute__((aligned(4096))) = {
	[0] = 0 | DEVICE,
	[1] = GIB | NORMAL,
	[2] = 2 * GIB | DEVICE,
	[3] = 3 * GIB | DEVICE,
};

void map_device(uint64_t address)
{
	memory_map[address / GIB] = (address & -GIB) | DEVICE;
	/* Table walks do not read the cache that holds this store. */
	asm volatile("dc cvac, %0; dsb sy; isb" : : "r"(&memory_map[address / GIB]) : "memory");
}
