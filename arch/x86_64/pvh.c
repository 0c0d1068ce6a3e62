/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PVH: 32-bit protected mode without paging, EBX holds the GPA of hvm_start_info.
 * (Xen: docs/misc/pvh.pandoc; the layouts are public/arch-x86/hvm/start_info.h's)
 */
#include "elf_image.h"

#define START_MAGIC 0x336ec578
#define START_VERSION 1 /* with the memory map */

struct start_info {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t module_count;
	uint64_t modules; /* GPA of struct start_module[] */
	uint64_t cmdline; /* GPA */
	uint64_t rsdp;	  /* GPA, 0: none */
	uint64_t memmap;  /* GPA of struct start_range[] */
	uint32_t memmap_count;
	uint32_t reserved;
};

struct start_module {
	uint64_t gpa, len;
	uint64_t cmdline; /* GPA, 0: none */
	uint64_t reserved;
};

struct start_range {
	uint64_t gpa, len;
	uint32_t type; /* E820_* */
	uint32_t reserved;
};

/* All at BOOT_INFO, one after the other. */
struct start_page {
	struct start_info info;
	struct start_module initrd;
	struct start_range memmap[MEMMAP_MAX];
};

_Static_assert(sizeof(struct start_info) == 56, "hvm_start_info");
_Static_assert(sizeof(struct start_module) == 32, "hvm_modlist_entry");
_Static_assert(sizeof(struct start_range) == 24, "hvm_memmap_table_entry");
_Static_assert(BOOT_INFO + sizeof(struct start_page) <= BOOT_PML4, "boot area");

static void fill_page(struct start_page *page, const struct boot_job *job, uint64_t cmdline)
{
	struct boot_e820_entry map[MEMMAP_MAX];

	*page = (struct start_page){
		.info = {
			.magic = START_MAGIC,
			.version = START_VERSION,
			.cmdline = cmdline,
			.rsdp = job->rsdp,
			.memmap = BOOT_INFO + offsetof(struct start_page, memmap),
			.memmap_count = memmap_build(job->mem, map),
		},
	};
	for (unsigned i = 0; i < page->info.memmap_count; i++)
		page->memmap[i] = (struct start_range){
			.gpa = map[i].addr, .len = map[i].size, .type = map[i].type
		};
	if (!job->summary->initrd_len)
		return;
	page->info.module_count = 1;
	page->info.modules = BOOT_INFO + offsetof(struct start_page, initrd);
	page->initrd.gpa = job->summary->initrd_start;
	page->initrd.len = job->summary->initrd_len;
}

int pvh_load(struct boot_job *job, const struct elf_image *image, uint64_t entry)
{
	struct start_page page;
	uint64_t cmdline;
	int ret;

	job->summary->format = "PVH";
	job->regs.mode = CPU_MODE_32;
	ret = elf_load_segments(job, image);
	if (!ret)
		ret = elf_physical_entry(job, image, entry, &job->regs.rip);
	if (!ret)
		ret = boot_load_initrd(job, job->low_end);
	/* The protocol has no limit; Linux silently truncates at 2,047 bytes. */
	if (!ret)
		ret = boot_put_string(job, job->options->cmdline, NULL, UINT64_MAX, &cmdline);
	if (ret)
		return ret;

	fill_page(&page, job, cmdline);
	job->regs.rbx = BOOT_INFO;
	return boot_write_tables(job, &page, sizeof(page));
}
