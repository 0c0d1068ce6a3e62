/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers of ELF files, which are hostile: whatever they name lies inside the file, or is refused.
 * (ELF gABI chapters 4 and 5.) Errors: -ENOEXEC when the file is truncated or damaged, those of
 * pread(2). Any thread.
 */
#ifndef KINGLET_BASE_ELF_H
#define KINGLET_BASE_ELF_H

#include "base/cleanup.h"

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>

struct elf_file {
	int fd;		   /* borrowed */
	uint64_t size;	   /* of the file */
	bool is_64bit;
	Elf64_Ehdr header; /* a 32-bit file's is widened, but for its sections */
};

/* Reads the header; byte order and machine are for the caller to check. -ENODATA: no ELF file. */
__must_check int elf_open(struct elf_file *elf, int fd, uint64_t size);

/* One program header, widened. */
__must_check int elf_segment(const struct elf_file *elf, unsigned index, Elf64_Phdr *segment);

/* One section header, of a 64-bit file. */
__must_check int elf_section(const struct elf_file *elf, unsigned index, Elf64_Shdr *section);

#endif
