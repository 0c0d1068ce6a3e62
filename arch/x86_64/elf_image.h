/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ELF executable's headers, checked and widened to 64 bits. Private to arch/x86_64.
 */
#ifndef KINGLET_X86_64_ELF_IMAGE_H
#define KINGLET_X86_64_ELF_IMAGE_H

#include "boot.h"

#include "base/elf.h"

enum { ELF_SEGMENTS_MAX = 64 };

struct elf_image {
	bool is_64bit;
	uint64_t entry; /* as in the header */
	unsigned count;
	Elf64_Phdr segments[ELF_SEGMENTS_MAX];
};

__must_check int elf_parse(const struct boot_file *file, struct elf_image *image);

/* 1 and the entry when the image has a PVH note, 0 when it has none. */
__must_check int elf_pvh_entry(const struct boot_file *file, const struct elf_image *image,
			       uint64_t *entry);

/* Claims and loads every PT_LOAD segment at its physical address. Bss is RAM that is zero. */
__must_check int elf_load_segments(struct boot_job *job, const struct elf_image *image);

/*
 * The GPA of an entry point: unchanged if it is in a loaded segment's physical range, translated if
 * in a virtual range. -ENOEXEC otherwise.
 */
__must_check int elf_physical_entry(const struct boot_job *job, const struct elf_image *image,
				    uint64_t entry, uint64_t *gpa);

#endif
