/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of `kinglet exec` and `kernel list`, and the image that a guest gets. */
#include "../../vmm/cmd/exec/exec.h"
#include "capture.h"
#include "cmd/commands.h"
#include "cmd/exec_image.h"
#include "cmd/kernels.h"
#include "cmd/guest_init.h"
#include "folder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* A folder with the files of a host; $D stands for it in scripts. */
static int setup(void **state)
{
	static const char script[] =
		"cd $D && mkdir -p boot lib/modules/6.1 root/bin dir && "
		"for k in 6.1 5.9; do printf '\\177ELFLinux version '$k' ()' >boot/vmlinuz-$k; done && "
		"echo 'a/virtio_console.ko: b/virtio.ko' >lib/modules/6.1/modules.dep && "
		"echo 'a/virtio_pci.ko:' >>lib/modules/6.1/modules.dep && "
		"mkdir lib/modules/6.1/a lib/modules/6.1/b && "
		"echo 1 >lib/modules/6.1/a/virtio_console.ko && "
		"echo 2 >lib/modules/6.1/a/virtio_pci.ko && echo 3 >lib/modules/6.1/b/virtio.ko && "
		"printf '#!/bin/sh\\n' >script && echo text >text && chmod +x script text && "
		"echo x >root/bin/x && echo y >dir/y && mkdir big && truncate -s 8M big/file";

	return folder_make(state, "test_exec", script);
}

static int teardown(void **state)
{
	return folder_remove(state);
}

/* --- Command line ----------------------------------------------------------------------------- */

/* Status and messages of `kinglet exec`; `args` end with NULL. $D/ at their start is the folder. */
static int exec(const char *const *args, char *said, size_t len)
{
	char *argv[16], paths[16][160];
	struct capture capture;
	int argc = 0, status;

	for (; args[argc]; argc++) {
		bool below = strncmp(args[argc], "$D/", 3) == 0;

		snprintf(paths[argc], sizeof(paths[argc]), "%s%s", below ? getenv("D") : "",
			 args[argc] + (below ? 2 : 0));
		argv[argc] = paths[argc];
	}
	argv[argc] = NULL;
	capture_stderr_begin(&capture);
	status = command_execute(&command_exec, argc, argv);
	capture_stderr_end(&capture, said, len);
	return status;
}

static void test_wrong_use_is_refused_in_one_line(void **state)
{
	static const struct {
		const char *args[8];
		const char *says;
	} cases[] = {
		{ { "k" }, "no program is given; write kinglet exec [KERNEL] [options] -- PROGRAM" },
		{ { "k", "--" }, "no program is given" },
		{ { "k", "--", "" }, "no program is given" },
		{ { "k", "--dir", "a", "--", "x" }, "--dir a: is not of the form HOST:GUEST" },
		{ { "k", "--dir", ":/a", "--", "x" }, "--dir :/a: is not of the form" },
		{ { "k", "--dir", "a:b", "--", "x" }, "GUEST begins with a slash" },
		{ { "k", "--dir", "a:/b:rw", "--", "x" }, "only ro may follow" },
		{ { "k", "--dir", "a://", "--", "x" }, "root is given by --root" },
		{ { "k", "--env", "=x", "--", "x" }, "--env =x: the name is missing" },
		{ { "k", "--env", "NOT_SET_1", "--", "x" }, "write --env NOT_SET_1=VALUE" },
		{ { "k", "--root", "a,live", "--dir", "a:/b", "--", "x" },
		  "--dir: a live --root has no copies of folders" },
		{ { "k", "--workdir", "a", "--", "x" }, "--workdir a: must begin with a slash" },
		{ { "k", "--initrd", "a", "--", "x" }, "--initrd: unknown option" },
		{ { "$D/text", "--modules", "$D/dir", "--", "x" }, "has no modules.dep" },
		{ { "$D/text", "--modules", "$D/lib/modules/6.1", "--module", "ext5", "--", "x" },
		  "has no module ext5, nor is it built in" },
		{ { "$D/text", "--", "$D/none" }, "/none: No such file or directory" },
		{ { "$D/text", "--", "not-in-path" }, "not-in-path: not found in PATH" },
		{ { "$D/text", "--", "$D/dir" }, "/dir: is no regular file" },
		{ { "$D/text", "--", "$D/script" }, "/script: is a script" },
		{ { "$D/text", "--", "$D/text" }, "/text: is no program of Linux" },
		{ { "$D/text", "--", "/proc/self/exe" }, "is linked dynamically" },
		{ { "$D/text", "--root", "$D/none", "--", "x" }, "/none: No such file" },
		{ { "$D/text", "--root", "$D/root", "--dir", "$D/dir:/bin/x/d", "--", "x" },
		  "/bin/x/d in the guest: Not a directory" },
		{ { "$D/text", "--root", "$D/big", "--memory", "16M", "--", "x" },
		  "--memory 16M: too little to unpack the guest's files in; --memory 274M would do" },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		char said[1024];

		assert_int_equal(exec(cases[i].args, said, sizeof(said)), EXIT_USAGE);
		if (!strstr(said, cases[i].says) || strchr(said, '\n') != said + strlen(said) - 1)
			fail_msg("case %u said: %s", i, said);
	}
}

/* A run that shows the boot, or whose machine has a part of the host, boots the kernel. */
static void test_options_decide_about_saved_machines(void **state)
{
	static const struct {
		const char *args[4];
		bool allowed;
	} cases[] = {
		{ { NULL }, true },
		{ { "--cpus", "2", "--memory=64M" }, true },
		{ { "--dir", "a:/b", "--env=A=1" }, true },
		{ { "--root", "a", "--timeout=3s" }, true },
		{ { "--no-cache" }, false },
		{ { "--verbose" }, false },
		{ { "--explain" }, false },
		{ { "--trace", "a" }, false },
		{ { "--stats" }, false },
		{ { "--gdb", "1234" }, false },
		{ { "--control", "./a" }, false },
		{ { "--snapshot-port" }, false },
		{ { "--disk", "a" }, false },
		{ { "--net", "tap=a" }, false },
		{ { "--vsock", "3" }, false },
		{ { "--balloon", "1M" }, false },
		{ { "--hugepages" }, false },
		{ { "--shared-memory" }, false },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct exec_options *options = test_calloc(1, sizeof(*options));
		char kernel[] = "k", end[] = "--", program[] = "x", given[4][16], *argv[8] = { kernel };
		int argc = 1;

		for (; cases[i].args[argc - 1]; argc++) {
			argv[argc] = given[argc - 1];
			snprintf(argv[argc], sizeof(given[0]), "%s", cases[i].args[argc - 1]);
		}
		argv[argc++] = end;
		argv[argc++] = program;
		assert_int_equal(options_parse(&command_exec, &options->run.common, argc, argv), 0);
		if (exec_options_allow_cache(options) != cases[i].allowed)
			fail_msg("case %u", i);
		options_destroy(&options->run.common);
		test_free(options);
	}
}

/* --- Image ------------------------------------------------------------------------------------ */

/* Whether the archive has these bytes. */
static bool holds(const struct cpio *cpio, const void *bytes, size_t len)
{
	void *image = mmap(NULL, cpio->len, PROT_READ, MAP_PRIVATE, cpio->fd, 0);
	bool found;

	assert_ptr_not_equal(image, MAP_FAILED);
	found = memmem(image, cpio->len, bytes, len);
	munmap(image, cpio->len);
	return found;
}

#define HOLDS(cpio, bytes) holds(cpio, bytes, sizeof(bytes))

static void test_image_tells_init_what_to_do(void **state)
{
	char root[128], dir[128];
	char *env[] = { (char *)"A=1", (char *)"B=two words", NULL };
	char *args[] = { (char *)"x", (char *)"", (char *)"last", NULL };
	const struct exec_dir dirs[] = { { dir, "/mnt", true } };
	const struct exec_image image = {
		.root = root,
		.dirs = dirs,
		.dir_count = 1,
		.folder = "/tmp",
		.env = env,
		.args = args,
	};
	struct cpio cpio;

	snprintf(root, sizeof(root), "%s/root", (char *)*state);
	snprintf(dir, sizeof(dir), "%s/dir", (char *)*state);
	assert_int_equal(cpio_init(&cpio, 1 << 20), 0);
	assert_int_equal(exec_image_build(&cpio, &image), 0);
	assert_true(HOLDS(&cpio, "R/mnt\0C/tmp\0EA=1\0EB=two words\0Ax\0A\0Alast"));
	assert_true(HOLDS(&cpio, "bin/x"));
	assert_true(HOLDS(&cpio, "mnt/y"));
	assert_false(holds(&cpio, guest_init, guest_init_len));
	cpio_destroy(&cpio);
}

static void test_live_root_is_not_copied(void **state)
{
	char root[128];
	char *env[] = { NULL }, *args[] = { (char *)"x", NULL };
	const struct exec_image image = {
		.root = root, .live = true, .folder = "/", .env = env, .args = args,
	};
	struct cpio cpio;

	snprintf(root, sizeof(root), "%s/root", (char *)*state);
	assert_int_equal(cpio_init(&cpio, 1 << 20), 0);
	assert_int_equal(exec_image_build(&cpio, &image), 0);
	assert_true(HOLDS(&cpio, "Lkinglet-root\0C/\0Ax"));
	assert_false(HOLDS(&cpio, "bin/x"));
	cpio_destroy(&cpio);
}

/* A finished base, of the modules in `folder`; or of none. */
static void build_base(struct cpio *cpio, const char *folder)
{
	struct kernel_modules modules = { 0 };
	const struct exec_base base = { .modules_folder = folder, .modules = &modules };

	if (folder)
		assert_int_equal(kernel_modules_find(folder, exec_needed_modules,
						     EXEC_NEEDED_MODULES, &modules, NULL),
				 0);
	assert_int_equal(cpio_init(cpio, 1 << 20), 0);
	assert_int_equal(exec_base_build(cpio, &base), 0);
	kernel_modules_destroy(&modules);
}

static void test_base_has_init_and_modules(void **state)
{
	struct cpio cpio;
	char folder[128];

	snprintf(folder, sizeof(folder), "%s/lib/modules/6.1", (char *)*state);
	build_base(&cpio, folder);
	assert_true(HOLDS(&cpio, "M/.kinglet/virtio_pci.ko\0M/.kinglet/virtio.ko\0"
				 "M/.kinglet/virtio_console.ko"));
	assert_true(HOLDS(&cpio, "dev/console"));
	assert_true(HOLDS(&cpio, ".kinglet/virtio.ko"));
	assert_true(holds(&cpio, guest_init, guest_init_len));
	cpio_destroy(&cpio);
	build_base(&cpio, NULL);
	assert_true(HOLDS(&cpio, ".kinglet/modules"));
	assert_false(HOLDS(&cpio, "virtio"));
	cpio_destroy(&cpio);
}

static uint64_t hash_of_base(const char *below)
{
	struct cpio cpio;
	char folder[128];
	uint64_t hash;

	snprintf(folder, sizeof(folder), "%s/%s", getenv("D"), below);
	build_base(&cpio, folder);
	assert_int_equal(exec_base_hash(&cpio, &hash), 0);
	cpio_destroy(&cpio);
	return hash;
}

/* What a snapshot of a guest that has unpacked the base is good for. */
static void test_hash_of_a_base_is_of_its_content(void **state)
{
	uint64_t hash = hash_of_base("lib/modules/6.1");

	(void)state;
	assert_int_equal(system("cp -r $D/lib/modules/6.1 $D/moved && touch $D/moved/*"), 0);
	assert_true(hash_of_base("moved") == hash);
	assert_int_equal(system("echo 4 >$D/moved/b/virtio.ko"), 0);
	assert_true(hash_of_base("moved") != hash);
	assert_int_equal(system("echo 3 >$D/moved/b/virtio.ko"), 0);
	assert_true(hash_of_base("moved") == hash);
	/* Another order. */
	assert_int_equal(system("cd $D/moved && echo 'a/virtio_console.ko:' >modules.dep && "
				"echo 'a/virtio_pci.ko: b/virtio.ko' >>modules.dep"),
			 0);
	assert_true(hash_of_base("moved") != hash);
}

/*
 * The base in RAM, and the files of both archives in a tmpfs, which may use half of the rest, in
 * pages and in files.
 */
static void test_memory_for_the_image(void **state)
{
	static const char *const paths[] = { "a", "b", "c/d" };
	static const char bytes[5 * 4096];
	struct cpio base, cpio;

	(void)state;
	assert_int_equal(cpio_init(&base, 1 << 20), 0);
	assert_int_equal(cpio_add(&base, &(struct cpio_entry){ .path = "f", .mode = S_IFREG | 0600,
							       .data = "x", .len = 1, .fd = -1 }),
			 0);
	assert_int_equal(cpio_init(&cpio, 1 << 20), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(paths); i++) {
		const struct cpio_entry entry = {
			.path = paths[i], .mode = S_IFREG | 0600, .data = "x", .len = 1, .fd = -1
		};

		assert_int_equal(cpio_add(&cpio, &entry), 0);
	}
	/* Four pages, but with the folder five files. */
	assert_int_equal(exec_image_memory(&base, &cpio), base.len + 2 * 5 * 4096);
	assert_int_equal(cpio_add(&cpio, &(struct cpio_entry){ .path = "e", .mode = S_IFREG | 0600,
							       .data = bytes,
							       .len = sizeof(bytes) - 1, .fd = -1 }),
			 0);
	assert_int_equal(exec_image_memory(&base, &cpio), base.len + 2 * 9 * 4096);
	cpio_destroy(&cpio);
	cpio_destroy(&base);
}

/* Our own init serves as a static program. */
static void test_static_program_goes_to_bin(void **state)
{
	char path[128];
	char *args[] = { path, (char *)"argument", NULL }, *env[] = { NULL };
	const struct exec_image image = { .folder = "/", .env = env, .args = args };
	struct cpio cpio;
	int fd;

	snprintf(path, sizeof(path), "%s/program", (char *)*state);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	assert_int_equal(write(fd, guest_init, guest_init_len), guest_init_len);
	close(fd);
	assert_int_equal(cpio_init(&cpio, 1 << 20), 0);
	assert_int_equal(exec_image_build(&cpio, &image), 0);
	assert_true(HOLDS(&cpio, "bin/program"));
	assert_true(HOLDS(&cpio, "C/\0A/bin/program\0Aargument"));
	cpio_destroy(&cpio);
}

/* --- Kernels ---------------------------------------------------------------------------------- */

static void list(const char *folder, char *text, size_t len)
{
	char boot[128], modules[128];
	const struct kernel_places places = { .boot = boot, .modules = modules, .running = "6.1" };
	FILE *out = fmemopen(text, len, "w");

	snprintf(boot, sizeof(boot), "%s/boot", folder);
	snprintf(modules, sizeof(modules), "%s/lib/modules", folder);
	assert_int_equal(kernels_print(out, &places), 0);
	fclose(out);
}

static void test_list_says_what_is_missing(void **state)
{
	char text[2048], *line;

	list(*state, text, sizeof(text));
	line = strchr(text, '\n') + 1;
	assert_memory_equal(line, "* /tmp/", 7);
	assert_non_null(strstr(line, "/boot/vmlinuz-6.1 "));
	assert_non_null(strstr(line, "/lib/modules/6.1 "));
	assert_non_null(strstr(line, " nothing\n  /tmp/"));
	assert_non_null(strstr(line, " modules, unless virtio is built in\nThe one with a star"));

	assert_int_equal(system("echo >$D/lib/modules/6.1/modules.dep"), 0);
	list(*state, text, sizeof(text));
	assert_non_null(strstr(text, " virtio_pci\n"));
	assert_int_equal(system("rm $D/lib/modules/6.1/modules.dep"), 0);
	list(*state, text, sizeof(text));
	assert_non_null(strstr(text, " modules.dep: depmod 6.1, as root\n"));
	assert_int_equal(system("rm $D/boot/*"), 0);
	list(*state, text, sizeof(text));
	assert_non_null(strstr(text, "apt-get install linux-image-cloud-amd64"));
}

static void test_modules_folder(void **state)
{
	static const char *const given[] = { NULL, "lib/modules/6.1", "lib/modules", "" };
	char modules[128], kernel[128], path[160], expected[160];
	const struct kernel_places places = { .boot = "", .modules = modules, .running = "" };
	char *folder;

	snprintf(modules, sizeof(modules), "%s/lib/modules", (char *)*state);
	/* A name without a version: its content counts. */
	assert_int_equal(system("cp $D/boot/vmlinuz-6.1 $D/kernel"), 0);
	snprintf(kernel, sizeof(kernel), "%s/kernel", (char *)*state);
	snprintf(expected, sizeof(expected), "%s/lib/modules/6.1", (char *)*state);
	for (unsigned i = 0; i < ARRAY_SIZE(given); i++) {
		snprintf(path, sizeof(path), "%s%s%s", (char *)*state, given[i] && *given[i] ? "/" : "",
			 given[i] ? given[i] : "");
		assert_int_equal(kernels_modules_folder(&places, kernel, given[i] ? path : NULL,
							&folder),
				 0);
		assert_string_equal(folder, expected);
		free(folder);
	}
	/* Its version cannot be read. */
	assert_int_equal(system("gzip -c $D/boot/vmlinuz-6.1 >$D/packed && "
				"mv $D/packed $D/boot/vmlinuz-6.1"),
			 0);
	snprintf(kernel, sizeof(kernel), "%s/boot/vmlinuz-6.1", (char *)*state);
	assert_int_equal(kernels_modules_folder(&places, kernel, NULL, &folder), 0);
	assert_string_equal(folder, expected);
	free(folder);
	/* A version without a folder may need none. */
	snprintf(kernel, sizeof(kernel), "%s/boot/vmlinuz-5.9", (char *)*state);
	assert_int_equal(kernels_modules_folder(&places, kernel, NULL, &folder), 0);
	assert_null(folder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_wrong_use_is_refused_in_one_line),
		TEST(test_options_decide_about_saved_machines),
		TEST(test_image_tells_init_what_to_do),
		TEST(test_live_root_is_not_copied),
		TEST(test_base_has_init_and_modules),
		TEST(test_hash_of_a_base_is_of_its_content),
		TEST(test_memory_for_the_image),
		TEST(test_static_program_goes_to_bin),
		TEST(test_list_says_what_is_missing),
		TEST(test_modules_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
