/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels and modules of the host, in folders created by the test. */
#include "base/le.h"
#include "cmd/kernel.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static int setup(void **state)
{
	char *folder = test_malloc(64);

	snprintf(folder, 64, "/tmp/test_kernel.XXXXXX");
	assert_non_null(mkdtemp(folder));
	*state = folder;
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", (char *)*state);
	assert_int_equal(system(command), 0);
	test_free(*state);
	return 0;
}

static const char *put(const char *folder, const char *name, const void *data, size_t len)
{
	static char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
	return path;
}

/* --- Versions --------------------------------------------------------------------------------- */

enum { IMAGE_LEN = 2048, MAGIC_AT = 0x202, POINTER_AT = 0x20e, MAGIC = 0x53726448 };

static int version_at(const char *folder, unsigned pointer, char version[KERNEL_VERSION_MAX])
{
	static const char text[] = "6.1.0-25-cloud-amd64 (builder) #1 SMP";
	char image[IMAGE_LEN] = "";

	put_le32(image + MAGIC_AT, MAGIC);
	put_le16(image + POINTER_AT, (uint16_t)pointer);
	memcpy(image + 1000, text, sizeof(text));
	return kernel_version(put(folder, "bzimage", image, sizeof(image)), version);
}

static void test_version_of_bzimage(void **state)
{
	char version[KERNEL_VERSION_MAX];

	assert_int_equal(version_at(*state, 1000 - 512, version), 0);
	assert_string_equal(version, "6.1.0-25-cloud-amd64");
	assert_int_equal(version_at(*state, 0, version), -ENODATA);
	assert_int_equal(version_at(*state, IMAGE_LEN - 512, version), -ENODATA);
	assert_int_equal(version_at(*state, 0xffff, version), -ENODATA);
	/* An empty string. */
	assert_int_equal(version_at(*state, 1200, version), -ENODATA);
}

static void test_version_is_cut_at_the_end_of_the_file(void **state)
{
	char image[1000], version[KERNEL_VERSION_MAX];

	memset(image, 'v', sizeof(image));
	put_le32(image + MAGIC_AT, MAGIC);
	put_le16(image + POINTER_AT, 992 - 512);
	assert_int_equal(kernel_version(put(*state, "bzimage", image, sizeof(image)), version), 0);
	assert_string_equal(version, "vvvvvvvv");
	put_le16(image + POINTER_AT, 0x102);
	assert_int_equal(kernel_version(put(*state, "bzimage", image, sizeof(image)), version), 0);
	assert_int_equal(strlen(version), KERNEL_VERSION_MAX - 1);
}

static void test_version_of_vmlinux(void **state)
{
	static const char image[] = "\177ELF....Linux version %s (%s)\0Linux version 6.12.1 (x)";
	char version[KERNEL_VERSION_MAX];

	assert_int_equal(kernel_version(put(*state, "vmlinux", image, sizeof(image)), version), 0);
	assert_string_equal(version, "6.12.1");
	assert_int_equal(kernel_version(put(*state, "vmlinux", image, 37), version), -ENODATA);
}

static void test_version_cannot_leave_the_folder(void **state)
{
	static const char *const evil[] = { "\177ELFLinux version 6/../..", "\177ELFLinux version ." };
	char version[KERNEL_VERSION_MAX];

	for (unsigned i = 0; i < ARRAY_SIZE(evil); i++)
		assert_int_equal(kernel_version(put(*state, "x", evil[i], strlen(evil[i])), version),
				 -ENODATA);
}

static void test_version_of_what_is_no_kernel(void **state)
{
	char version[KERNEL_VERSION_MAX];

	assert_int_equal(kernel_version(put(*state, "x", "", 0), version), -ENODATA);
	assert_int_equal(kernel_version(put(*state, "x", "text", 4), version), -ENODATA);
	assert_int_equal(kernel_version(*state, version), -ENODATA);
	assert_int_equal(kernel_version("/nowhere", version), -ENOENT);
}

/* --- Modules ---------------------------------------------------------------------------------- */

static const char dep[] =
	"kernel/drivers/virtio/virtio_ring.ko.xz:\n"
	"kernel/drivers/virtio/virtio.ko.xz: kernel/drivers/virtio/virtio_ring.ko.xz\n"
	"kernel/drivers/char/virtio_console_extra.ko.xz:\n"
	"kernel/drivers/char/virtio_console.ko.xz: kernel/drivers/virtio/virtio.ko.xz "
	"kernel/drivers/virtio/virtio_ring.ko.xz\n"
	"kernel/drivers/virtio/virtio-pci.ko.xz: kernel/drivers/virtio/virtio_pci_modern_dev.ko.xz "
	"kernel/drivers/virtio/virtio.ko.xz kernel/drivers/virtio/virtio_ring.ko.xz\n";

static void expect(const struct kernel_modules *modules, const char *files)
{
	char text[1024] = "";

	for (unsigned i = 0; i < modules->count; i++) {
		strcat(text, strrchr(modules->files[i], '/') + 1);
		strcat(text, " ");
	}
	assert_string_equal(text, files);
}

static void test_modules_in_order(void **state)
{
	static const char *const names[] = { "virtio_pci", "virtio_console" };
	struct kernel_modules modules;

	put(*state, "modules.dep", dep, strlen(dep));
	assert_int_equal(kernel_modules_find(*state, names, 2, &modules, NULL), 0);
	expect(&modules, "virtio_ring.ko.xz virtio.ko.xz virtio_pci_modern_dev.ko.xz "
			 "virtio-pci.ko.xz virtio_console.ko.xz ");
	assert_string_equal(modules.files[0], "kernel/drivers/virtio/virtio_ring.ko.xz");
	kernel_modules_destroy(&modules);
}

static void test_modules_built_in(void **state)
{
	static const char builtin[] = "kernel/drivers/virtio/virtio_pci.ko\n"
				      "kernel/drivers/char/virtio_console.ko\n";
	static const char *const names[] = { "virtio_pci", "virtio_console", "virtio" };
	struct kernel_modules modules;
	const char *missing = NULL;

	put(*state, "modules.dep", "", 0);
	put(*state, "modules.builtin", builtin, strlen(builtin));
	assert_int_equal(kernel_modules_find(*state, names, 2, &modules, &missing), 0);
	assert_int_equal(modules.count, 0);
	kernel_modules_destroy(&modules);
	assert_null(missing);
	assert_int_equal(kernel_modules_find(*state, names, 3, &modules, &missing), -ENODATA);
	assert_string_equal(missing, "virtio");
	kernel_modules_destroy(&modules);
}

static void test_modules_without_list(void **state)
{
	static const char *const names[] = { "virtio_pci" };
	struct kernel_modules modules;

	assert_int_equal(kernel_modules_find(*state, names, 1, &modules, NULL), -ENOENT);
	kernel_modules_destroy(&modules);
	/* Damaged lines. */
	put(*state, "modules.dep", "\n:\nvirtio_pci.ko", 17);
	assert_int_equal(kernel_modules_find(*state, names, 1, &modules, NULL), 0);
	assert_int_equal(modules.count, 1);
	assert_string_equal(modules.files[0], "virtio_pci.ko");
	kernel_modules_destroy(&modules);
}

/* --- The host's kernels ----------------------------------------------------------------------- */

static void list(const char *folder, const char *running, struct kernel_list *found)
{
	char modules[128];
	const struct kernel_places places = {
		.boot = folder, .modules = modules, .running = running
	};

	snprintf(modules, sizeof(modules), "%s/modules", folder);
	assert_int_equal(kernel_list_init(found, &places), 0);
}

static void test_kernels_newest_first(void **state)
{
	static const char *const names[] = { "vmlinuz-6.9.1", "vmlinuz-6.10.0", "vmlinuz-5.4",
					     "vmlinuz",	      "vmlinuz-",      "initrd.img-6.9.1" };
	struct kernel_list found;
	char path[128];

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		put(*state, names[i], "x", 1);
	snprintf(path, sizeof(path), "%s/modules", (char *)*state);
	assert_int_equal(mkdir(path, 0755), 0);
	strcat(path, "/6.9.1");
	assert_int_equal(mkdir(path, 0755), 0);

	list(*state, "6.9.1", &found);
	assert_int_equal(found.count, 3);
	assert_string_equal(found.kernels[0].version, "6.10.0");
	assert_null(found.kernels[0].modules);
	assert_string_equal(found.kernels[1].version, "6.9.1");
	assert_string_equal(found.kernels[1].modules, path);
	assert_string_equal(found.kernels[2].version, "5.4");
	assert_true(found.kernels[1].running && !found.kernels[0].running);
	assert_ptr_equal(kernel_list_default(&found), &found.kernels[1]);
	found.kernels[1].readable = false;
	assert_ptr_equal(kernel_list_default(&found), &found.kernels[0]);
	kernel_list_destroy(&found);

	list(*state, "4.0", &found);
	assert_ptr_equal(kernel_list_default(&found), &found.kernels[0]);
	kernel_list_destroy(&found);
}

static void test_no_kernels(void **state)
{
	struct kernel_list found;

	list(*state, "1", &found);
	assert_int_equal(found.count, 0);
	assert_null(kernel_list_default(&found));
	kernel_list_destroy(&found);
	list("/nowhere", "1", &found);
	assert_int_equal(found.count, 0);
	kernel_list_destroy(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_version_of_bzimage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_version_is_cut_at_the_end_of_the_file, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_version_of_vmlinux, setup, teardown),
		cmocka_unit_test_setup_teardown(test_version_cannot_leave_the_folder, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_version_of_what_is_no_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_modules_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_modules_built_in, setup, teardown),
		cmocka_unit_test_setup_teardown(test_modules_without_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kernels_newest_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_kernels, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
