/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF images: PVH, the choice of the entry protocol, and damaged files.
 */
#include "image_rig.h"

#define CODE_AT 0x1000
#define CODE_LEN 0x300
#define NOTES_AT 0x2000
#define ENTRY (1 * MIB + 0x40)

/* Written from the layout in Xen's public headers, independently of the code under test. */
struct hvm_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modlist_paddr, cmdline_paddr, rsdp_paddr, memmap_paddr;
	uint32_t memmap_entries, reserved;
};
struct hvm_modlist_entry {
	uint64_t paddr, size, cmdline_paddr, reserved;
};
struct hvm_memmap_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
};

static int setup(void **state)
{
	*state = fixture_new(64 * MIB);
	return 0;
}

static size_t put_note(struct image *image, size_t at, const char *owner, uint32_t type,
		       const void *desc, uint32_t len, size_t align)
{
	Elf64_Nhdr note = { .n_namesz = (uint32_t)strlen(owner) + 1, .n_descsz = len,
			    .n_type = type };

	image_put(image, at, &note, sizeof(note));
	at += sizeof(note);
	image_put(image, at, owner, note.n_namesz);
	at = align_up(at + note.n_namesz, align);
	image_put(image, at, desc, len);
	return align_up(at + len, align);
}

/* A code segment at 1 MiB with 4 KiB of bss, and a note segment as in Linux. */
static void make_pvh(struct image *image, bool is_64bit, size_t note_align, uint32_t desc_len)
{
	Elf64_Phdr segments[] = {
		{ .p_type = PT_LOAD, .p_offset = CODE_AT, .p_vaddr = 1 * MIB, .p_paddr = 1 * MIB,
		  .p_filesz = CODE_LEN, .p_memsz = CODE_LEN + 4096 },
		{ .p_type = PT_NOTE, .p_offset = NOTES_AT, .p_align = note_align },
	};
	uint64_t entry = ENTRY;
	size_t end;

	make_elf(image, is_64bit, 1 * MIB, segments, ARRAY_SIZE(segments));
	for (size_t i = 0; i < CODE_LEN; i++)
		image->bytes[CODE_AT + i] = (uint8_t)(i * 3 + 1);
	end = put_note(image, NOTES_AT, "Linux", 0x100, "salt", 5, note_align);
	end = put_note(image, end, "Xenon", 18, "12345678", 8, note_align);
	end = put_note(image, end, "Xen", 6, "linux", 6, note_align);
	end = put_note(image, end, "Xen", 18, &entry, desc_len, note_align);
	segments[1].p_filesz = segments[1].p_memsz = end - NOTES_AT;
	{
		struct image headers;

		make_elf(&headers, is_64bit, 1 * MIB, segments, ARRAY_SIZE(segments));
		image_put(image, 0, headers.bytes, headers.len);
	}
	image->len = end;
}

static Elf64_Ehdr *header_of(struct image *image)
{
	return (Elf64_Ehdr *)image->bytes;
}

static Elf64_Phdr *segment_of(struct image *image, unsigned index)
{
	return (Elf64_Phdr *)(image->bytes + sizeof(Elf64_Ehdr)) + index;
}

static void assert_pvh_booted(struct fixture *f)
{
	struct rig *rig = &f->rig;

	assert_string_equal(rig->state.summary.format, "PVH");
	assert_guest_bytes(rig, 1 * MIB, f->image.bytes + CODE_AT, CODE_LEN);
	assert_int_equal(rig->state.summary.kernel_start, 1 * MIB);
	assert_int_equal(rig->state.summary.kernel_end, 1 * MIB + CODE_LEN + 4096);
	assert_int_equal(rig->state.summary.entry, ENTRY);
	assert_int_equal(rig->regs->mode, CPU_MODE_32);
	assert_int_equal(rig->regs->rip, ENTRY);
	assert_int_equal(rig->regs->rbx, BOOT_INFO);
	assert_gdt(rig);
}

static void pvh_note_is_found_in_either_class_and_form(void **state)
{
	struct fixture *f = *state;

	for (unsigned is_64bit = 0; is_64bit < 2; is_64bit++) {
		for (size_t align = 4; align <= 8; align *= 2) {
			for (uint32_t len = 4; len <= 8; len *= 2) {
				make_pvh(&f->image, is_64bit, align, len);
				assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
				assert_pvh_booted(f);
			}
		}
	}
}

static void start_info_says_what_the_kernel_needs(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;
	const struct hvm_start_info *info;
	const struct hvm_modlist_entry *module;
	const struct hvm_memmap_entry *memmap;
	struct boot_e820_entry map[MEMMAP_MAX];
	unsigned count = memmap_build(&rig->mem, map);

	make_pvh(&f->image, true, 4, 8);
	rig->options.cmdline = "console=ttyS0";
	rig->options.firmware_tables = true;
	rig_set_initrd(rig, "initrd", 7);
	assert_int_equal(rig_boot_image(rig, &f->image), 0);

	info = guest(rig, BOOT_INFO, sizeof(*info));
	assert_int_equal(info->magic, 0x336ec578);
	assert_int_equal(info->version, 1);
	assert_int_equal(info->flags, 0);
	assert_string_equal(guest(rig, info->cmdline_paddr, 14), "console=ttyS0");
	assert_guest_bytes(rig, info->rsdp_paddr, "RSD PTR ", 8);
	assert_int_equal(info->nr_modules, 1);
	module = guest(rig, info->modlist_paddr, sizeof(*module));
	assert_int_equal(module->paddr, 64 * MIB - 4096);
	assert_int_equal(module->size, 7);
	assert_guest_bytes(rig, module->paddr, "initrd", 7);
	assert_int_equal(info->memmap_entries, count);
	memmap = guest(rig, info->memmap_paddr, count * sizeof(*memmap));
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(memmap[i].addr, map[i].addr);
		assert_int_equal(memmap[i].size, map[i].size);
		assert_int_equal(memmap[i].type, map[i].type);
		assert_int_equal(memmap[i].reserved, 0);
	}
}

static void start_info_without_initrd_and_tables(void **state)
{
	struct fixture *f = *state;
	const struct hvm_start_info *info;

	make_pvh(&f->image, true, 4, 8);
	assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
	info = guest(&f->rig, BOOT_INFO, sizeof(*info));
	assert_int_equal(info->nr_modules, 0);
	assert_int_equal(info->rsdp_paddr, 0);
	assert_string_equal(guest(&f->rig, info->cmdline_paddr, 1), "");
}

static void put_multiboot_header(struct image *image, size_t at)
{
	const uint32_t header[3] = { 0x1badb002, 3, -(0x1badb002 + 3) };

	image_put(image, at, header, sizeof(header));
}

/* PVH before Multiboot before 64-bit Linux; 32 bits with none of them cannot be entered. */
static void the_image_declares_its_entry(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;

	make_pvh(&f->image, true, 4, 8);
	put_multiboot_header(&f->image, CODE_AT);
	assert_int_equal(rig_boot_image(rig, &f->image), 0);
	assert_string_equal(rig->state.summary.format, "PVH");

	memset(f->image.bytes + NOTES_AT, 0, 256);
	assert_int_equal(rig_boot_image(rig, &f->image), 0);
	assert_string_equal(rig->state.summary.format, "Multiboot");

	memset(f->image.bytes + CODE_AT, 0, 12);
	assert_int_equal(rig_boot_image(rig, &f->image), 0);
	assert_string_equal(rig->state.summary.format, "ELF64 vmlinux");

	make_pvh(&f->image, false, 4, 4);
	memset(f->image.bytes + NOTES_AT, 0, 256);
	assert_refused(rig, &f->image, -ENOEXEC, "ELF32 with neither");
}

static void notes_that_are_no_pvh_entry_are_passed_over(void **state)
{
	static const uint32_t lengths[] = { 0, 1, 3, 5, 7, 9, 16, UINT32_MAX };
	struct fixture *f = *state;
	Elf64_Nhdr *note;

	make_pvh(&f->image, true, 4, 8);
	note = (Elf64_Nhdr *)(f->image.bytes + f->image.len - 8 - 4 - sizeof(*note));
	assert_int_equal(note->n_type, 18);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		note->n_descsz = lengths[i];
		assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
		assert_string_equal(f->rig.state.summary.format, "ELF64 vmlinux");
	}
	note->n_descsz = 8;
	segment_of(&f->image, 1)->p_filesz -= 4;
	assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
	assert_string_equal(f->rig.state.summary.format, "ELF64 vmlinux");
	segment_of(&f->image, 1)->p_filesz += 4;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		note->n_namesz = lengths[i];
		assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
		assert_string_equal(f->rig.state.summary.format, "ELF64 vmlinux");
	}
}

static void pvh_entry_outside_the_image_is_refused(void **state)
{
	static const uint64_t entries[] = { 0, 1 * MIB - 1, 1 * MIB + CODE_LEN + 4096, 64 * MIB,
					    UINT64_MAX };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(entries); i++) {
		make_pvh(&f->image, true, 4, 8);
		memcpy(f->image.bytes + f->image.len - 8, &entries[i], 8);
		assert_refused(&f->rig, &f->image, -ENOEXEC, "in no segment");
	}
}

static void foreign_elf_files_are_refused(void **state)
{
	struct fixture *f = *state;
	struct image *image = &f->image;

	make_pvh(image, true, 4, 8);
	header_of(image)->e_machine = EM_AARCH64;
	assert_refused(&f->rig, image, -ENOEXEC, "another machine");
	make_pvh(image, true, 4, 8);
	header_of(image)->e_machine = EM_386; /* 64-bit i386 does not exist */
	assert_refused(&f->rig, image, -ENOEXEC, "another machine");
	make_pvh(image, true, 4, 8);
	image->bytes[EI_DATA] = ELFDATA2MSB;
	assert_refused(&f->rig, image, -ENOEXEC, "another machine");
	make_pvh(image, false, 4, 8);
	((Elf32_Ehdr *)image->bytes)->e_machine = EM_X86_64; /* x32 */
	assert_refused(&f->rig, image, -ENOEXEC, "another machine");
	make_pvh(image, true, 4, 8);
	header_of(image)->e_type = ET_REL;
	assert_refused(&f->rig, image, -ENOEXEC, "no executable");
	make_pvh(image, true, 4, 8);
	header_of(image)->e_phnum = 0;
	assert_refused(&f->rig, image, -ENOEXEC, "without program headers");
	make_pvh(image, true, 4, 8);
	header_of(image)->e_phentsize = 32;
	assert_refused(&f->rig, image, -ENOEXEC, "without program headers");
	make_pvh(image, true, 4, 8);
	header_of(image)->e_phnum = UINT16_MAX;
	assert_refused(&f->rig, image, -ENOEXEC, "65535 program headers");
	make_pvh(image, true, 4, 8);
	segment_of(image, 0)->p_type = PT_NULL;
	assert_refused(&f->rig, image, -ENOEXEC, "without a segment");
}

static void damaged_program_headers_are_refused(void **state)
{
	static const uint64_t offsets[] = { 0x10000000, INT64_MAX, UINT64_MAX - 10 };
	struct fixture *f = *state;
	struct image *image = &f->image;

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		make_pvh(image, true, 4, 8);
		header_of(image)->e_phoff = offsets[i];
		assert_refused(&f->rig, image, -ENOEXEC, "truncated");
		make_pvh(image, true, 4, 8);
		segment_of(image, 0)->p_offset = offsets[i];
		assert_refused(&f->rig, image, -ENOEXEC, "truncated");
		make_pvh(image, true, 4, 8);
		segment_of(image, 1)->p_offset = offsets[i];
		assert_refused(&f->rig, image, -ENOEXEC, "truncated");
	}
	make_pvh(image, true, 4, 8);
	segment_of(image, 0)->p_memsz = segment_of(image, 0)->p_filesz - 1;
	assert_refused(&f->rig, image, -ENOEXEC, "damaged");
	make_pvh(image, true, 4, 8);
	segment_of(image, 0)->p_paddr = UINT64_MAX - 16;
	assert_refused(&f->rig, image, -ENOEXEC, "damaged");
	make_pvh(image, true, 4, 8);
	segment_of(image, 0)->p_vaddr = UINT64_MAX - 16;
	assert_refused(&f->rig, image, -ENOEXEC, "damaged");
}

static void segments_outside_ram_are_refused(void **state)
{
	struct fixture *f = *state;
	struct image *image = &f->image;
	static const uint64_t addresses[] = { 64 * MIB, 0xfee00000, 1ULL << 32, 1ULL << 62 };

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		make_pvh(image, true, 4, 8);
		segment_of(image, 0)->p_paddr = addresses[i];
		assert_refused(&f->rig, image, -E2BIG, "needs RAM at");
	}
	make_pvh(image, true, 4, 8);
	segment_of(image, 0)->p_memsz = 63 * MIB;
	assert_int_equal(rig_boot_image(&f->rig, image), 0);
	segment_of(image, 0)->p_memsz = 63 * MIB + 1;
	assert_refused(&f->rig, image, -E2BIG, "needs RAM at");
}

static void segments_over_kinglets_own_tables_are_refused(void **state)
{
	struct fixture *f = *state;
	struct image *image = &f->image;
	static const uint64_t addresses[] = { BOOT_AREA - CODE_LEN - 4095, BOOT_INFO,
					      BOOT_AREA_END - 1 };

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		make_pvh(image, true, 4, 8);
		segment_of(image, 0)->p_paddr = addresses[i];
		assert_refused(&f->rig, image, -ENOEXEC, "boot tables");
	}
	segment_of(image, 0)->p_paddr = ACPI_AREA_END - 1;
	f->rig.options.firmware_tables = true;
	assert_refused(&f->rig, image, -ENOEXEC, "ACPI tables");
}

static void every_truncation_is_refused(void **state)
{
	struct fixture *f = *state;

	make_pvh(&f->image, true, 4, 8);
	for (size_t len = 1; len < f->image.len; len += len < 0x100 ? 1 : 61) {
		struct image shorter = f->image;

		shorter.len = len;
		assert_int_equal(rig_boot_image(&f->rig, &shorter), -ENOEXEC);
	}
}

/* Any byte of the headers changed: booted or refused, never more than one line, never a crash. */
static void any_byte_may_be_wrong(void **state)
{
	struct fixture *f = *state;

	for (unsigned is_64bit = 0; is_64bit < 2; is_64bit++) {
		make_pvh(&f->image, is_64bit, 4, 8);
		for (size_t at = 0; at < f->image.len; at == 0x100 ? at = NOTES_AT : at++) {
			uint8_t right = f->image.bytes[at];

			f->image.bytes[at] = 0xff;
			rig_boot_image(&f->rig, &f->image);
			f->image.bytes[at] = 0;
			rig_boot_image(&f->rig, &f->image);
			f->image.bytes[at] = right;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(pvh_note_is_found_in_either_class_and_form),
		T(start_info_says_what_the_kernel_needs),
		T(start_info_without_initrd_and_tables),
		T(the_image_declares_its_entry),
		T(notes_that_are_no_pvh_entry_are_passed_over),
		T(pvh_entry_outside_the_image_is_refused),
		T(foreign_elf_files_are_refused),
		T(damaged_program_headers_are_refused),
		T(segments_outside_ram_are_refused),
		T(segments_over_kinglets_own_tables_are_refused),
		T(every_truncation_is_refused),
		T(any_byte_may_be_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
