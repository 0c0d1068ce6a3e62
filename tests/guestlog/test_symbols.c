/* SPDX-License-Identifier: Apache-2.0 */
#include "guestlog/symbols.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

struct file {
	int fd;
	char path[32];
};

static struct file new_file(const void *data, size_t len)
{
	struct file file = { .fd = memfd_create("symbols", MFD_CLOEXEC) };

	assert_true(file.fd >= 0);
	assert_int_equal(write(file.fd, data, len), len);
	snprintf(file.path, sizeof(file.path), "/proc/self/fd/%d", file.fd);
	return file;
}

static int load(const void *data, size_t len, struct symbols **symbols)
{
	struct file file = new_file(data, len);
	int ret = symbols_load(file.path, symbols);

	close(file.fd);
	return ret;
}

static void assert_symbol(const struct symbols *symbols, uint64_t address, const char *name,
			  uint64_t offset)
{
	uint64_t got;
	const char *found = symbols_find(symbols, address, &got);

	if (!name) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_string_equal(found, name);
	assert_int_equal(got, offset);
}

static void a_system_map_names_text(void **state)
{
	static const char map[] = "0000000000000000 A fixed_percpu_data\n"
				  "ffffffff81000100 T second\n"
				  "ffffffff81000000 T _stext\n"
				  "ffffffff81000180 D data\n"
				  "ffffffffc0000000 t helper [module]\n";
	struct symbols *symbols;

	(void)state;
	assert_int_equal(load(map, sizeof(map) - 1, &symbols), 0);
	assert_symbol(symbols, 0xffffffff81000000, "_stext", 0);
	assert_symbol(symbols, 0xffffffff810000ff, "_stext", 0xff);
	assert_symbol(symbols, 0xffffffff810001ff, "second", 0xff);
	assert_symbol(symbols, 0xffffffffc0000004, "helper", 4);
	assert_symbol(symbols, 0xffffffff80ffffff, NULL, 0);
	assert_symbol(symbols, 0xffffffffd0000000, NULL, 0);
	assert_int_equal(symbols_address(symbols, "second"), 0xffffffff81000100);
	assert_int_equal(symbols_address(symbols, "third"), 0);
	symbols_destroy(symbols);
}

struct image {
	Elf64_Ehdr header;
	Elf64_Shdr sections[3];
	Elf64_Sym syms[5];
	char names[32];
};

static struct image elf_image(void)
{
	struct image image = {
		.header = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB },
			.e_shoff = offsetof(struct image, sections),
			.e_shentsize = sizeof(Elf64_Shdr),
			.e_shnum = 3,
		},
		.sections = {
			[1] = {
				.sh_type = SHT_SYMTAB,
				.sh_offset = offsetof(struct image, syms),
				.sh_size = 5 * sizeof(Elf64_Sym),
				.sh_link = 2,
			},
			[2] = {
				.sh_type = SHT_STRTAB,
				.sh_offset = offsetof(struct image, names),
				.sh_size = 32,
			},
		},
		.syms = {
			{ 1, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, 1, 0x2000, 0x10 },
			{ 5, ELF64_ST_INFO(STB_LOCAL, STT_NOTYPE), 0, 1, 0x1000, 0 },
			{ 9, ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), 0, 1, 0x1800, 0x10 },
			{ 1, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, SHN_UNDEF, 0x1900, 0 },
			{ 99, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, 1, 0x1a00, 0 }, /* no name */
		},
		.names = "\0fun\0asm\0obj",
	};

	return image;
}

static void an_elf_file_names_functions(void **state)
{
	struct image image = elf_image();
	struct symbols *symbols;

	(void)state;
	assert_int_equal(load(&image, sizeof(image), &symbols), 0);
	assert_symbol(symbols, 0x2000, "fun", 0);
	assert_symbol(symbols, 0x200f, "fun", 15);
	assert_symbol(symbols, 0x2010, NULL, 0); /* after its end */
	assert_symbol(symbols, 0x1a10, "asm", 0xa10); /* of unknown size */
	assert_symbol(symbols, 0xfff, NULL, 0);
	symbols_destroy(symbols);
}

static void damaged_files_are_refused(void **state)
{
	struct image image;
	struct symbols *symbols;

	(void)state;
	assert_int_equal(symbols_load("/nonesuch", &symbols), -ENOENT);
	assert_int_equal(symbols_load("/", &symbols), -EISDIR);
	assert_int_equal(symbols_load("/dev/null", &symbols), -ENODATA);
	assert_int_equal(load("", 0, &symbols), -ENODATA);
	assert_int_equal(load("hello world\n", 12, &symbols), -ENODATA);
	assert_int_equal(load("ffffffffffffffff B The real System.map is elsewhere\n", 52, &symbols),
			 -ENODATA);
	image = elf_image();
	for (size_t len = 4; len < sizeof(image); len++) {
		int ret = load(&image, len, &symbols);

		if (ret != -ENOEXEC)
			fail_msg("cut to %zu bytes: %d", len, ret);
	}
	image.header.e_shoff = UINT64_MAX - 8;
	assert_int_equal(load(&image, sizeof(image), &symbols), -ENOEXEC);
	image = elf_image();
	image.sections[1].sh_link = 7;
	assert_int_equal(load(&image, sizeof(image), &symbols), -ENOEXEC);
	image = elf_image();
	image.sections[1].sh_size = UINT64_MAX;
	assert_int_equal(load(&image, sizeof(image), &symbols), -ENOEXEC);
	image = elf_image();
	image.sections[1].sh_type = SHT_NOTE;
	assert_int_equal(load(&image, sizeof(image), &symbols), -ENODATA);
	image = elf_image();
	image.header.e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(load(&image, sizeof(image), &symbols), -ENODATA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_system_map_names_text),
		cmocka_unit_test(an_elf_file_names_functions),
		cmocka_unit_test(damaged_files_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
