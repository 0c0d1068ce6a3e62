/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading kernels on aarch64, and the device tree that they get. (Documentation/arm64/booting.rst)
 */
#include "../../../arch/aarch64/boot.h"
#include "base/le.h"
#include "boot_rig.h"
#include "unit.h"

#include <libfdt.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { IMAGE_LEN = 300000, FDT_MAX_TEST = 2 << 20 };

struct fixture {
	struct rig rig;
	struct arm64_vm vm;
	struct arch_vm arch;
	uint8_t image[IMAGE_LEN]; /* as it must appear in RAM */
};

/* A kernel whose bytes encode their positions, and no initrd. */
static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	rig_init(&f->rig, 64 * MIB);
	f->rig.options.cmdline = "quiet";
	f->rig.options.firmware_tables = true;
	f->rig.options.cpus = 2;
	f->rig.options.flat_mode = CPU_MODE_64;
	f->rig.arch = &f->arch;
	f->vm.mpidr[1] = 0x101;
	f->arch.priv = &f->vm;
	for (unsigned i = 0; i < IMAGE_LEN; i++)
		f->image[i] = (uint8_t)(i * 7 + i / 251);
	put_le64(f->image + 8, 0);			/* text_offset */
	put_le64(f->image + 16, IMAGE_LEN + 100000ULL); /* with its bss */
	memcpy(f->image + 56, "ARM\x64", 4);
	rig_set_kernel(&f->rig, f->image, IMAGE_LEN);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	rig_destroy(&f->rig);
	test_free(f);
	return 0;
}

static void assert_loaded(struct fixture *f, uint64_t gpa)
{
	struct rig *rig = &f->rig;
	const struct boot_summary *summary = &rig->state.summary;

	assert_int_equal(rig->regs->pc, gpa);
	assert_int_equal(summary->kernel_start, gpa);
	assert_int_equal(summary->kernel_end, gpa + IMAGE_LEN + 100000);
	assert_guest_bytes(rig, gpa, f->image, IMAGE_LEN);
}

static const void *tree_of(struct rig *rig)
{
	const void *fdt = guest(rig, rig->regs->x0, BOOT_FDT_MAX);

	assert_int_equal(rig->regs->x0 % 8, 0);
	assert_int_equal(fdt_check_full(fdt, BOOT_FDT_MAX), 0);
	return fdt;
}

static uint32_t cell(const void *fdt, const char *path, const char *name, unsigned index)
{
	int len, node = fdt_path_offset(fdt, path);
	const void *value;

	assert_true(node >= 0);
	value = fdt_getprop(fdt, node, name, &len);
	assert_non_null(value);
	assert_true((int)(4 * index) < len);
	return fdt32_ld((const fdt32_t *)((const char *)value + 4 * index));
}

static void an_image_lies_where_its_header_says(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;

	assert_int_equal(rig_boot(rig), 0);
	assert_string_equal(rig->state.summary.format, "Image");
	assert_loaded(f, ARM64_RAM_BASE);

	put_le64(f->image + 8, 0x80000);
	rig_set_kernel(rig, f->image, IMAGE_LEN);
	assert_int_equal(rig_boot(rig), 0);
	assert_loaded(f, ARM64_RAM_BASE + 0x80000);
}

static void packed_images_are_unpacked(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;
	size_t room = 2 * IMAGE_LEN, len;
	uint8_t *packed = malloc(room);
	z_stream stream = { .next_in = f->image, .avail_in = IMAGE_LEN, .next_out = packed,
			    .avail_out = (unsigned)room };

	assert_int_equal(deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, 0), Z_OK);
	assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
	len = stream.total_out;
	deflateEnd(&stream);
	rig_set_kernel(rig, packed, len);
	assert_int_equal(rig_boot(rig), 0);
	assert_loaded(f, ARM64_RAM_BASE);

	/* Cut, and damaged. */
	rig_set_kernel(rig, packed, len - 1000);
	rig_assert_refused(rig, -ENOEXEC, "damaged or truncated");
	memset(packed + len / 2, 0xff, 1000);
	rig_set_kernel(rig, packed, len);
	rig_assert_refused(rig, -ENOEXEC, "damaged or truncated");

	/* As the payload of an EFI program. */
	memset(packed, 0, 128);
	len = ZSTD_compress(packed + 128, room - 128, f->image, IMAGE_LEN, 1);
	assert_false(ZSTD_isError(len));
	memcpy(packed, "MZ\0\0zimg", 8);
	put_le32(packed + 8, 128);
	put_le32(packed + 12, (uint32_t)len);
	rig_set_kernel(rig, packed, 128 + len);
	assert_int_equal(rig_boot(rig), 0);
	assert_loaded(f, ARM64_RAM_BASE);

	put_le32(packed + 12, (uint32_t)len + 1);
	rig_set_kernel(rig, packed, 128 + len);
	rig_assert_refused(rig, -ENOEXEC, "truncated");
	free(packed);
}

static void kernels_that_do_not_fit_are_refused(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;

	put_le64(f->image + 16, 63 * MIB); /* the device tree is in the way */
	rig_set_kernel(rig, f->image, IMAGE_LEN);
	rig_assert_refused(rig, -E2BIG, "needs RAM");
	put_le64(f->image + 16, UINT64_MAX);
	rig_set_kernel(rig, f->image, IMAGE_LEN);
	rig_assert_refused(rig, -E2BIG, "needs RAM");
	put_le64(f->image + 16, IMAGE_LEN);
	put_le64(f->image + 8, UINT64_MAX - 0x1000);
	rig_set_kernel(rig, f->image, IMAGE_LEN);
	rig_assert_refused(rig, -E2BIG, "needs RAM");
	/* More bytes than declared in the header, and than fit into RAM. */
	put_le64(f->image + 16, 4096);
	put_le64(f->image + 8, 62 * MIB - 65536);
	rig_set_kernel(rig, f->image, IMAGE_LEN);
	rig_assert_refused(rig, -E2BIG, "does not fit");
}

static void unknown_files_are_named(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;
	uint8_t file[1024] = { 0 };

	memcpy(file + 0x202, "HdrS", 4);
	rig_set_kernel(rig, file, sizeof(file));
	rig_assert_refused(rig, -ENOEXEC, "an x86 Linux bzImage");
	memcpy(file, "\x7f" "ELF", 4);
	memset(file + 0x202, 0, 4);
	rig_set_kernel(rig, file, sizeof(file));
	rig_assert_refused(rig, -ENOEXEC, "an ELF file");
	rig_set_kernel(rig, "\x1f\x8b", 2);
	rig_assert_refused(rig, -ENOEXEC, "damaged or truncated");
}

static void a_flat_binary_gets_the_tree_too(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;

	rig->options.format = BOOT_FORMAT_FLAT;
	rig->options.flat_address = ARM64_RAM_BASE + 0x1000;
	assert_int_equal(rig_boot(rig), 0);
	assert_int_equal(rig->state.summary.entry, ARM64_RAM_BASE + 0x1000);
	tree_of(rig);
	rig->options.flat_address++;
	rig_assert_refused(rig, -ENOEXEC, "multiples of 4");
	rig->options.flat_address = 0x7c00;
	rig_assert_refused(rig, -E2BIG, "needs RAM");
	rig->options.flat_address = ARM64_RAM_BASE;
	rig->options.flat_mode = CPU_MODE_32;
	rig_assert_refused(rig, -ENOEXEC, "no mode but 64");
}

static void linux_needs_its_tree(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;

	rig->options.firmware_tables = false;
	rig_assert_refused(rig, -ENOEXEC, "--acpi off");
}

static void the_tree_tells_of_the_machine(void **state)
{
	static const char initrd[] = "an initrd";
	struct fixture *f = *state;
	struct rig *rig = &f->rig;
	const void *fdt;
	uint64_t start;

	rig_set_initrd(rig, initrd, sizeof(initrd));
	assert_int_equal(rig_boot(rig), 0);
	fdt = tree_of(rig);
	assert_string_equal(fdt_getprop(fdt, fdt_path_offset(fdt, "/chosen"), "bootargs", NULL),
			    "quiet");
	start = (uint64_t)cell(fdt, "/chosen", "linux,initrd-start", 0) << 32 |
		cell(fdt, "/chosen", "linux,initrd-start", 1);
	assert_int_equal(cell(fdt, "/chosen", "linux,initrd-end", 1), start + sizeof(initrd));
	assert_guest_bytes(rig, start, initrd, sizeof(initrd));
	assert_int_equal(cell(fdt, "/memory", "reg", 1), ARM64_RAM_BASE);
	assert_int_equal(cell(fdt, "/memory", "reg", 3), 64 * MIB - ARM64_VMGENID_LEN);
	assert_int_equal(cell(fdt, "/cpus/cpu@101", "reg", 1), 0x101);
	assert_int_equal(cell(fdt, "/interrupt-controller", "reg", 7), 2 * ARM64_GICR_LEN);
	/* Messages of all functions go to the ITS. */
	assert_int_equal(cell(fdt, "/pcie", "msi-map", 1),
			 cell(fdt, "/interrupt-controller/msi-controller", "phandle", 0));
	/* INTB of device 3 is wired as INTA of device 0. */
	assert_int_equal(cell(fdt, "/pcie", "interrupt-map", 13 * 10 + 3), 2);
	assert_int_equal(cell(fdt, "/pcie", "interrupt-map", 13 * 10 + 8), ARM64_INTX_SPI);
}

/*
 * The page of the generation id is RAM, but not the kernel's memory: Linux maps it as a device's.
 * Nothing that is loaded lies there.
 */
static void the_generation_id_follows_the_memory(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;
	uint64_t id = ARM64_RAM_BASE + 64 * MIB - ARM64_VMGENID_LEN;
	const void *fdt;

	assert_int_equal(rig_boot(rig), 0);
	fdt = tree_of(rig);
	assert_true(rig->regs->x0 + BOOT_FDT_MAX <= id);
	assert_int_equal(cell(fdt, "/rng", "reg", 1), id);
	assert_int_equal(cell(fdt, "/rng", "interrupts", 1), ARM64_VMGENID_SPI);
	assert_int_equal(cell(fdt, "/rng", "interrupts", 2), 1); /* a rising edge */
	assert_string_equal(fdt_getprop(fdt, fdt_path_offset(fdt, "/rng"), "compatible", NULL),
			    "microsoft,vmgenid");
	assert_non_null(guest(rig, id, ARM64_VMGENID_LEN));
}

/* The largest number of CPUs, with the affinities that KVM assigns. */
static void name_cpus(struct fixture *f)
{
	for (unsigned i = 0; i < ARM64_CPUS_MAX; i++)
		f->vm.mpidr[i] = (i & 15) | (uint64_t)i >> 4 << 8;
	f->rig.options.cpus = ARM64_CPUS_MAX;
}

/* Otherwise the guest's secrets would be the same at each start. */
static void seeds_differ_from_boot_to_boot(void **state)
{
	static const char *const names[] = { "rng-seed", "kaslr-seed" };
	uint32_t before[ARRAY_SIZE(names)];
	struct fixture *f = *state;
	struct rig *rig = &f->rig;

	assert_int_equal(rig_boot(rig), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		before[i] = cell(tree_of(rig), "/chosen", names[i], 1);
	assert_int_equal(rig_boot(rig), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_not_equal(cell(tree_of(rig), "/chosen", names[i], 1), before[i]);
}

static void the_tree_has_room_for_all_cpus(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;

	name_cpus(f);
	assert_int_equal(rig_boot(rig), 0);
	assert_int_equal(cell(tree_of(rig), "/cpus/cpu@1f0f", "reg", 1), 0x1f0f);
}

/* dtc decompiles it with all its checks and prints nothing. */
static void assert_compiler_agrees(struct rig *rig)
{
	char path[64], command[128], said[1000];
	const void *fdt = tree_of(rig);
	int fd = memory_file(fdt, fdt_totalsize(fdt), path);
	size_t len;
	FILE *dtc;

	/* By the process ID, since the shell opens it. */
	snprintf(command, sizeof(command), "dtc -I dtb -O dts -o /dev/null /proc/%d/fd/%d 2>&1",
		 (int)getpid(), fd);
	dtc = popen(command, "r");
	assert_non_null(dtc);
	len = fread(said, 1, sizeof(said) - 1, dtc);
	said[len] = '\0';
	assert_string_equal(said, "");
	assert_int_equal(pclose(dtc), 0);
	close(fd);
}

static void the_compiler_has_no_warning(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;

	if (access("/usr/bin/dtc", X_OK))
		skip();
	rig->options.cpus = 1;
	assert_int_equal(rig_boot(rig), 0);
	assert_compiler_agrees(rig);

	name_cpus(f);
	rig_set_initrd(rig, "an initrd", 9);
	assert_int_equal(rig_boot(rig), 0);
	assert_compiler_agrees(rig);
}

static void the_tree_goes_to_a_file_as_well(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig;
	char path[64], *copy = malloc(FDT_MAX_TEST);
	int fd = memory_file("", 0, path);
	ssize_t len;

	rig->options.dump_fdt = path;
	assert_int_equal(rig_boot(rig), 0);
	len = pread(fd, copy, FDT_MAX_TEST, 0);
	assert_int_equal(len, fdt_totalsize(tree_of(rig)));
	assert_memory_equal(copy, tree_of(rig), (size_t)len);
	close(fd);
	free(copy);
	rig->options.dump_fdt = "/nowhere/at/all";
	rig_assert_refused(rig, -ENOENT, "--dump-fdt /nowhere/at/all");
}

static void kernel_and_initrd_share_a_window(void **state)
{
	struct fixture *f = *state;
	struct rig *rig = &f->rig, large;

	rig_init(&large, 48ULL << 30);
	large.arch = &f->arch;
	large.options = rig->options;
	assert_int_equal(rig_boot(&large), 0);
	assert_in_range(large.regs->x0, ARM64_RAM_BASE,
			ARM64_RAM_BASE + (32ULL << 30) - BOOT_FDT_AREA);
	rig_destroy(&large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_image_lies_where_its_header_says),
		TEST(packed_images_are_unpacked),
		TEST(kernels_that_do_not_fit_are_refused),
		TEST(unknown_files_are_named),
		TEST(a_flat_binary_gets_the_tree_too),
		TEST(linux_needs_its_tree),
		TEST(the_tree_tells_of_the_machine),
		TEST(the_generation_id_follows_the_memory),
		TEST(seeds_differ_from_boot_to_boot),
		TEST(the_tree_has_room_for_all_cpus),
		TEST(the_compiler_has_no_warning),
		TEST(the_tree_goes_to_a_file_as_well),
		TEST(kernel_and_initrd_share_a_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
