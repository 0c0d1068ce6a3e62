/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 64-bit and 32-bit entries of Linux: zero page, command line, initrd, registers.
 * (Documentation/x86: boot.rst "64-bit boot protocol" and "32-bit boot protocol", zero-page.rst)
 */
#include "boot.h"
#include "elf_image.h"

#include <string.h>

#define LOADER_UNDEFINED 0xff
#define VIDEO_MODE_NORMAL 0xffff

/* Values in the setup header of x86_64 Linux since 2.6: COMMAND_LINE_SIZE - 1, 2 GiB - 1. */
#define LINUX_CMDLINE_SIZE 2047
#define LINUX_INITRD_MAX 0x7fffffff

_Static_assert(sizeof(struct boot_params) == X86_PAGE_SIZE, "zero page");

static void fill_zero_page(struct boot_params *params, const struct boot_job *job,
			   const struct setup_header *header, uint64_t cmdline)
{
	struct boot_e820_entry map[MEMMAP_MAX];

	memset(params, 0, sizeof(*params));
	params->hdr = *header;
	params->hdr.type_of_loader = LOADER_UNDEFINED;
	params->hdr.vid_mode = VIDEO_MODE_NORMAL;
	params->hdr.cmd_line_ptr = (uint32_t)cmdline;
	params->hdr.ramdisk_image = (uint32_t)job->summary->initrd_start;
	params->hdr.ramdisk_size = (uint32_t)job->summary->initrd_len;
	/* A list built by the loader; the file's value is ignored. */
	params->hdr.setup_data = 0;
	params->acpi_rsdp_addr = job->rsdp;
	params->e820_entries = (uint8_t)memmap_build(job->mem, map);
	memcpy(params->e820_table, map, params->e820_entries * sizeof(map[0]));
}

int linux_enter(struct boot_job *job, const struct setup_header *header, uint64_t entry)
{
	uint64_t ceiling = (uint64_t)header->initrd_addr_max + 1, cmdline;
	struct boot_params params;
	int ret;

	/* All of it is below 4 GiB: XLF_CAN_BE_LOADED_ABOVE_4G is not needed. */
	if (ceiling > job->low_end)
		ceiling = job->low_end;
	ret = boot_load_initrd(job, ceiling);
	if (ret)
		return ret;
	ret = boot_put_string(job, job->options->cmdline, NULL, header->cmdline_size, &cmdline);
	if (ret)
		return ret;

	fill_zero_page(&params, job, header, cmdline);
	job->regs.rip = entry;
	job->regs.rsi = BOOT_INFO;
	return boot_write_tables(job, &params, sizeof(params));
}

int linux_load_elf(struct boot_job *job, const struct elf_image *image)
{
	const struct setup_header header = {
		.boot_flag = 0xaa55,
		.header = 0x53726448, /* "HdrS" */
		.version = 0x020c,
		.loadflags = LOADED_HIGH,
		.initrd_addr_max = LINUX_INITRD_MAX,
		.cmdline_size = LINUX_CMDLINE_SIZE,
	};
	uint64_t entry;
	int ret;

	job->summary->format = "ELF64 vmlinux";
	job->regs.mode = CPU_MODE_64;
	ret = elf_load_segments(job, image);
	if (!ret)
		ret = elf_physical_entry(job, image, image->entry, &entry);
	if (ret)
		return ret;
	return linux_enter(job, &header, entry);
}
