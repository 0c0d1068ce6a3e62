/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GDT and page tables for the entry to protected and long mode. (Intel SDM vol. 3A §3.4.5, §4.5)
 */
#include "boot.h"

#include <string.h>

#define PAGE_PRESENT_WRITABLE 0x3ULL
#define PAGE_LARGE 0x80ULL
#define LARGE_PAGE 0x200000ULL

enum { TABLE_ENTRIES = 512, DIRECTORIES = BOOT_MAPPED >> 30 };

_Static_assert(BOOT_PD + DIRECTORIES * X86_PAGE_SIZE <= BOOT_STRINGS, "boot area");

static int write_gdt(struct gmem *mem, enum cpu_mode mode)
{
	const uint64_t gdt[] = {
		/* Flat, 4 GiB. */
		[BOOT_CS / 8] = mode == CPU_MODE_64 ? 0x00af9b000000ffff : 0x00cf9b000000ffff,
		[BOOT_DS / 8] = 0x00cf93000000ffff,
		[BOOT_TSS / 8] = 0x00008b0000000067, /* busy; two entries in long mode */
		[BOOT_TSS / 8 + 1] = 0,
	};

	_Static_assert(sizeof(gdt) == BOOT_GDT_LEN, "GDT");
	return gmem_write(mem, BOOT_GDT, gdt, sizeof(gdt));
}

static int write_page_tables(struct gmem *mem)
{
	struct {
		uint64_t pml4[TABLE_ENTRIES];
		uint64_t pdpt[TABLE_ENTRIES];
		uint64_t pd[DIRECTORIES * TABLE_ENTRIES];
	} *tables = gmem_ptr(mem, BOOT_PML4, sizeof(*tables));

	if (!tables)
		return -EFAULT;
	tables->pml4[0] = BOOT_PDPT | PAGE_PRESENT_WRITABLE;
	for (unsigned i = 0; i < DIRECTORIES; i++)
		tables->pdpt[i] = (BOOT_PD + i * X86_PAGE_SIZE) | PAGE_PRESENT_WRITABLE;
	for (unsigned i = 0; i < ARRAY_SIZE(tables->pd); i++)
		tables->pd[i] = i * LARGE_PAGE | PAGE_LARGE | PAGE_PRESENT_WRITABLE;
	gmem_written(mem, tables, sizeof(*tables));
	return 0;
}

int boot_write_tables(struct boot_job *job, const void *info, size_t len)
{
	int ret = len ? gmem_write(job->mem, BOOT_INFO, info, len) : 0;

	if (!ret)
		ret = write_gdt(job->mem, job->regs.mode);
	if (!ret && job->regs.mode == CPU_MODE_64)
		ret = write_page_tables(job->mem);
	if (ret)
		return boot_refuse(&job->kernel, ret, "boot tables: %s", strerror(-ret));
	return 0;
}
