/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every boot protocol passes on, and how the boot payloads report it: one line each, which the
 * test compares with what it passed to Kinglet.
 */
#ifndef PAYLOAD_HANDOFF_H
#define PAYLOAD_HANDOFF_H

#include "guest.h"

enum { RANGE_RAM = 1 };

static inline void report_cmdline(uint64_t address)
{
	print("cmdline: ");
	print((const char *)(uintptr_t)address);
	print("\n");
}

/* The checksum is that of sum(1). */
static inline void report_initrd(uint64_t address, uint64_t len)
{
	const uint8_t *bytes = (const uint8_t *)(uintptr_t)address;
	unsigned sum = 0;

	for (unsigned i = 0; i < len; i++)
		sum = ((sum >> 1 | sum << 15) + bytes[i]) & 0xffff;
	print("initrd: ");
	print_number((unsigned)len);
	print(" bytes, sum ");
	print_number(sum);
	print("\n");
}

/* A range of the memory map; ranges come sorted and do not overlap. */
static inline void count_range(uint64_t base, uint64_t len, uint32_t type, uint64_t *end,
			       uint64_t *ram)
{
	check(base >= *end && len);
	*end = base + len;
	if (type == RANGE_RAM)
		*ram += len;
}

static inline void report_ram(uint64_t ram)
{
	print("RAM: ");
	print_number((unsigned)(ram >> 10));
	print(" KiB\n");
}

#endif
