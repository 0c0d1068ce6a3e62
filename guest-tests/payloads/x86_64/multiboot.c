/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multiboot 1, as GRUB and kvm-unit-tests use it: EAX holds the loader's magic, EBX points to its
 * information. (Multiboot Specification 0.6.96)
 *
 *	kinglet run multiboot.elf --initrd FILE --module FILE,args=TEXT --append TEXT
 */
#include "handoff.h"

/*
 * Somewhere in the image's first 8 KiB: magic, flags (page alignment, memory information), sum 0.
 */
asm(".section .header, \"a\"\n"
    "	.balign	4\n"
    "	.long	0x1badb002, 3, -(0x1badb002 + 3)\n"
    ".text\n");

extern uint32_t loader_magic;

enum { INFO_MEMORY = 1 << 0, INFO_CMDLINE = 1 << 2, INFO_MODULES = 1 << 3, INFO_MMAP = 1 << 6 };

struct info {
	uint32_t flags;
	uint32_t mem_lower, mem_upper; /* KiB */
	uint32_t boot_device;
	uint32_t cmdline;
	uint32_t mods_count, mods_addr;
	uint32_t syms[4];
	uint32_t mmap_len, mmap_addr;
};

struct module {
	uint32_t start, end, string, reserved;
};

struct range {
	uint32_t size; /* of what follows */
	uint64_t base, len;
	uint32_t type;
} __attribute__((packed));

static void report_memory_map(const struct info *info)
{
	uintptr_t at = info->mmap_addr;
	uint64_t end = 0, ram = 0;

	while (at < info->mmap_addr + info->mmap_len) {
		const struct range *range = (const void *)at;

		count_range(range->base, range->len, range->type, &end, &ram);
		at += range->size + sizeof(range->size);
	}
	/* The older fields agree with the map: RAM below 1 MiB, and from there on. */
	check(ram >> 10 == info->mem_lower + info->mem_upper);
	report_ram(ram);
}

static void report_module(const struct module *module)
{
	check(module->start % 4096 == 0); /* requested by the header's flag 0 */
	report_initrd(module->start, module->end - module->start);
}

int main(const void *handoff)
{
	const struct info *info = handoff;
	const struct module *module = (const void *)(uintptr_t)info->mods_addr;
	uint32_t needed = INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MMAP;

	check(loader_magic == 0x2badb002);
	check((info->flags & needed) == needed);
	check(info->mods_count >= 1);
	report_cmdline(info->cmdline);
	report_module(module);
	for (unsigned i = 1; i < info->mods_count; i++) {
		check(module[i].start >= module[i - 1].end);
		report_cmdline(module[i].string);
		report_module(&module[i]);
	}
	report_memory_map(info);
	return 0;
}
