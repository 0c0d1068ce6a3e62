/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multiboot 1: by ELF segments, by the header's own addresses, and its information structure.
 */
#include "image_rig.h"

#define CODE_AT 0x1000u
#define CODE_LEN 0x400u
#define MAGIC 0x1badb002u
#define WANTS_MEMORY 3u
#define HAS_ADDRESSES 0x10000u

static int setup(void **state)
{
	*state = fixture_new(64 * MIB);
	return 0;
}

static void put_header(struct image *image, size_t at, uint32_t flags)
{
	const uint32_t header[3] = { MAGIC, flags, -(MAGIC + flags) };

	image_put(image, at, header, sizeof(header));
}

static void fill_code(struct image *image, size_t at)
{
	for (size_t i = 0; i < CODE_LEN; i++)
		image->bytes[at + i] = (uint8_t)(i * 11 + 1);
	if (image->len < at + CODE_LEN)
		image->len = at + CODE_LEN;
}

/* As GNU ld makes them: ELF32, code at 1 MiB with the header first. */
static void make_elf_kernel(struct image *image, uint32_t flags)
{
	const Elf64_Phdr segment = { .p_type = PT_LOAD, .p_offset = CODE_AT, .p_vaddr = 0xc0100000,
				     .p_paddr = 1 * MIB, .p_filesz = CODE_LEN,
				     .p_memsz = CODE_LEN + 0x1000 };

	make_elf(image, false, 1 * MIB + 0x20, &segment, 1);
	fill_code(image, CODE_AT);
	put_header(image, CODE_AT, flags);
}

static void elf_kernel_is_loaded_by_its_segments(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;

	make_elf_kernel(&f->image, WANTS_MEMORY);
	assert_int_equal(rig_boot_image(rig, &f->image), 0);
	assert_string_equal(rig->state.summary.format, "Multiboot");
	assert_guest_bytes(rig, 1 * MIB, f->image.bytes + CODE_AT, CODE_LEN);
	assert_int_equal(rig->state.summary.kernel_end, 1 * MIB + CODE_LEN + 0x1000);
	assert_int_equal(rig->regs->mode, CPU_MODE_32);
	assert_int_equal(rig->regs->rax, 0x2badb002);
	assert_int_equal(rig->regs->rbx, BOOT_INFO);
	assert_int_equal(rig->regs->rip, 1 * MIB + 0x20);
	assert_gdt(rig);
}

static void higher_half_entry_is_translated(void **state)
{
	struct fixture *f = *state;

	make_elf_kernel(&f->image, WANTS_MEMORY);
	((Elf32_Ehdr *)f->image.bytes)->e_entry = 0xc0100020;
	assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
	assert_int_equal(f->rig.regs->rip, 1 * MIB + 0x20);
}

static uint32_t info_word(struct rig *rig, unsigned offset)
{
	return get_le32(guest(rig, BOOT_INFO + offset, 4));
}

/* Multiboot Specification 0.6.96 §3.3: offsets as in its table. */
static void information_says_what_the_kernel_needs(void **state)
{
	static const char initrd[] = "a module";
	struct fixture *f = *state;
	struct rig *rig = &f->rig;
	struct boot_e820_entry map[MEMMAP_MAX];
	unsigned count = memmap_build(&rig->mem, map);
	char cmdline[128];
	uint32_t module, at;

	make_elf_kernel(&f->image, WANTS_MEMORY);
	rig_set_initrd(rig, initrd, sizeof(initrd));
	rig->options.cmdline = "one two";
	assert_int_equal(rig_boot_image(rig, &f->image), 0);

	assert_int_equal(info_word(rig, 0), 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9);
	assert_int_equal(info_word(rig, 4), 639);
	assert_int_equal(info_word(rig, 8), 63 * 1024);
	snprintf(cmdline, sizeof(cmdline), "%s one two", rig->kernel_path);
	assert_string_equal(guest(rig, info_word(rig, 16), strlen(cmdline) + 1), cmdline);

	assert_int_equal(info_word(rig, 20), 1);
	module = info_word(rig, 24);
	assert_int_equal(get_le32(guest(rig, module, 4)), 1 * MIB + 0x2000);
	assert_int_equal(get_le32(guest(rig, module + 4, 4)), 1 * MIB + 0x2000 + sizeof(initrd));
	assert_guest_bytes(rig, 1 * MIB + 0x2000, initrd, sizeof(initrd));
	assert_string_equal(guest(rig, get_le32(guest(rig, module + 8, 4)), 32), rig->initrd_path);
	assert_int_equal(get_le32(guest(rig, module + 12, 4)), 0);

	assert_int_equal(info_word(rig, 44), count * 24);
	at = info_word(rig, 48);
	for (unsigned i = 0; i < count; i++, at += 24) {
		assert_int_equal(get_le32(guest(rig, at, 4)), 20);
		assert_int_equal(get_le64(guest(rig, at + 4, 8)), map[i].addr);
		assert_int_equal(get_le64(guest(rig, at + 12, 8)), map[i].size);
		assert_int_equal(get_le32(guest(rig, at + 20, 4)), map[i].type);
	}
	assert_string_equal(guest(rig, info_word(rig, 64), 8), "Kinglet");
}

/* Without --append its command line is only its name; Linux's default words are not added. */
static void kernel_is_no_linux(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;

	make_elf_kernel(&f->image, WANTS_MEMORY);
	assert_int_equal(rig_boot_image(rig, &f->image), 0);
	assert_string_equal(guest(rig, info_word(rig, 16), 64), rig->kernel_path);
	assert_false(arch_kernel_may_be_linux(rig->kernel_path));

	memset(&f->image, 0, sizeof(f->image));
	f->image.len = 0x3000;
	rig_set_kernel(rig, f->image.bytes, f->image.len);
	assert_true(arch_kernel_may_be_linux(rig->kernel_path));
	assert_true(arch_kernel_may_be_linux("/nonexistent/kernel"));
	assert_true(arch_kernel_may_be_linux("/"));
}

static void information_without_module(void **state)
{
	struct fixture *f = *state;

	make_elf_kernel(&f->image, WANTS_MEMORY);
	assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
	assert_int_equal(info_word(&f->rig, 20), 0);
}

/* Xen 4.17 reads this to place its trampoline, whatever the information says. */
/* §3.3: each has a string of its own; QEMU and GRUB put the file's name first. */
static void modules_follow_the_initrd(void **state)
{
	static const char initrd[5000] = "an initrd";
	struct fixture *f = *state;
	struct rig *rig = &f->rig;
	uint32_t modules, start = 1 * MIB + 0x2000;
	char string[128];

	make_elf_kernel(&f->image, WANTS_MEMORY);
	rig_set_initrd(rig, initrd, sizeof(initrd));
	rig->options.modules[0] = (struct boot_module){ rig->initrd_path, "console=hvc0 a,b" };
	rig->options.modules[1] = (struct boot_module){ rig->initrd_path, NULL };
	rig->options.module_count = 2;
	assert_int_equal(rig_boot_image(rig, &f->image), 0);
	assert_int_equal(rig->state.summary.initrd_start, start);
	assert_int_equal(info_word(rig, 20), 3);
	modules = info_word(rig, 24);
	for (unsigned i = 0; i < 3; i++, start += 0x2000) {
		const uint32_t *module = guest(rig, modules + i * 16, 16);

		snprintf(string, sizeof(string), i == 1 ? "%s console=hvc0 a,b" : "%s",
			 rig->initrd_path);
		assert_int_equal(module[0], start);
		assert_int_equal(module[1], start + sizeof(initrd));
		assert_string_equal(guest(rig, module[2], 64), string);
		assert_guest_bytes(rig, start, initrd, sizeof(initrd));
	}

	rig->options.initrd = NULL;
	assert_int_equal(rig_boot(rig), 0);
	assert_int_equal(info_word(rig, 20), 2);
	assert_int_equal(rig->state.summary.initrd_start, 0);
}

static void as_many_modules_as_can_be_named(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;

	make_elf_kernel(&f->image, WANTS_MEMORY);
	rig_set_initrd(rig, "x", 1);
	for (unsigned i = 0; i < BOOT_MODULES_MAX; i++)
		rig->options.modules[i] = (struct boot_module){ rig->initrd_path, NULL };
	rig->options.module_count = BOOT_MODULES_MAX;
	assert_int_equal(rig_boot_image(rig, &f->image), 0);
	assert_int_equal(info_word(rig, 20), 1 + BOOT_MODULES_MAX);
	rig->options.modules[3].path = "/nonexistent/module";
	assert_int_equal(rig_boot(rig), -ENOENT);
	assert_non_null(strstr(rig->said, "module /nonexistent/module"));
}

static void only_multiboot_has_modules(void **state)
{
	struct fixture *f = *state;

	f->rig.options.format = BOOT_FORMAT_FLAT;
	f->rig.options.flat_mode = CPU_MODE_32;
	f->rig.options.flat_address = 1 * MIB;
	f->rig.options.modules[0].path = "/dev/null";
	f->rig.options.module_count = 1;
	f->image.len = 16;
	assert_refused(&f->rig, &f->image, -ENOEXEC, "flat takes no modules");
}

static void bios_data_says_where_low_memory_ends(void **state)
{
	struct fixture *f = *state;

	make_elf_kernel(&f->image, WANTS_MEMORY);
	assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
	assert_int_equal(get_le16(guest(&f->rig, 0x40e, 2)), 0x9fc0);
	assert_int_equal(get_le16(guest(&f->rig, 0x413, 2)), 639);
	assert_int_equal(*(uint8_t *)guest(&f->rig, 0x9fc00, 1), 1);
}

static void header_lies_anywhere_in_8_kib(void **state)
{
	static const size_t good[] = { 0x100, 0x1ffc - 8 }, bad[] = { 0x102, 0x1ff8, 0x2000 };
	struct fixture *f = *state;
	const Elf64_Phdr segment = { .p_type = PT_LOAD, .p_paddr = 1 * MIB, .p_vaddr = 1 * MIB,
				     .p_filesz = 0x3000, .p_memsz = 0x3000 };

	for (size_t i = 0; i < ARRAY_SIZE(good) + ARRAY_SIZE(bad); i++) {
		bool is_good = i < ARRAY_SIZE(good);

		make_elf(&f->image, false, 1 * MIB, &segment, 1);
		put_header(&f->image, is_good ? good[i] : bad[i - ARRAY_SIZE(good)], 0);
		f->image.len = 0x3000;
		if (is_good)
			assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
		else
			assert_refused(&f->rig, &f->image, -ENOEXEC, "neither");
	}
}

static void wrong_checksum_is_no_header(void **state)
{
	struct fixture *f = *state;

	make_elf_kernel(&f->image, WANTS_MEMORY);
	f->image.bytes[CODE_AT + 8]++;
	assert_refused(&f->rig, &f->image, -ENOEXEC, "neither");
}

/* §3.1.2: bits 0 to 15 are demands; a loader that does not support one must fail. */
static void unknown_demands_are_refused(void **state)
{
	struct fixture *f = *state;

	for (unsigned bit = 2; bit < 16; bit++) {
		make_elf_kernel(&f->image, 1u << bit);
		assert_refused(&f->rig, &f->image, -ENOEXEC, "demands");
	}
	make_elf_kernel(&f->image, 1u << 17); /* a request: ignored */
	assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
}

/* --- Kernels that are no ELF: §3.1.3 --------------------------------------------------------- */

struct addresses {
	uint32_t header, load, load_end, bss_end, entry;
};

static const struct addresses usual = {
	.header = 0x100040, .load = 0x100000, .load_end = 0x100200, .bss_end = 0x100800,
	.entry = 0x100060,
};

/* The image starts 0x20 into the file. */
static void make_raw_kernel(struct image *image, const struct addresses *addresses)
{
	memset(image, 0, sizeof(*image));
	fill_code(image, 0x20);
	put_header(image, 0x60, WANTS_MEMORY | HAS_ADDRESSES);
	image_put(image, 0x60 + 12, addresses, sizeof(*addresses));
}

static void raw_kernel_is_loaded_by_its_addresses(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;

	make_raw_kernel(&f->image, &usual);
	assert_int_equal(rig_boot_image(rig, &f->image), 0);
	assert_guest_bytes(rig, 0x100000, f->image.bytes + 0x20, 0x200);
	assert_int_equal(*(uint8_t *)guest(rig, 0x100200, 1), 0);
	assert_int_equal(rig->state.summary.kernel_start, 0x100000);
	assert_int_equal(rig->state.summary.kernel_end, 0x100800);
	assert_int_equal(rig->regs->rip, 0x100060);
}

static void raw_kernel_may_leave_its_ends_open(void **state)
{
	struct fixture *f = *state;
	struct addresses a = usual;

	a.load_end = a.bss_end = 0;
	make_raw_kernel(&f->image, &a);
	assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
	assert_guest_bytes(&f->rig, 0x100000, f->image.bytes + 0x20, CODE_LEN);
	assert_int_equal(f->rig.state.summary.kernel_end, 0x100000 + CODE_LEN);
}

static void damaged_addresses_are_refused(void **state)
{
	static const struct {
		struct addresses addresses;
		int err;
		const char *why;
	} cases[] = {
		/* header before the load address, or further after it than in the file */
		{ { 0xfffff, 0x100000, 0x100200, 0, 0x100000 }, -ENOEXEC, "damaged" },
		{ { 0x100064, 0x100000, 0x100200, 0, 0x100000 }, -ENOEXEC, "damaged" },
		{ { 0xffffffff, 0, 0x100200, 0, 0x100000 }, -ENOEXEC, "damaged" },
		/* ends before starts */
		{ { 0x100040, 0x100000, 0x100000, 0, 0x100000 }, -ENOEXEC, "damaged" },
		{ { 0x100040, 0x100000, 0x1000, 0, 0x100000 }, -ENOEXEC, "damaged" },
		{ { 0x100040, 0x100000, 0x100200, 0x1001ff, 0x100000 }, -ENOEXEC, "damaged" },
		/* entry outside */
		{ { 0x100040, 0x100000, 0x100200, 0x100800, 0x100800 }, -ENOEXEC, "damaged" },
		{ { 0x100040, 0x100000, 0x100200, 0x100800, 0xfffff }, -ENOEXEC, "damaged" },
		/* more than the file has */
		{ { 0x100040, 0x100000, 0x100401, 0, 0x100000 }, -ENOEXEC, "truncated" },
		/* not RAM */
		{ { 0x100040, 0x100000, 0x100200, 0x4000001, 0x100000 }, -E2BIG, "needs RAM" },
		{ { 0xfffff040, 0xfffff000, 0xfffff200, 0, 0xfffff000 }, -E2BIG, "needs RAM" },
		{ { 0x80040, 0x80000, 0x80200, 0, 0x80000 }, -ENOEXEC, "boot tables" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		make_raw_kernel(&f->image, &cases[i].addresses);
		assert_refused(&f->rig, &f->image, cases[i].err, cases[i].why);
	}
}

static void raw_kernel_without_addresses_is_refused(void **state)
{
	struct fixture *f = *state;

	make_raw_kernel(&f->image, &usual);
	put_header(&f->image, 0x60, WANTS_MEMORY);
	assert_refused(&f->rig, &f->image, -ENOEXEC, "no ELF");
}

static void truncated_raw_kernels_are_refused(void **state)
{
	struct fixture *f = *state;

	make_raw_kernel(&f->image, &usual);
	for (size_t len = 1; len < 0x220; len++) {
		f->image.len = len;
		assert_int_equal(rig_boot_image(&f->rig, &f->image), -ENOEXEC);
	}
	f->image.len = 0x220;
	assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
}

static void strings_that_do_not_fit_are_refused(void **state)
{
	static char cmdline[BOOT_STRINGS_LEN];
	struct fixture *f = *state;
	struct rig *rig = &f->rig;
	size_t room;

	make_elf_kernel(&f->image, WANTS_MEMORY);
	rig_set_kernel(rig, f->image.bytes, f->image.len);
	/* The kernel's path, a space, the rest, its NUL. */
	room = BOOT_STRINGS_LEN - strlen(rig->kernel_path) - 2;
	memset(cmdline, 'x', room);
	rig->options.cmdline = cmdline;
	assert_int_equal(rig_boot(rig), 0);
	/* Nothing is left for the module's string. */
	rig_set_initrd(rig, "initrd", 6);
	assert_int_equal(rig_boot(rig), -E2BIG);
	rig->options.initrd = NULL;
	cmdline[room] = 'x';
	assert_int_equal(rig_boot(rig), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(elf_kernel_is_loaded_by_its_segments),
		T(higher_half_entry_is_translated),
		T(information_says_what_the_kernel_needs),
		T(kernel_is_no_linux),
		T(information_without_module),
		T(modules_follow_the_initrd),
		T(as_many_modules_as_can_be_named),
		T(only_multiboot_has_modules),
		T(bios_data_says_where_low_memory_ends),
		T(header_lies_anywhere_in_8_kib),
		T(wrong_checksum_is_no_header),
		T(unknown_demands_are_refused),
		T(raw_kernel_is_loaded_by_its_addresses),
		T(raw_kernel_may_leave_its_ends_open),
		T(damaged_addresses_are_refused),
		T(raw_kernel_without_addresses_is_refused),
		T(truncated_raw_kernels_are_refused),
		T(strings_that_do_not_fit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
