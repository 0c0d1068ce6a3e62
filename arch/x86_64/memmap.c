/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout of RAM, and the memory map for the guest.
 */
#include "x86.h"

#include "arch/x86_64/layout.h"

#include <asm/e820.h>

#define HIGH_MEMORY 0x100000ULL

#define RAM_MIN (1ULL << 20)
#define RAM_MAX (1ULL << 42) /* leaves the 64-bit PCI window within 46 address bits */

int arch_ram_ranges(uint64_t size, struct gmem_range ranges[2])
{
	if (size % X86_PAGE_SIZE || size < RAM_MIN || size > RAM_MAX)
		return -EINVAL;
	if (size <= X86_RAM_LOW_MAX) {
		ranges[0] = (struct gmem_range){ .gpa = 0, .len = size };
		return 1;
	}
	ranges[0] = (struct gmem_range){ .gpa = 0, .len = X86_RAM_LOW_MAX };
	ranges[1] = (struct gmem_range){ .gpa = X86_RAM_HIGH, .len = size - X86_RAM_LOW_MAX };
	return 2;
}

static uint64_t slot_end_below(const struct gmem *mem, uint64_t limit)
{
	uint64_t end = 0;

	for (unsigned i = 0; i < mem->count; i++) {
		const struct gmem_slot *slot = &mem->slots[i];

		if (slot->gpa < limit && slot->gpa + slot->len > end)
			end = slot->gpa + slot->len;
	}
	return end;
}

uint64_t memmap_low_end(const struct gmem *mem)
{
	return slot_end_below(mem, X86_RAM_HIGH);
}

uint64_t memmap_high_end(const struct gmem *mem)
{
	uint64_t end = slot_end_below(mem, UINT64_MAX);

	return end > X86_RAM_HIGH ? end : X86_RAM_HIGH;
}

unsigned memmap_build(const struct gmem *mem, struct boot_e820_entry map[MEMMAP_MAX])
{
	uint64_t low_end = memmap_low_end(mem), high_end = memmap_high_end(mem);
	const struct boot_e820_entry entries[] = {
		{ 0, X86_EBDA_BASE, E820_RAM },
		{ X86_EBDA_BASE, HIGH_MEMORY - X86_EBDA_BASE, E820_RESERVED },
		{ HIGH_MEMORY, low_end - HIGH_MEMORY, E820_RAM },
		/*
		 * Linux trusts MCFG only if the range is reserved (PCI firmware spec 3.3 §4.1.2).
		 */
		{ X86_ECAM_BASE, X86_ECAM_LEN, E820_RESERVED },
		{ X86_RAM_HIGH, high_end - X86_RAM_HIGH, E820_RAM },
	};
	unsigned count = 0;

	_Static_assert(ARRAY_SIZE(entries) <= MEMMAP_MAX, "memory map");
	for (unsigned i = 0; i < ARRAY_SIZE(entries); i++)
		if (entries[i].size)
			map[count++] = entries[i];
	return count;
}
