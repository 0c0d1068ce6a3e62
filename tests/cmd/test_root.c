/* SPDX-License-Identifier: Apache-2.0 */
/* --root: the initramfs that enters a folder of the host. */
#include "capture.h"
#include "cmd/commands.h"
#include "cmd/guest_init.h"
#include "cmd/run_options.h"
#include "folder.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A kernel and the folder of its modules, in $D. */
static int setup(void **state)
{
	static const char script[] =
		"cd $D && mkdir modules && printf '\\177ELFLinux version 6.1 ()' >kernel && "
		"for m in virtio_pci virtio_console fuse virtiofs virtio_rng; do "
		"echo $m.ko: >>modules/modules.dep; echo $m >modules/$m.ko; done && "
		"sed -i 's/virtiofs.*/virtiofs.ko: fuse.ko/' modules/modules.dep";

	return folder_make(state, "test_root", script);
}

static int teardown(void **state)
{
	return folder_remove(state);
}

/* The result of root_build() for `--root folder,modules=$D/modules` and these. */
static int build(struct run_options *options, const char *folder, const char *more,
		 const char *append)
{
	char kernel[80], root[160];
	char *argv[] = { kernel, (char *)"--root", root, (char *)"--append", (char *)append, NULL };

	snprintf(kernel, sizeof(kernel), "%s/kernel", folder);
	snprintf(root, sizeof(root), "folder,modules=%s/modules%s", folder, more);
	*options = (struct run_options){ .stats = false };
	assert_int_equal(options_parse(&command_run, &options->common, 5, argv), 0);
	return root_build(options);
}

/* Whether the finished initramfs has these bytes. */
static bool holds(const struct run_options *options, const void *bytes, size_t len)
{
	const struct cpio *cpio = &options->root.base;
	void *all = mmap(NULL, cpio->len, PROT_READ, MAP_PRIVATE, cpio->fd, 0);
	bool found;

	assert_ptr_not_equal(all, MAP_FAILED);
	found = memmem(all, cpio->len, bytes, len);
	munmap(all, cpio->len);
	return found;
}

#define HOLDS(options, text) holds(options, text, sizeof(text) - 1)

static void end(struct run_options *options)
{
	root_destroy(&options->root);
	options_destroy(&options->common);
}

static void initramfs_has_what_mounts_the_folder(void **state)
{
	struct run_options options;
	char path[32];

	assert_int_equal(build(&options, *state, "", "quiet"), 0);
	assert_true(HOLDS(&options, "M/.kinglet/fuse.ko\0M/.kinglet/virtiofs.ko\0"));
	assert_true(HOLDS(&options, "\0Wkinglet-root\0I/sbin/init\0I/etc/init\0I/bin/init\0"
				    "I/bin/sh\0"));
	assert_true(holds(&options, guest_init, guest_init_len));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", options.root.base.fd);
	assert_string_equal(options.config.boot.initrd, path);
	end(&options);
}

static void init_is_that_of_the_command_line(void **state)
{
	struct run_options options;

	assert_int_equal(build(&options, *state, ",readonly", "init=/a init=/b -- init=/c"), 0);
	assert_true(HOLDS(&options, "\0Okinglet-root\0I/b\0"));
	assert_false(HOLDS(&options, "I/a"));
	assert_false(HOLDS(&options, "I/c"));
	assert_false(HOLDS(&options, "I/sbin"));
	end(&options);
}

static void kernel_without_virtiofs_is_refused_by_name(void **state)
{
	struct run_options options;
	struct capture capture;

	assert_int_equal(system("sed -i /^virtiofs/d $D/modules/modules.dep"), 0);
	capture_stderr_begin(&capture);
	assert_int_equal(build(&options, *state, "", ""), -ENODATA);
	capture_expect(&capture, "has no module virtiofs, nor is it built in; another kernel is "
				 "needed, or its folder as modules=DIR of --root\n");
	assert_null(options.config.boot.initrd);
	end(&options);
	/* Built in. */
	assert_int_equal(system("echo kernel/virtiofs.ko >$D/modules/modules.builtin"), 0);
	assert_int_equal(build(&options, *state, "", ""), 0);
	assert_false(HOLDS(&options, "virtiofs.ko"));
	end(&options);
}

/* It was warned of, too. */
static void folder_without_modules_is_refused_in_one_line(void **state)
{
	struct run_options options;
	struct capture capture;
	char said[500];

	assert_int_equal(system("rm $D/modules/modules.dep"), 0);
	capture_stderr_begin(&capture);
	assert_int_equal(build(&options, *state, "", ""), -ENOENT);
	capture_stderr_end(&capture, said, sizeof(said));
	assert_non_null(strstr(said, "/modules: has no modules.dep, nor has "));
	assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
	end(&options);
}

/* A kernel with all built in needs none. */
static void kernel_without_modules_is_warned_of(void **state)
{
	struct run_options options;
	struct capture capture;
	char kernel[80];
	char *argv[] = { kernel, (char *)"--root", (char *)"folder", NULL };

	assert_int_equal(system("printf '\\177ELFLinux version 0.0-none ()' >$D/kernel"), 0);
	snprintf(kernel, sizeof(kernel), "%s/kernel", (char *)*state);
	options = (struct run_options){ .stats = false };
	assert_int_equal(options_parse(&command_run, &options.common, 3, argv), 0);
	capture_stderr_begin(&capture);
	assert_int_equal(root_build(&options), 0);
	capture_expect(&capture, "/kernel were found in /lib/modules; if virtiofs is not built in, "
				 "give their folder as modules=DIR\n");
	assert_true(HOLDS(&options, "Wkinglet-root"));
	end(&options);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(initramfs_has_what_mounts_the_folder, setup,
						teardown),
		cmocka_unit_test_setup_teardown(init_is_that_of_the_command_line, setup, teardown),
		cmocka_unit_test_setup_teardown(kernel_without_virtiofs_is_refused_by_name, setup,
						teardown),
		cmocka_unit_test_setup_teardown(folder_without_modules_is_refused_in_one_line,
						setup, teardown),
		cmocka_unit_test_setup_teardown(kernel_without_modules_is_warned_of, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
