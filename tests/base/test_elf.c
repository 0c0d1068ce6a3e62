/* SPDX-License-Identifier: Apache-2.0 */
#include "base/elf.h"
#include "base/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define IDENT(class) { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, class, ELFDATA2LSB, EV_CURRENT }

struct wide {
	Elf64_Ehdr header;
	Elf64_Phdr segments[2];
	Elf64_Shdr sections[2];
};

static const struct wide wide = {
	.header = {
		.e_ident = IDENT(ELFCLASS64),
		.e_machine = EM_AARCH64,
		.e_entry = 0x123456789a,
		.e_phoff = offsetof(struct wide, segments),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
		.e_shoff = offsetof(struct wide, sections),
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 2,
	},
	.segments[1] = { .p_type = PT_LOAD, .p_paddr = 0x100000000 },
	.sections[1] = { .sh_type = SHT_SYMTAB, .sh_link = 7 },
};

struct narrow {
	Elf32_Ehdr header;
	Elf32_Phdr segments[2];
};

static const struct narrow narrow = {
	.header = {
		.e_ident = IDENT(ELFCLASS32),
		.e_machine = EM_386,
		.e_entry = 0x100020,
		.e_phoff = offsetof(struct narrow, segments),
		.e_phentsize = sizeof(Elf32_Phdr),
		.e_phnum = 2,
	},
	.segments[1] = {
		.p_type = PT_NOTE,
		.p_offset = 1,
		.p_vaddr = 2,
		.p_paddr = 3,
		.p_filesz = 4,
		.p_memsz = 5,
		.p_align = 8,
	},
};

/* The file has `size` bytes, whatever the caller says. */
static int open_as(struct elf_file *elf, const void *bytes, size_t size, uint64_t said)
{
	int fd = memfd_create("elf", MFD_CLOEXEC);

	assert_int_equal(write_all(fd, bytes, size), 0);
	return elf_open(elf, fd, said);
}

static void both_classes_are_read_alike(void **state)
{
	struct elf_file elf;
	Elf64_Phdr segment;
	Elf64_Shdr section;

	(void)state;
	assert_int_equal(open_as(&elf, &wide, sizeof(wide), sizeof(wide)), 0);
	assert_true(elf.is_64bit);
	assert_int_equal(elf.header.e_entry, 0x123456789a);
	assert_int_equal(elf_segment(&elf, 1, &segment), 0);
	assert_int_equal(segment.p_paddr, 0x100000000);
	assert_int_equal(elf_section(&elf, 1, &section), 0);
	assert_int_equal(section.sh_link, 7);
	close_fd(&elf.fd);

	assert_int_equal(open_as(&elf, &narrow, sizeof(narrow), sizeof(narrow)), 0);
	assert_false(elf.is_64bit);
	assert_int_equal(elf.header.e_ident[EI_DATA], ELFDATA2LSB);
	assert_int_equal(elf.header.e_machine, EM_386);
	assert_int_equal(elf.header.e_entry, 0x100020);
	assert_int_equal(elf_segment(&elf, 1, &segment), 0);
	assert_int_equal(segment.p_type, PT_NOTE);
	assert_int_equal(segment.p_offset, 1);
	assert_int_equal(segment.p_vaddr, 2);
	assert_int_equal(segment.p_paddr, 3);
	assert_int_equal(segment.p_filesz, 4);
	assert_int_equal(segment.p_memsz, 5);
	assert_int_equal(segment.p_align, 8);
	assert_int_equal(elf_section(&elf, 0, &section), -ENOEXEC);
	close_fd(&elf.fd);
}

static void other_files_are_no_elf(void **state)
{
	struct elf_file elf;

	(void)state;
	assert_int_equal(open_as(&elf, "", 0, 0), -ENODATA);
	close_fd(&elf.fd);
	assert_int_equal(open_as(&elf, "\x7f" "EL", 3, 3), -ENODATA);
	close_fd(&elf.fd);
	assert_int_equal(open_as(&elf, "#!/bin/sh and so on, and on", 27, 27), -ENODATA);
	close_fd(&elf.fd);
}

static void a_cut_file_is_damaged(void **state)
{
	struct elf_file elf;
	Elf64_Phdr segment;
	Elf64_Shdr section;

	(void)state;
	for (size_t len = SELFMAG; len < sizeof(wide); len++) {
		int ret = open_as(&elf, &wide, len, len);

		assert_int_equal(ret, len < sizeof(wide.header) ? -ENOEXEC : 0);
		if (!ret)
			assert_int_equal(elf_section(&elf, 1, &section), -ENOEXEC);
		close_fd(&elf.fd);
	}
	/* It shrank after its size was read. */
	assert_int_equal(open_as(&elf, &wide, 100, sizeof(wide)), 0);
	assert_int_equal(elf_segment(&elf, 0, &segment), -ENOEXEC);
	close_fd(&elf.fd);
}

static void tables_are_inside_the_file(void **state)
{
	static const uint64_t offsets[] = { sizeof(wide) - 1, INT64_MAX, UINT64_MAX - 8 };
	struct wide image = wide;
	struct elf_file elf;
	Elf64_Phdr segment;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		image.header.e_phoff = offsets[i];
		assert_int_equal(open_as(&elf, &image, sizeof(image), sizeof(image)), 0);
		assert_int_equal(elf_segment(&elf, 0, &segment), -ENOEXEC);
		assert_int_equal(elf_segment(&elf, 1, &segment), -ENOEXEC);
		close_fd(&elf.fd);
	}
	image = wide;
	image.header.e_phentsize = sizeof(Elf32_Phdr);
	assert_int_equal(open_as(&elf, &image, sizeof(image), sizeof(image)), 0);
	assert_int_equal(elf_segment(&elf, 0, &segment), -ENOEXEC);
	close_fd(&elf.fd);
	assert_int_equal(open_as(&elf, &wide, sizeof(wide), sizeof(wide)), 0);
	assert_int_equal(elf_segment(&elf, 2, &segment), -ENOEXEC);
	close_fd(&elf.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_classes_are_read_alike),
		cmocka_unit_test(other_files_are_no_elf),
		cmocka_unit_test(a_cut_file_is_damaged),
		cmocka_unit_test(tables_are_inside_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
