/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PVH: hvm_start_info, to which EBX points. (Xen: docs/misc/pvh.pandoc)
 *
 *	kinglet run pvh.elf --initrd FILE --append TEXT
 */
#include "handoff.h"

/* This ELF note declares the PVH entry point. */
asm(".section .note.payload, \"a\", @note\n"
    "	.long	4, 4, 18\n" /* lengths of name and value; XEN_ELFNOTE_PHYS32_ENTRY */
    "	.asciz	\"Xen\"\n"
    "	.long	_start\n"
    ".text\n");

struct start_info {
	uint32_t magic, version, flags, module_count;
	uint64_t modules, cmdline, rsdp;
	uint64_t memmap;
	uint32_t memmap_count, reserved;
};

struct start_module {
	uint64_t address, len, cmdline, reserved;
};

struct start_range {
	uint64_t base, len;
	uint32_t type, reserved;
};

int main(const void *handoff)
{
	const struct start_info *info = handoff;
	const struct start_module *module = (const void *)(uintptr_t)info->modules;
	const struct start_range *map = (const void *)(uintptr_t)info->memmap;
	uint64_t end = 0, ram = 0;

	check(info->magic == 0x336ec578);
	check(info->version == 1);
	check(info->module_count == 1);
	check(read32((uintptr_t)info->rsdp) == 0x20445352); /* "RSD PTR " */
	report_cmdline(info->cmdline);
	report_initrd(module->address, module->len);
	for (unsigned i = 0; i < info->memmap_count; i++)
		count_range(map[i].base, map[i].len, map[i].type, &end, &ram);
	report_ram(ram);
	return 0;
}
