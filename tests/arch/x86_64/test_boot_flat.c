/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flat binaries, and files that Kinglet cannot boot.
 */
#include "image_rig.h"
#include "fake_sys.h"

#include <sys/stat.h>

static int setup(void **state)
{
	struct fixture *f = fixture_new(2 * MIB);

	f->rig.options.format = BOOT_FORMAT_FLAT;
	memset(&f->image, 0xf4, sizeof(f->image));
	f->image.len = 1000;
	*state = f;
	return 0;
}

static int boot_at(struct fixture *f, enum cpu_mode mode, uint64_t address)
{
	f->rig.options.flat_mode = mode;
	f->rig.options.flat_address = address;
	return rig_boot_image(&f->rig, &f->image);
}

static void real_mode_entry_is_cs_and_ip(void **state)
{
	static const struct {
		uint64_t address, cs, ip;
	} cases[] = {
		{ 0, 0, 0 },	       { 0x7c00, 0, 0x7c00 }, { 0xffff, 0, 0xffff },
		{ 0x10000, 0x1000, 0 }, { 0x1234f, 0x1234, 0xf }, { 0x80000, 0x8000, 0 },
		{ 0xf0000, 0xf000, 0 },
	};
	struct fixture *f = *state;
	struct rig *rig = &f->rig;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(boot_at(f, CPU_MODE_16, cases[i].address), 0);
		assert_string_equal(rig->state.summary.format, "flat");
		assert_int_equal(rig->state.summary.entry, cases[i].address);
		assert_int_equal(rig->regs->mode, CPU_MODE_16);
		assert_int_equal(rig->regs->cs, cases[i].cs);
		assert_int_equal(rig->regs->rip, cases[i].ip);
		assert_int_equal(rig->regs->ss, 0x7000);
		assert_int_equal(rig->regs->rsp, 0xfff0);
		assert_guest_bytes(rig, cases[i].address, f->image.bytes, f->image.len);
	}
}

static void flat_fits_into_the_smallest_ram(void **state)
{
	struct fixture *f = *state;

	rig_destroy(&f->rig);
	rig_init(&f->rig, 1 * MIB);
	f->rig.options.format = BOOT_FORMAT_FLAT;
	f->rig.options.firmware_tables = true;
	assert_int_equal(boot_at(f, CPU_MODE_16, 0x7c00), 0);
	assert_int_equal(boot_at(f, CPU_MODE_32, 0x7c00), 0);
	assert_int_equal(boot_at(f, CPU_MODE_64, 0x7c00), 0);
}

static void protected_entry_has_gdt_stack_and_command_line(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;

	rig->options.cmdline = "an argument";
	for (enum cpu_mode mode = CPU_MODE_32; mode <= CPU_MODE_64; mode++) {
		assert_int_equal(boot_at(f, mode, 1 * MIB), 0);
		assert_int_equal(rig->regs->mode, mode);
		assert_int_equal(rig->regs->rip, 1 * MIB);
		assert_int_equal(rig->regs->rsp, BOOT_AREA);
		assert_string_equal(guest(rig, rig->regs->rsi, 12), "an argument");
		assert_gdt(rig);
	}
	assert_identity_mapped(rig);
}

/* mov $0xfe, %al; out %al, $0x64; hlt; jmp to it: a jump to the BIOS is a reboot. */
static void bios_entry_resets_the_machine(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(boot_at(f, CPU_MODE_32, 1 * MIB), 0);
	assert_guest_bytes(&f->rig, 0xffff0, "\xb0\xfe\xe6\x64\xf4\xeb\xfd", 7);
	/* A program with its own code there is not overwritten. */
	f->image.len = 16;
	assert_int_equal(boot_at(f, CPU_MODE_16, 0xffff0), 0);
	assert_guest_bytes(&f->rig, 0xffff0, f->image.bytes, 16);
}

static void flat_refuses_what_it_cannot_pass_on(void **state)
{
	struct fixture *f = *state;

	f->rig.options.cmdline = "argument";
	assert_int_equal(boot_at(f, CPU_MODE_16, 0x7c00), -ENOEXEC);
	assert_non_null(strstr(f->rig.said, "no command line"));
	f->rig.options.cmdline = "";
	f->rig.options.initrd = "/etc/passwd";
	assert_int_equal(boot_at(f, CPU_MODE_32, 0x7c00), -ENOEXEC);
	assert_non_null(strstr(f->rig.said, "no initrd"));
}

static void flat_outside_ram_is_refused(void **state)
{
	static const uint64_t addresses[] = { 2 * MIB - 999, 2 * MIB, 0xfee00000, 1ULL << 32,
					      UINT64_MAX - 999, UINT64_MAX };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		for (enum cpu_mode mode = CPU_MODE_16; mode <= CPU_MODE_64; mode++)
			assert_int_equal(boot_at(f, mode, addresses[i]), -E2BIG);
	assert_int_equal(boot_at(f, CPU_MODE_64, 2 * MIB - 1000), 0);
	assert_int_equal(boot_at(f, CPU_MODE_16, 1 * MIB), -ENOEXEC);
	assert_non_null(strstr(f->rig.said, "below 1 MiB"));
}

static void flat_over_kinglets_own_tables_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(boot_at(f, CPU_MODE_32, BOOT_AREA), -ENOEXEC);
	assert_int_equal(boot_at(f, CPU_MODE_64, BOOT_AREA_END - 1), -ENOEXEC);
	assert_int_equal(boot_at(f, CPU_MODE_32, BOOT_AREA_END), 0);
	assert_int_equal(boot_at(f, CPU_MODE_32, ACPI_AREA_BASE), 0);
	f->rig.options.firmware_tables = true;
	assert_int_equal(boot_at(f, CPU_MODE_32, ACPI_AREA_BASE), -ENOEXEC);
	assert_int_equal(boot_at(f, CPU_MODE_16, ACPI_AREA_END - 1), -ENOEXEC);
	assert_non_null(strstr(f->rig.said, "ACPI tables"));
}

/* --- Any file -------------------------------------------------------------------------------- */

static void unknown_files_are_named(void **state)
{
	static const struct {
		const char *bytes;
		size_t at, len;
		const char *name;
	} files[] = {
		{ "hello", 0, 5, "no known magic" },
		{ "\x1f\x8b\x08", 0, 3, "gzip" },
		{ "\x28\xb5\x2f\xfd", 0, 4, "zstd" },
		{ "070701", 0, 6, "cpio" },
		{ "ARM\x64", 56, 4, "arm64" },
		{ "\x55\xaa", 510, 2, "boot sector" },
		{ "\x7f", 0, 1, "no known magic" },
		{ "\x7f" "ELF", 0, 4, "truncated" },
		{ "HdrS", 0x202, 4, "no known magic" },
	};
	struct fixture *f = *state;

	f->rig.options.format = BOOT_FORMAT_AUTO;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		memset(&f->image, 0, sizeof(f->image));
		image_put(&f->image, files[i].at, files[i].bytes, files[i].len);
		assert_refused(&f->rig, &f->image, -ENOEXEC, files[i].name);
	}
}

static void assert_path_refused(struct rig *rig, const char *path, int err, const char *why)
{
	rig->options.kernel = path;
	assert_int_equal(rig_boot(rig), err);
	assert_non_null(strstr(rig->said, path));
	assert_non_null(strstr(rig->said, why));
}

static void things_that_are_no_files_are_refused(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;
	char fifo[64];

	rig->options.format = BOOT_FORMAT_AUTO;
	assert_path_refused(rig, "/", -ENOEXEC, "is a directory");
	assert_path_refused(rig, "/dev/null", -ENOEXEC, "not a regular file");
	assert_path_refused(rig, "/nonexistent", -ENOENT, "No such file");
	assert_path_refused(rig, "/etc/passwd/x", -ENOTDIR, "Not a directory");
	snprintf(fifo, sizeof(fifo), "/tmp/kinglet-test-%d", (int)getpid());
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_path_refused(rig, fifo, -ENOEXEC, "not a regular file"); /* and does not wait */
	unlink(fifo);
	f->image.len = 0;
	assert_refused(rig, &f->image, -ENOEXEC, "is empty");
}

/* Sparse, far beyond RAM, in every format that takes its length from the file. */
static void huge_files_are_refused(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;

	rig->options.flat_mode = CPU_MODE_64;
	rig_set_kernel(rig, f->image.bytes, f->image.len);
	assert_int_equal(ftruncate(rig->kernel_fd, 1LL << 40), 0);
	assert_int_equal(rig_boot(rig), -E2BIG);
	rig->options.format = BOOT_FORMAT_AUTO;
	assert_int_equal(rig_boot(rig), -ENOEXEC);
}

static void nothing_stays_open(void **state)
{
	struct fixture *f = *state;
	unsigned before;

	assert_int_equal(boot_at(f, CPU_MODE_32, 1 * MIB), 0);
	before = fake_open_fds();
	assert_int_equal(boot_at(f, CPU_MODE_32, 1 * MIB), 0);
	assert_int_equal(boot_at(f, CPU_MODE_32, 4 * MIB), -E2BIG);
	assert_int_equal(fake_open_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(real_mode_entry_is_cs_and_ip),
		T(flat_fits_into_the_smallest_ram),
		T(protected_entry_has_gdt_stack_and_command_line),
		T(bios_entry_resets_the_machine),
		T(flat_refuses_what_it_cannot_pass_on),
		T(flat_outside_ram_is_refused),
		T(flat_over_kinglets_own_tables_is_refused),
		T(unknown_files_are_named),
		T(things_that_are_no_files_are_refused),
		T(huge_files_are_refused),
		T(nothing_stays_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
