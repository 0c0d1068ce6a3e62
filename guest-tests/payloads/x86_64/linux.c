/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Linux finds at its 64-bit entry: the zero page (Documentation/x86/zero-page.rst, boot.rst).
 * Linked twice, as an ELF64 vmlinux and as a bzImage.
 *
 *	kinglet run linux.elf --initrd FILE --append TEXT
 *	kinglet run linux.bzImage --initrd FILE --append TEXT
 */
#include "handoff.h"

enum {
	ACPI_RSDP = 0x070,
	E820_ENTRIES = 0x1e8,
	HEADER_MAGIC = 0x202,
	TYPE_OF_LOADER = 0x210,
	RAMDISK_IMAGE = 0x218,
	RAMDISK_SIZE = 0x21c,
	E820_TABLE = 0x2d0,
};

struct e820_entry {
	uint64_t base, len;
	uint32_t type;
} __attribute__((packed));

static void report_memory_map(uintptr_t zero_page)
{
	const struct e820_entry *map = (const void *)(zero_page + E820_TABLE);
	uint64_t end = 0, ram = 0;

	for (unsigned i = 0; i < read8(zero_page + E820_ENTRIES); i++)
		count_range(map[i].base, map[i].len, map[i].type, &end, &ram);
	report_ram(ram);
}

int main(const void *handoff)
{
	uintptr_t zero_page = (uintptr_t)handoff;
	uintptr_t rsdp = read32(zero_page + ACPI_RSDP);

	check(read32(zero_page + HEADER_MAGIC) == 0x53726448); /* "HdrS" */
	check(read8(zero_page + TYPE_OF_LOADER) == 0xff);      /* a loader without an assigned
							        * number */
	check(read32(rsdp) == 0x20445352);		       /* "RSD PTR ", ACPI 6.4 §5.2.5.3 */
	check(read32(rsdp + 4) == 0x20525450);
	report_cmdline((uintptr_t)command_line(handoff));
	report_initrd(read32(zero_page + RAMDISK_IMAGE), read32(zero_page + RAMDISK_SIZE));
	report_memory_map(zero_page);
	return 0;
}
