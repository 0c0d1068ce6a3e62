/* SPDX-License-Identifier: Apache-2.0 */
/* No output overwrites an input or another output, under any names. */
#include "cmd/commands.h"
#include "cli/files.h"

#include "capture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

struct folder {
	char path[32];
	char before[4096];
};

static void write_file(const char *name, const char *text)
{
	FILE *out = fopen(name, "we");

	assert_non_null(out);
	fputs(text, out);
	assert_int_equal(fclose(out), 0);
}

/* A folder with a kernel under three names, and dangling links. */
static int setup(void **state)
{
	struct folder *folder = calloc(1, sizeof(*folder));

	if (!folder || !getcwd(folder->before, sizeof(folder->before)))
		return -1;
	strcpy(folder->path, "/tmp/kinglet-files-XXXXXX");
	if (!mkdtemp(folder->path) || chdir(folder->path) < 0)
		return -1;
	write_file("kernel", "a kernel");
	write_file("initrd", "an initrd");
	write_file("disk", "a disk");
	write_file("two", "a kernel --trace t\nb kernel --trace ./t\n");
	write_file("chain", "a kernel --trace t\nb t\n");
	write_file("one", "a kernel\n");
	write_file("pair", "a kernel\nb kernel\n");
	mkdir("sub", 0700);
	write_file("sub/init", "a program");
	if (symlink("kernel", "link") || link("kernel", "hard") || symlink("new", "dangling") ||
	    symlink("../new", "sub/dangling") || symlink("sub", "folder"))
		return -1;
	*state = folder;
	return 0;
}

static int teardown(void **state)
{
	static const char *const files[] = { "kernel", "initrd", "disk", "two", "chain", "one",
					     "pair", "link", "hard", "dangling", "sub/dangling", "sub/init",
					     "folder" };
	struct folder *folder = *state;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		unlink(files[i]);
	if (rmdir("sub") || chdir(folder->before) || rmdir(folder->path))
		return -1;
	free(folder);
	return 0;
}

static void nothing_is_overwritten(void **state)
{
	static const struct {
		const struct command *command;
		const char *args[8];
		const char *says;
	} cases[] = {
		{ &command_run, { "kernel", "--trace", "kernel" },
		  "--trace kernel: would overwrite KERNEL kernel" },
		{ &command_run, { "--trace", "link", "kernel" }, "--trace link: would overwrite" },
		{ &command_run, { "kernel", "--explain=html", "hard" }, "would overwrite KERNEL" },
		{ &command_run, { "kernel", "--dump-fdt", "sub/../kernel" }, "would overwrite KERNEL" },
		{ &command_run, { "kernel", "--initrd", "initrd", "--trace=initrd" },
		  "--trace initrd: would overwrite --initrd initrd" },
		{ &command_run, { "kernel", "--disk", "disk,readonly", "--trace", "./disk" },
		  "would overwrite --disk disk" },
		{ &command_run, { "kernel", "--disk=kernel", "--disk=disk", "--trace=disk" },
		  "would overwrite --disk disk" },
		{ &command_run, { "kernel", "--scsi=disk", "--trace=disk" },
		  "would overwrite --scsi disk" },
		{ &command_run, { "kernel", "--module=initrd,args=x", "--trace=initrd" },
		  "would overwrite --module initrd" },
		/* Disks of one machine. */
		{ &command_run, { "kernel", "--disk=disk", "--disk=./disk,readonly" },
		  "--disk ./disk: is --disk disk, too; give it once, or readonly or copy both times" },
		{ &command_run, { "kernel", "--disk=disk,readonly", "--scsi=sub/../disk" },
		  "--scsi sub/../disk: is --disk disk, too" },
		/* Files that do not exist yet. */
		{ &command_run, { "kernel", "--trace", "new", "--explain=html", "./new" },
		  "--trace new: --explain=html ./new writes to the same file; name another one" },
		{ &command_run, { "kernel", "--trace", "folder/new", "--explain=html", "sub/new" },
		  "writes to the same file" },
		{ &command_run, { "kernel", "--trace", "dangling", "--explain=html", "new" },
		  "writes to the same file" },
		{ &command_run, { "kernel", "--trace", "sub/dangling", "--explain=html", "new" },
		  "writes to the same file" },
		/* The other commands. */
		{ &command_exec, { "kernel", "--trace", "disk", "--", "./disk" },
		  "--trace disk: would overwrite PROGRAM ./disk" },
		{ &command_exec, { "kernel", "--root", "sub", "--trace", "sub/init", "--", "init" },
		  "--trace sub/init: would overwrite --root sub" },
		{ &command_exec, { "kernel", "--dir", "folder:/sub", "--trace=sub/init", "--", "./disk" },
		  "--trace sub/init: would overwrite --dir folder" },
		{ &command_test, { "kernel", "--report", "r", "--junit", "r" },
		  "--junit r: --report r writes to the same file" },
		{ &command_test, { "kernel", "--symbols", "disk", "--report", "disk" },
		  "--report disk: would overwrite --symbols disk" },
		{ &command_test, { "--list", "one", "--junit", "one" },
		  "--junit one: would overwrite --list one" },
		{ &command_test, { "--list", "one", "--report", "link" },
		  "--report link: would overwrite KERNEL kernel" },
		{ &command_test, { "--list", "two" }, "--trace ./t: --trace t writes to the same" },
		{ &command_test, { "--list", "pair", "--trace", "t" }, "writes to the same file" },
		{ &command_run, { "kernel", "--trace", "no/folder" },
		  "--trace no/folder: No such file or directory" },
		{ &command_test, { "--list", "chain" }, "--trace t: would overwrite KERNEL t" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct capture capture;
		char said[2048], *argv[8];
		int argc = 0, status;
		struct stat st;

		for (; argc < 8 && cases[i].args[argc]; argc++)
			argv[argc] = (char *)cases[i].args[argc];
		capture_stderr_begin(&capture);
		status = command_execute(cases[i].command, argc, argv);
		capture_stderr_end(&capture, said, sizeof(said));
		assert_int_equal(status, EXIT_USAGE);
		if (!strstr(said, cases[i].says))
			fail_msg("case %zu: no \"%s\" in: %s", i, cases[i].says, said);
		assert_int_equal(stat("kernel", &st), 0);
		assert_int_equal(st.st_size, 8);
		assert_int_equal(stat("disk", &st), 0);
		assert_int_equal(st.st_size, 6);
	}
}

static void standard_streams_are_files_too(void **state)
{
	static const char *const says[] = {
		"--trace disk: would overwrite standard input /dev/stdin",
		"--trace disk: would overwrite standard output /dev/stdout",
	};

	(void)state;
	for (int fd = STDIN_FILENO; fd <= STDOUT_FILENO; fd++) {
		char *argv[] = { (char *)"kernel", (char *)"--trace", (char *)"disk", NULL };
		int file = open("disk", O_RDWR | O_CLOEXEC), before, status;
		struct capture capture;
		char said[2048];

		fflush(stdout);
		before = dup(fd);
		assert_int_equal(dup2(file, fd), fd);
		capture_stderr_begin(&capture);
		status = command_execute(&command_run, 3, argv);
		capture_stderr_end(&capture, said, sizeof(said));
		assert_int_equal(dup2(before, fd), fd);
		close(before);
		close(file);
		assert_int_equal(status, EXIT_USAGE);
		assert_non_null(strstr(said, says[fd]));
	}
}

static void what_is_not_the_same_may_be(void **state)
{
	static const char *const paths[][2] = {
		{ "sub/new", "new" },	/* one name, two folders */
		{ "new", "other" },	/* one folder, two names */
		{ "kernel", "initrd" },
		{ "/dev/null", "/dev/null" },	/* stores nothing */
		{ "no/folder", "no/folder" }, /* reported when opened */
	};
	struct file_id a, b;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		if (!file_identify(paths[i][0], &a) && !file_identify(paths[i][1], &b))
			assert_false(file_id_equal(&a, &b));
	assert_int_equal(file_identify("/dev/null", &a), -ENOTSUP);
	assert_int_equal(file_identify("no/folder", &a), -ENOENT);
	assert_int_equal(file_identify("/kinglet-new", &a), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_overwritten),
		cmocka_unit_test(standard_streams_are_files_too),
		cmocka_unit_test(what_is_not_the_same_may_be),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
