/* SPDX-License-Identifier: Apache-2.0 */
#include "base/elf.h"

#include "base/checked.h"
#include "base/files.h"

#include <string.h>

static int read_at(const struct elf_file *elf, uint64_t off, void *buf, size_t len)
{
	int ret;

	if (!range_fits(off, len, elf->size))
		return -ENOEXEC;
	ret = pread_exactly(elf->fd, buf, len, off);
	return ret == -ENODATA ? -ENOEXEC : ret; /* it shrank */
}

/* A table of the file: entries of `size` bytes each, which must be what this class has. */
struct table {
	uint64_t off;
	unsigned count, size;
};

static int read_entry(const struct elf_file *elf, const struct table *table, unsigned index,
		      void *entry, size_t len)
{
	uint64_t off;

	if (index >= table->count || table->size != len ||
	    __builtin_add_overflow(table->off, (uint64_t)index * len, &off))
		return -ENOEXEC;
	return read_at(elf, off, entry, len);
}

static Elf64_Ehdr widen_header(const Elf32_Ehdr *h)
{
	Elf64_Ehdr wide = {
		.e_type = h->e_type,
		.e_machine = h->e_machine,
		.e_entry = h->e_entry,
		.e_phoff = h->e_phoff,
		.e_phentsize = h->e_phentsize,
		.e_phnum = h->e_phnum,
	};

	memcpy(wide.e_ident, h->e_ident, EI_NIDENT);
	return wide;
}

int elf_open(struct elf_file *elf, int fd, uint64_t size)
{
	unsigned char ident[EI_NIDENT] = { 0 };
	Elf32_Ehdr narrow;
	int ret;

	*elf = (struct elf_file){ .fd = fd, .size = size };
	ret = read_at(elf, 0, ident, size < EI_NIDENT ? size : EI_NIDENT);
	if (ret)
		return ret;
	if (memcmp(ident, ELFMAG, SELFMAG) != 0)
		return -ENODATA;
	elf->is_64bit = ident[EI_CLASS] == ELFCLASS64;
	if (elf->is_64bit)
		return read_at(elf, 0, &elf->header, sizeof(elf->header));
	ret = read_at(elf, 0, &narrow, sizeof(narrow));
	if (!ret)
		elf->header = widen_header(&narrow);
	return ret;
}

int elf_segment(const struct elf_file *elf, unsigned index, Elf64_Phdr *segment)
{
	const Elf64_Ehdr *h = &elf->header;
	const struct table table = { h->e_phoff, h->e_phnum, h->e_phentsize };
	Elf32_Phdr narrow;
	int ret;

	if (elf->is_64bit)
		return read_entry(elf, &table, index, segment, sizeof(*segment));
	ret = read_entry(elf, &table, index, &narrow, sizeof(narrow));
	if (!ret)
		*segment = (Elf64_Phdr){
			.p_type = narrow.p_type,
			.p_offset = narrow.p_offset,
			.p_vaddr = narrow.p_vaddr,
			.p_paddr = narrow.p_paddr,
			.p_filesz = narrow.p_filesz,
			.p_memsz = narrow.p_memsz,
			.p_align = narrow.p_align,
		};
	return ret;
}

int elf_section(const struct elf_file *elf, unsigned index, Elf64_Shdr *section)
{
	const Elf64_Ehdr *h = &elf->header;
	const struct table table = { h->e_shoff, h->e_shnum, h->e_shentsize };

	return read_entry(elf, &table, index, section, sizeof(*section));
}
