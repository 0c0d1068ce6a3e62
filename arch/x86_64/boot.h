/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading the kernel and what it needs. Private to arch/x86_64. On the machine's thread, before any
 * vCPU runs.
 *
 * Layout of low memory:
 *
 *   0x00000  free: real-mode vectors, flat binaries, the kernel's own trampolines
 *   0x0040e  BIOS data: where the EBDA begins; 0x00413: KiB of RAM below it
 *   0x80000  GDT (boot_regs.h)             \
 *   0x81000  zero page, hvm_start_info or    |
 *            Multiboot information           |  the boot area: RAM that the kernel may use once
 *   0x82000  PML4, PDPT, 4 page directories  |  it has read what it needs. Nothing is written
 *   0x88000  command line, module strings   /   there that the format at hand does not need.
 *   0x98000  free
 *   0x9fc00  EBDA: reserved in the memory map, as all up to 1 MiB
 *   0xe0000  ACPI tables (acpi.h)
 *   0xffff0  BIOS entry: a few instructions that reset the machine
 *  0x100000  the kernel; the initrd as high as it may lie (Multiboot: after the kernel, and so the
 *            modules)
 *
 * As with arch/boot_file.h: files are hostile input, and functions that return int log one line
 * that names the file before they return a negative errno.
 */
#ifndef KINGLET_X86_64_BOOT_H
#define KINGLET_X86_64_BOOT_H

#include "arch/boot_file.h"
#include "boot_regs.h"
#include "x86.h"

#define BOOT_AREA 0x80000ULL
#define BOOT_GDT BOOT_AREA
#define BOOT_INFO 0x81000ULL
#define BOOT_PML4 0x82000ULL
#define BOOT_PDPT 0x83000ULL
#define BOOT_PD 0x84000ULL
#define BOOT_STRINGS 0x88000ULL
#define BOOT_STRINGS_LEN 0x10000ULL
#define BOOT_AREA_END 0x98000ULL

/* The size of the identity mapping at the 64-bit entry. */
#define BOOT_MAPPED 0x100000000ULL

#define BOOT_BDA_EBDA 0x40eULL	  /* real-mode segment of the EBDA */
#define BOOT_BDA_BASE_KIB 0x413ULL /* KiB below it */
#define BOOT_BIOS_ENTRY 0xffff0ULL
#define BOOT_HIGH_MEMORY 0x100000ULL

/* One boot in progress. */
struct boot_job {
	struct gmem *mem;
	const struct boot_options *options;
	struct boot_file kernel;
	uint64_t low_end;      /* first GPA after the RAM below the hole */
	uint64_t rsdp;	       /* GPA of the ACPI RSDP; 0: no tables */
	uint64_t strings_used; /* bytes used of BOOT_STRINGS */
	bool takes_modules;    /* the format supports them */
	struct boot_summary *summary;
	struct boot_regs regs;
};

struct elf_image;

/* --- load.c: shared by the formats ---------------------------------------------------------- */

/* boot_file_load() of the kernel, after boot_claim(). */
__must_check int boot_load_bytes(const struct boot_job *job, uint64_t off, uint64_t gpa,
				 uint64_t len);

/*
 * Checks that the kernel may be at [gpa, gpa + len): in RAM below the hole (-E2BIG) and clear of
 * what Kinglet itself puts into low memory (-ENOEXEC). Adds it to the summary.
 */
__must_check int boot_claim(struct boot_job *job, uint64_t gpa, uint64_t len);

/*
 * Puts a file page-aligned at or above `floor`, never below 1 MiB, and below `ceiling`: as high as
 * possible, or as low as possible if `low`. Returns the address. -E2BIG when it does not fit.
 */
__must_check int boot_load_file(struct boot_job *job, const char *what, const char *path,
				uint64_t floor, uint64_t ceiling, bool low, struct gmem_range *at);

/*
 * Puts the initrd, if there is one, after the loaded kernel and as high as possible below
 * `ceiling`. The summary has its address.
 */
__must_check int boot_load_initrd(struct boot_job *job, uint64_t ceiling);

/*
 * Writes a string, or `first`, a space and `second`, and its NUL into the boot area. `max` is the
 * format's limit, without the NUL. -E2BIG when it is longer, or the area is full.
 */
__must_check int boot_put_string(struct boot_job *job, const char *first, const char *second,
				 uint64_t max, uint64_t *gpa);

/* --- boot_tables.c --------------------------------------------------------------------------- */

/*
 * Writes what there is at the entry: the format's `len` bytes at BOOT_INFO, a GDT with a code
 * segment of job->regs.mode, and for 64-bit mode page tables.
 */
__must_check int boot_write_tables(struct boot_job *job, const void *info, size_t len);

/* --- One file per format --------------------------------------------------------------------- */

bool bzimage_probe(const struct boot_file *file);
__must_check int bzimage_load(struct boot_job *job);

bool multiboot_probe(const struct boot_file *file);
/* `image`: whose segments an ELF header names; or NULL. */
__must_check int multiboot_load(struct boot_job *job, const struct elf_image *image);

__must_check int flat_load(struct boot_job *job);

/*
 * Enters Linux at `entry` in job->regs.mode, 32 or 64-bit, with a zero page made from `header`
 * (linux.c). The kernel is loaded and claimed; initrd and command line are placed here, within the
 * limits given in the header.
 */
__must_check int linux_enter(struct boot_job *job, const struct setup_header *header,
			     uint64_t entry);

/* An ELF image at that entry: it has no setup header, so Linux's usual limits apply. */
__must_check int linux_load_elf(struct boot_job *job, const struct elf_image *image);

/* An ELF image that declares `entry` by a PVH note. */
__must_check int pvh_load(struct boot_job *job, const struct elf_image *image, uint64_t entry);

#endif
