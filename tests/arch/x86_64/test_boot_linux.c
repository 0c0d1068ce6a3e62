/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux by its 64-bit and 32-bit entries: bzImage and ELF64 vmlinux.
 */
#include "image_rig.h"
#include "fake_sys.h"

#define SETUP_SECTORS 3u
#define SETUP_LEN ((SETUP_SECTORS + 1) * 512u)
#define PAYLOAD_LEN 0x2000u

static struct setup_header *header_of(struct image *image)
{
	return (struct setup_header *)(image->bytes + 0x1f1);
}

/* Like Linux's own: relocatable, prefers 16 MiB, needs 4 MiB to decompress. */
static void make_bzimage(struct image *image)
{
	struct setup_header *h = header_of(image);

	memset(image, 0, sizeof(*image));
	h->setup_sects = SETUP_SECTORS;
	h->syssize = PAYLOAD_LEN / 16;
	h->boot_flag = 0xaa55;
	h->jump = 0x66eb; /* jmp over the header, as long as 2.15's */
	memcpy(&h->header, "HdrS", 4);
	h->version = 0x020f;
	h->loadflags = LOADED_HIGH;
	h->xloadflags = XLF_KERNEL_64;
	h->relocatable_kernel = 1;
	h->kernel_alignment = 2 * MIB;
	h->pref_address = 16 * MIB;
	h->init_size = 4 * MIB;
	h->initrd_addr_max = 0x7fffffff;
	h->cmdline_size = 2047;
	h->setup_data = 0x123456; /* the file's list must not be followed */
	for (size_t i = 0; i < PAYLOAD_LEN; i++)
		image->bytes[SETUP_LEN + i] = (uint8_t)(i * 7 + 1);
	image->len = SETUP_LEN + PAYLOAD_LEN;
}

static int setup(void **state)
{
	struct fixture *f = fixture_new(64 * MIB);

	make_bzimage(&f->image);
	*state = f;
	return 0;
}

static void bzimage_is_loaded_where_it_prefers(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;

	assert_int_equal(rig_boot_image(rig, &f->image), 0);
	assert_string_equal(rig->state.summary.format, "bzImage");
	assert_guest_bytes(rig, 16 * MIB, f->image.bytes + SETUP_LEN, PAYLOAD_LEN);
	assert_int_equal(rig->state.summary.kernel_start, 16 * MIB);
	assert_int_equal(rig->state.summary.kernel_end, 20 * MIB);
	assert_int_equal(rig->state.summary.entry, 16 * MIB + 0x200);
	assert_int_equal(rig->regs->mode, CPU_MODE_64);
	assert_int_equal(rig->regs->rip, 16 * MIB + 0x200);
	assert_int_equal(rig->regs->rsi, BOOT_INFO);
	assert_gdt(rig);
	assert_identity_mapped(rig);
}

static void zero_page_says_what_the_kernel_needs(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;
	const struct boot_params *params;
	struct boot_e820_entry map[MEMMAP_MAX];
	unsigned count = memmap_build(&rig->mem, map);

	rig->options.cmdline = "console=ttyS0 quiet";
	assert_int_equal(rig_boot_image(rig, &f->image), 0);
	params = guest(rig, BOOT_INFO, sizeof(*params));
	assert_int_equal(params->hdr.version, 0x020f);
	assert_int_equal(params->hdr.init_size, 4 * MIB);
	assert_int_equal(params->hdr.type_of_loader, 0xff);
	assert_int_equal(params->hdr.setup_data, 0);
	assert_int_equal(params->sentinel, 0);
	assert_int_equal(params->acpi_rsdp_addr, 0);
	assert_int_equal(params->hdr.ramdisk_size, 0);
	assert_int_equal(params->e820_entries, count);
	assert_memory_equal(params->e820_table, map, count * sizeof(map[0]));
	assert_string_equal(guest(rig, params->hdr.cmd_line_ptr, 20), "console=ttyS0 quiet");
}

static void firmware_tables_are_named(void **state)
{
	struct fixture *f = *state;
	const struct boot_params *params;

	f->rig.options.firmware_tables = true;
	assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
	params = guest(&f->rig, BOOT_INFO, sizeof(*params));
	assert_in_range(params->acpi_rsdp_addr, ACPI_AREA_BASE, ACPI_AREA_END - 1);
	assert_guest_bytes(&f->rig, params->acpi_rsdp_addr, "RSD PTR ", 8);
}

/* boot.rst: "the end of setup header can be calculated" from the byte at 0x201. */
static void header_ends_where_the_file_says(void **state)
{
	struct fixture *f = *state;
	const struct boot_params *params;

	f->image.bytes[0x201] = 0x262 - 0x202; /* up to init_size's first half */
	memset(f->image.bytes + 0x262, 0xff, 8);
	header_of(&f->image)->cmdline_size = 100;
	assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
	params = guest(&f->rig, BOOT_INFO, sizeof(*params));
	assert_int_equal(params->hdr.init_size >> 16, 0);
	assert_int_equal(params->hdr.kernel_info_offset, 0);

	/* Longer than any header known today. */
	make_bzimage(&f->image);
	f->image.bytes[0x201] = 0xff;
	memset(f->image.bytes + 0x26c, 0xff, 0x400 - 0x26c);
	assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
	params = guest(&f->rig, BOOT_INFO, sizeof(*params));
	assert_int_equal(params->hdr.init_size, 4 * MIB);
	assert_int_equal(params->_pad7[0], 0);
}

static void zero_setup_sectors_mean_four(void **state)
{
	struct fixture *f = *state;

	header_of(&f->image)->setup_sects = 0;
	header_of(&f->image)->syssize = 0;
	assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
	assert_guest_bytes(&f->rig, 16 * MIB, f->image.bytes + 5 * 512, 64);
}

static void relocatable_kernel_is_aligned(void **state)
{
	struct fixture *f = *state;

	header_of(&f->image)->pref_address = 16 * MIB + 4096;
	assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
	assert_int_equal(f->rig.state.summary.kernel_start, 18 * MIB);
}

static void fixed_kernel_lies_at_1_mib_and_runs_where_it_prefers(void **state)
{
	struct fixture *f = *state;

	header_of(&f->image)->relocatable_kernel = 0;
	assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
	assert_guest_bytes(&f->rig, 1 * MIB, f->image.bytes + SETUP_LEN, PAYLOAD_LEN);
	assert_int_equal(f->rig.regs->rip, 1 * MIB + 0x200);
	assert_int_equal(f->rig.state.summary.kernel_start, 1 * MIB);
	assert_int_equal(f->rig.state.summary.kernel_end, 20 * MIB);
}

static void small_kernel_boots_in_8_mib(void **state)
{
	struct fixture *f = *state;
	struct rig rig;

	rig_init(&rig, 8 * MIB);
	header_of(&f->image)->pref_address = 2 * MIB;
	assert_int_equal(rig_boot_image(&rig, &f->image), 0);
	assert_int_equal(rig.state.summary.kernel_end, 6 * MIB);
	rig_destroy(&rig);
}

static void initrd_lies_as_high_as_it_may(void **state)
{
	static const char initrd[5000] = "initrd bytes";
	struct fixture *f = *state;
	struct rig *rig = &f->rig;
	const struct boot_params *params;

	rig_set_initrd(rig, initrd, sizeof(initrd));
	assert_int_equal(rig_boot_image(rig, &f->image), 0);
	assert_int_equal(rig->state.summary.initrd_start, 64 * MIB - 2 * 4096);
	assert_int_equal(rig->state.summary.initrd_len, sizeof(initrd));
	assert_guest_bytes(rig, rig->state.summary.initrd_start, initrd, sizeof(initrd));
	params = guest(rig, BOOT_INFO, sizeof(*params));
	assert_int_equal(params->hdr.ramdisk_image, rig->state.summary.initrd_start);
	assert_int_equal(params->hdr.ramdisk_size, sizeof(initrd));

	header_of(&f->image)->initrd_addr_max = 32 * MIB - 1;
	assert_int_equal(rig_boot_image(rig, &f->image), 0);
	assert_int_equal(rig->state.summary.initrd_start, 32 * MIB - 2 * 4096);
}

static void initrd_that_does_not_fit_is_refused(void **state)
{
	static const char initrd[3 * 4096];
	struct fixture *f = *state;
	struct rig *rig = &f->rig;

	rig_set_initrd(rig, initrd, sizeof(initrd));
	header_of(&f->image)->initrd_addr_max = 20 * MIB + 3 * 4096 - 1;
	assert_int_equal(rig_boot_image(rig, &f->image), 0);
	assert_int_equal(rig->state.summary.initrd_start, 20 * MIB);
	header_of(&f->image)->initrd_addr_max -= 1;
	assert_int_equal(rig_boot_image(rig, &f->image), -E2BIG);
	assert_non_null(strstr(rig->said, rig->initrd_path));
	header_of(&f->image)->initrd_addr_max = 0;
	assert_int_equal(rig_boot_image(rig, &f->image), -E2BIG);
}

static void bad_initrds_are_refused(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;
	unsigned before;

	rig_set_initrd(rig, "", 0);
	assert_int_equal(rig_boot_image(rig, &f->image), -ENOEXEC);
	assert_non_null(strstr(rig->said, "is empty"));
	before = fake_open_fds();
	rig->options.initrd = "/";
	assert_int_equal(rig_boot(rig), -ENOEXEC);
	assert_non_null(strstr(rig->said, "initrd /: is a directory"));
	rig->options.initrd = "/nonexistent/initrd";
	assert_int_equal(rig_boot(rig), -ENOENT);
	assert_int_equal(fake_open_fds(), before);
}

static void command_line_may_have_what_the_header_says(void **state)
{
	struct fixture *f = *state;

	header_of(&f->image)->cmdline_size = 5;
	f->rig.options.cmdline = "12345";
	assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
	f->rig.options.cmdline = "123456";
	assert_refused(&f->rig, &f->image, -E2BIG, "6 bytes, this kernel takes 5");
}

static void command_line_may_fill_the_boot_area(void **state)
{
	static char cmdline[BOOT_STRINGS_LEN + 1];
	struct fixture *f = *state;

	header_of(&f->image)->cmdline_size = UINT32_MAX;
	memset(cmdline, 'x', BOOT_STRINGS_LEN - 1);
	f->rig.options.cmdline = cmdline;
	assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
	cmdline[BOOT_STRINGS_LEN - 1] = 'x';
	assert_refused(&f->rig, &f->image, -E2BIG, "65536 bytes, this kernel takes 65535");
}

/* boot.rst, "32-bit boot protocol": entered where it is loaded, with the same zero page. */
static void kernel_without_64_bit_entry_gets_the_32_bit_one(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;
	const struct boot_params *params;

	header_of(&f->image)->xloadflags = 0;
	rig->options.cmdline = "quiet";
	assert_int_equal(rig_boot_image(rig, &f->image), 0);
	assert_int_equal(rig->regs->mode, CPU_MODE_32);
	assert_int_equal(rig->regs->rip, 16 * MIB);
	assert_int_equal(rig->regs->rsi, BOOT_INFO);
	assert_int_equal(rig->regs->rbx, 0);
	assert_gdt(rig);
	params = guest(rig, BOOT_INFO, sizeof(*params));
	assert_string_equal(guest(rig, params->hdr.cmd_line_ptr, 6), "quiet");
}

static void old_kernels_are_refused(void **state)
{
	struct fixture *f = *state;
	struct setup_header *h = header_of(&f->image);

	h->version = 0x020b;
	assert_refused(&f->rig, &f->image, -ENOEXEC, "boot protocol 2.11");
	h->version = 0x020c;
	h->loadflags = 0;
	assert_refused(&f->rig, &f->image, -ENOEXEC, "zImage");
}

/* As memtest86+ does: its last paragraph, counted as 16 bytes in syssize, is shorter. */
static void last_paragraph_may_be_short(void **state)
{
	struct fixture *f = *state;

	f->image.len -= 15;
	assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
	assert_guest_bytes(&f->rig, 16 * MIB, f->image.bytes + SETUP_LEN, PAYLOAD_LEN - 15);
	f->image.len -= 1;
	assert_refused(&f->rig, &f->image, -ENOEXEC, "truncated");
}

static void truncated_bzimages_are_refused(void **state)
{
	struct fixture *f = *state;
	size_t full = f->image.len - 15;

	for (size_t len = 1; len < full; len += len < 0x300 ? 1 : 97) {
		f->image.len = len;
		assert_int_equal(rig_boot_image(&f->rig, &f->image), -ENOEXEC);
	}
	/* A file that ends within its setup, whatever the header says about the rest. */
	header_of(&f->image)->syssize = 0;
	f->image.len = SETUP_LEN + 0x200;
	assert_refused(&f->rig, &f->image, -ENOEXEC, "truncated");
	f->image.len = SETUP_LEN + 0x201;
	assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
}

static void damaged_headers_are_refused(void **state)
{
	struct fixture *f = *state;
	struct setup_header *h = header_of(&f->image);
	static const uint32_t alignments[] = { 0, 3, UINT32_MAX };

	h->syssize = UINT32_MAX;
	assert_refused(&f->rig, &f->image, -ENOEXEC, "truncated");
	make_bzimage(&f->image);
	for (size_t i = 0; i < ARRAY_SIZE(alignments); i++) {
		h->kernel_alignment = alignments[i];
		assert_refused(&f->rig, &f->image, -ENOEXEC, "kernel_alignment");
	}
}

static void kernels_that_do_not_fit_are_refused(void **state)
{
	struct fixture *f = *state;
	struct setup_header *h = header_of(&f->image);
	static const uint64_t addresses[] = { 64 * MIB, 4096 * MIB, UINT64_MAX };

	h->init_size = 48 * MIB;
	assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
	h->init_size = 48 * MIB + 1;
	assert_refused(&f->rig, &f->image, -E2BIG,
		       "64 MiB below 4 GiB: give the guest more by --memory");
	h->init_size = UINT32_MAX;
	assert_refused(&f->rig, &f->image, -E2BIG, "there is 64 MiB");
	make_bzimage(&f->image);
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		h->pref_address = addresses[i];
		assert_refused(&f->rig, &f->image, -E2BIG,
			       "64 MiB of RAM: give the guest more by --memory");
	}
	h->pref_address = 16 * MIB;
	h->kernel_alignment = 1u << 31;
	assert_refused(&f->rig, &f->image, -E2BIG, "there is 64 MiB");
}

/* --- ELF64 vmlinux --------------------------------------------------------------------------- */

#define CODE_AT 0x1000

/* As Linux's: entry is physical, code linked high. */
static void make_vmlinux(struct image *image)
{
	const Elf64_Phdr segments[] = {
		{ .p_type = PT_LOAD, .p_offset = CODE_AT, .p_vaddr = 0xffffffff81000000,
		  .p_paddr = 16 * MIB, .p_filesz = 0x800, .p_memsz = 0x800 },
		{ .p_type = PT_LOAD, .p_offset = CODE_AT + 0x800, .p_vaddr = 0xffffffff81800000,
		  .p_paddr = 24 * MIB, .p_filesz = 0x100, .p_memsz = 2 * MIB },
		{ .p_type = PT_LOAD, .p_paddr = 25 * MIB },
	};

	make_elf(image, true, 16 * MIB, segments, ARRAY_SIZE(segments));
	for (size_t i = 0; i < 0x900; i++)
		image->bytes[CODE_AT + i] = (uint8_t)(i * 5 + 3);
	image->len = CODE_AT + 0x900;
}

static void vmlinux_is_loaded_by_its_segments(void **state)
{
	static const char initrd[] = "initrd";
	struct fixture *f = *state;
	struct rig *rig = &f->rig;
	const struct boot_params *params;

	make_vmlinux(&f->image);
	rig_set_initrd(rig, initrd, sizeof(initrd));
	rig->options.cmdline = "quiet";
	assert_int_equal(rig_boot_image(rig, &f->image), 0);
	assert_string_equal(rig->state.summary.format, "ELF64 vmlinux");
	assert_guest_bytes(rig, 16 * MIB, f->image.bytes + CODE_AT, 0x800);
	assert_guest_bytes(rig, 24 * MIB, f->image.bytes + CODE_AT + 0x800, 0x100);
	assert_int_equal(rig->state.summary.kernel_start, 16 * MIB);
	assert_int_equal(rig->state.summary.kernel_end, 26 * MIB);
	assert_int_equal(rig->regs->rip, 16 * MIB);
	assert_int_equal(rig->regs->rsi, BOOT_INFO);
	assert_gdt(rig);
	assert_identity_mapped(rig);
	params = guest(rig, BOOT_INFO, sizeof(*params));
	assert_memory_equal(&params->hdr.header, "HdrS", 4);
	assert_int_equal(params->hdr.ramdisk_image, 64 * MIB - 4096);
	assert_int_equal(params->hdr.ramdisk_size, sizeof(initrd));
	assert_string_equal(guest(rig, params->hdr.cmd_line_ptr, 6), "quiet");
}

/* A kernel below 1 MiB leaves room there, but between the tables. */
static void initrd_of_a_low_kernel_stays_above_1_mib(void **state)
{
	static const char initrd[1 * MIB + 1];
	const Elf64_Phdr segment = { .p_type = PT_LOAD, .p_offset = CODE_AT, .p_paddr = 64 * KIB,
				     .p_filesz = 4, .p_memsz = 64 * KIB };
	struct fixture *f = *state;
	struct rig *rig = &f->rig;

	make_elf(&f->image, true, 64 * KIB, &segment, 1);
	image_put(&f->image, CODE_AT, "code", 4);
	rig_destroy(rig);
	rig_init(rig, 2 * MIB);
	rig_set_initrd(rig, initrd, 1 * MIB);
	assert_int_equal(rig_boot_image(rig, &f->image), 0);
	assert_int_equal(rig->state.summary.kernel_end, 128 * KIB);
	assert_int_equal(rig->state.summary.initrd_start, 1 * MIB);
	rig_set_initrd(rig, initrd, sizeof(initrd));
	assert_int_equal(rig_boot_image(rig, &f->image), -E2BIG);
}

static void virtual_entry_is_translated(void **state)
{
	struct fixture *f = *state;

	make_vmlinux(&f->image);
	((Elf64_Ehdr *)f->image.bytes)->e_entry = 0xffffffff81000123;
	assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
	assert_int_equal(f->rig.regs->rip, 16 * MIB + 0x123);
}

static void vmlinux_command_line_is_limited(void **state)
{
	struct fixture *f = *state;
	char cmdline[2049];

	make_vmlinux(&f->image);
	memset(cmdline, 'x', sizeof(cmdline));
	cmdline[2047] = '\0';
	f->rig.options.cmdline = cmdline;
	assert_int_equal(rig_boot_image(&f->rig, &f->image), 0);
	cmdline[2047] = 'x';
	cmdline[2048] = '\0';
	assert_refused(&f->rig, &f->image, -E2BIG, "takes 2047");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(bzimage_is_loaded_where_it_prefers),
		T(zero_page_says_what_the_kernel_needs),
		T(firmware_tables_are_named),
		T(header_ends_where_the_file_says),
		T(zero_setup_sectors_mean_four),
		T(relocatable_kernel_is_aligned),
		T(fixed_kernel_lies_at_1_mib_and_runs_where_it_prefers),
		T(small_kernel_boots_in_8_mib),
		T(initrd_lies_as_high_as_it_may),
		T(initrd_that_does_not_fit_is_refused),
		T(bad_initrds_are_refused),
		T(command_line_may_have_what_the_header_says),
		T(command_line_may_fill_the_boot_area),
		T(kernel_without_64_bit_entry_gets_the_32_bit_one),
		T(old_kernels_are_refused),
		T(last_paragraph_may_be_short),
		T(truncated_bzimages_are_refused),
		T(damaged_headers_are_refused),
		T(kernels_that_do_not_fit_are_refused),
		T(vmlinux_is_loaded_by_its_segments),
		T(initrd_of_a_low_kernel_stays_above_1_mib),
		T(virtual_entry_is_translated),
		T(vmlinux_command_line_is_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
