/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI tables of the machine that layout.h describes. Private to arch/x86_64.
 */
#ifndef KINGLET_X86_64_ACPI_H
#define KINGLET_X86_64_ACPI_H

#include "arch/x86_64/layout.h"
#include "core/memory.h"

/* The area of the tables: the BIOS area, which e820 reserves and no kernel allocates from. */
#define ACPI_AREA_BASE 0xe0000ULL
#define ACPI_AREA_END 0xffff0ULL /* the BIOS entry follows (boot.h) */
#define ACPI_TABLES_END X86_VMGENID

struct acpi_options {
	unsigned cpus;
	uint64_t ram_high_end; /* first GPA after RAM above 4 GiB, or X86_RAM_HIGH if none */
};

/*
 * Writes RSDP and all tables into [ACPI_AREA_BASE, ACPI_TABLES_END) and stores the RSDP's GPA. Main
 * thread, at each boot. -EFAULT when the area is not RAM, -ENOSPC when the CPUs do not fit in it;
 * the caller logs.
 */
__must_check int acpi_build(struct gmem *mem, const struct acpi_options *options,
			    uint64_t *rsdp_gpa);

#endif
