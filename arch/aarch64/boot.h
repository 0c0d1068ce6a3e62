/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading the kernel and what it needs. Private to arch/aarch64. On the machine's thread, before
 * any vCPU runs.
 *
 * Layout of RAM: the kernel at its lower end, or a flat binary at the user's address; the initrd as
 * high as allowed; after it 2 MiB for the device tree, whose address is in X0. At the end of RAM, in
 * those 2 MiB or above, is the VM generation id (layout.h).
 *
 * As with arch/boot_file.h: files are hostile input, and functions that return int log one line
 * that names the file before they return a negative errno.
 */
#ifndef KINGLET_AARCH64_BOOT_H
#define KINGLET_AARCH64_BOOT_H

#include "arch/boot_file.h"
#include "arm64.h"

/* booting.rst: no device tree is larger. The VM generation id may be at the area's end. */
#define BOOT_FDT_AREA 0x200000ULL
#define BOOT_FDT_MAX (BOOT_FDT_AREA - ARM64_VMGENID_LEN)

/* One boot in progress. */
struct boot_job {
	struct gmem *mem;
	const struct boot_options *options;
	struct boot_file kernel;
	uint64_t fdt; /* GPA of the device tree, BOOT_FDT_AREA long; everything else is below */
	struct boot_summary *summary;
};

/* claim.c: checks that the kernel may lie at [gpa, gpa + len): -E2BIG. Notes it in the summary. */
__must_check int boot_claim(struct boot_job *job, uint64_t gpa, uint64_t len);

/* image.c: Linux's Image, plain or compressed. True when the file is one. */
bool image_probe(const struct boot_file *file);
__must_check int image_load(struct boot_job *job);

#endif
