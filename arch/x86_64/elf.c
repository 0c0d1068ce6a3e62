/* SPDX-License-Identifier: Apache-2.0 */
#include "elf_image.h"

#include "base/checked.h"
#include "base/le.h"

#include <string.h>

#define NOTE_OWNER "Xen" /* with its NUL */
#define NOTE_PHYS32_ENTRY 18
#define NOTES_MAX (64u << 10) /* bytes of one note segment; Linux uses half a KiB */

/* What elf_open() and elf_segment() refuse. */
static int refuse_headers(const struct boot_file *file, int err)
{
	if (err == -ENOEXEC)
		return boot_refuse(file, err, "truncated or damaged ELF headers");
	return boot_refuse(file, err, "read: %s", strerror(-err));
}

static int check_header(const struct boot_file *file, const struct elf_file *elf)
{
	const Elf64_Ehdr *header = &elf->header;
	uint16_t machine = elf->is_64bit ? EM_X86_64 : EM_386;
	size_t phentsize = elf->is_64bit ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);

	if (header->e_ident[EI_DATA] != ELFDATA2LSB || header->e_machine != machine)
		return boot_refuse(file, -ENOEXEC, "ELF for another machine (class %u, machine %u)",
				   header->e_ident[EI_CLASS], header->e_machine);
	if (header->e_type != ET_EXEC)
		return boot_refuse(file, -ENOEXEC,
				   "ELF of type %u is no executable with fixed addresses (2)",
				   header->e_type);
	if (header->e_phentsize != phentsize || !header->e_phnum)
		return boot_refuse(file, -ENOEXEC, "ELF without program headers to load");
	if (header->e_phnum > ELF_SEGMENTS_MAX)
		return boot_refuse(file, -ENOEXEC, "ELF with %u program headers; at most %u are",
				   header->e_phnum, ELF_SEGMENTS_MAX);
	return 0;
}

/* A segment outside the file, or that wraps, is invalid in any format. */
static int check_segments(const struct boot_file *file, const struct elf_image *image)
{
	for (unsigned i = 0; i < image->count; i++) {
		const Elf64_Phdr *s = &image->segments[i];
		uint64_t end;

		if (s->p_type != PT_LOAD)
			continue;
		if (s->p_filesz > s->p_memsz || !range_fits(s->p_offset, s->p_filesz, file->size) ||
		    __builtin_add_overflow(s->p_paddr, s->p_memsz, &end) ||
		    __builtin_add_overflow(s->p_vaddr, s->p_memsz, &end))
			return boot_refuse(file, -ENOEXEC,
					   "truncated or damaged ELF: segment %u has %llu bytes at "
					   "%#llx of %llu",
					   i, (unsigned long long)s->p_filesz,
					   (unsigned long long)s->p_offset,
					   (unsigned long long)file->size);
	}
	return 0;
}

int elf_parse(const struct boot_file *file, struct elf_image *image)
{
	struct elf_file elf;
	int ret = elf_open(&elf, file->fd, file->size);

	if (ret)
		return refuse_headers(file, ret);
	ret = check_header(file, &elf);
	if (ret)
		return ret;
	image->is_64bit = elf.is_64bit;
	image->entry = elf.header.e_entry;
	image->count = elf.header.e_phnum;
	for (unsigned i = 0; i < image->count; i++) {
		ret = elf_segment(&elf, i, &image->segments[i]);
		if (ret)
			return refuse_headers(file, ret);
	}
	return check_segments(file, image);
}

/* Note layout: gABI, "Note Section"; Xen's types: xen/include/public/elfnote.h. */
static bool find_phys32(const uint8_t *notes, uint64_t len, uint64_t align, uint64_t *entry)
{
	uint64_t at = 0;

	while (range_fits(at, sizeof(Elf64_Nhdr), len)) {
		Elf64_Nhdr note;
		uint64_t name, desc;

		memcpy(&note, notes + at, sizeof(note));
		name = at + sizeof(note);
		desc = align_up(name + note.n_namesz, align);
		if (!range_fits(name, note.n_namesz, len) || !range_fits(desc, note.n_descsz, len))
			return false;
		if (note.n_type == NOTE_PHYS32_ENTRY && note.n_namesz == sizeof(NOTE_OWNER) &&
		    memcmp(notes + name, NOTE_OWNER, sizeof(NOTE_OWNER)) == 0 &&
		    (note.n_descsz == 4 || note.n_descsz == 8)) {
			*entry = get_le_bytes(notes + desc, note.n_descsz);
			return true;
		}
		at = align_up(desc + note.n_descsz, align);
	}
	return false;
}

int elf_pvh_entry(const struct boot_file *file, const struct elf_image *image, uint64_t *entry)
{
	for (unsigned i = 0; i < image->count; i++) {
		const Elf64_Phdr *s = &image->segments[i];
		_cleanup_free_ uint8_t *notes = NULL;
		int ret;

		if (s->p_type != PT_NOTE || !s->p_filesz || s->p_filesz > NOTES_MAX)
			continue;
		notes = malloc(s->p_filesz);
		if (!notes)
			return boot_refuse(file, -ENOMEM, "out of memory");
		ret = boot_file_read(file, s->p_offset, notes, s->p_filesz);
		if (ret)
			return ret;
		if (find_phys32(notes, s->p_filesz, s->p_align == 8 ? 8 : 4, entry))
			return 1;
	}
	return 0;
}

int elf_load_segments(struct boot_job *job, const struct elf_image *image)
{
	for (unsigned i = 0; i < image->count; i++) {
		const Elf64_Phdr *s = &image->segments[i];
		int ret;

		if (s->p_type != PT_LOAD || !s->p_memsz)
			continue;
		ret = boot_claim(job, s->p_paddr, s->p_memsz);
		if (!ret)
			ret = boot_load_bytes(job, s->p_offset, s->p_paddr, s->p_filesz);
		if (ret)
			return ret;
	}
	if (!job->summary->kernel_end)
		return boot_refuse(&job->kernel, -ENOEXEC, "ELF without a segment to load");
	return 0;
}

int elf_physical_entry(const struct boot_job *job, const struct elf_image *image, uint64_t entry,
		       uint64_t *gpa)
{
	const Elf64_Phdr *virtual = NULL;

	for (unsigned i = 0; i < image->count; i++) {
		const Elf64_Phdr *s = &image->segments[i];

		if (s->p_type != PT_LOAD)
			continue;
		if (entry >= s->p_paddr && entry - s->p_paddr < s->p_memsz) {
			*gpa = entry;
			return 0;
		}
		if (entry >= s->p_vaddr && entry - s->p_vaddr < s->p_memsz)
			virtual = s;
	}
	if (!virtual)
		return boot_refuse(&job->kernel, -ENOEXEC, "ELF entry %#llx is in no segment",
				   (unsigned long long)entry);
	*gpa = virtual->p_paddr + (entry - virtual->p_vaddr);
	return 0;
}
