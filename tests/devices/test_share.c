/* SPDX-License-Identifier: Apache-2.0 */
/* --share: how virtiofsd is started, which is a short shell script here, and what is said of it. */
#include "devices/fs.h"
#include "capture.h"
#include "mock_ring.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct fixture {
	struct mock_env env;
	char folder[32], path_before[2000];
	struct share_config config;
};

static void put_script(const struct fixture *f, const char *name, const char *script)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", f->folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "#!/bin/sh\n%s", script);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0700), 0);
}

/* A program that writes its arguments to the file `args`, and ends. */
static void put_program(const struct fixture *f, const char *name)
{
	char script[200];

	snprintf(script, sizeof(script),
		 "printf '%%s|' \"$@\" >%s/args\necho 'no luck' >&2\nexit 3\n", f->folder);
	put_script(f, name, script);
}

static void set_path(const struct fixture *f, const char *folder)
{
	char path[2100];

	snprintf(path, sizeof(path), "%s%s:%s", f->folder, folder, f->path_before);
	setenv("PATH", path, 1);
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));
	char path[64];

	mock_env_init(&f->env);
	snprintf(f->folder, sizeof(f->folder), "/tmp/kinglet-share-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(path, sizeof(path), "%s/qemu", f->folder);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(f->path_before, sizeof(f->path_before), "%s", getenv("PATH"));
	set_path(f, "");
	f->config = (struct share_config){ .folder = f->folder, .tag = "share" };
	put_program(f, "virtiofsd");
	put_program(f, "qemu/virtiofsd");
	put_program(f, "unshare");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[100];

	snprintf(command, sizeof(command), "rm -r %s", f->folder);
	assert_int_equal(system(command), 0);
	setenv("PATH", f->path_before, 1);
	/* Neither a program nor a zombie. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(fake_open_fds(), f->env.fds);
	mock_env_destroy(&f->env);
	test_free(f);
	return 0;
}

/* What was said, and into `args` those of the first program of the command. */
static void start(struct fixture *f, char said[500], char args[1000])
{
	struct virtio_dev *dev = NULL;
	struct capture capture;
	char path[64];
	FILE *file;

	capture_stderr_begin(&capture);
	assert_int_equal(share_kind.create(&dev, &f->env.virtio, 0, &f->config), -EIO);
	capture_stderr_end(&capture, said, 500);
	assert_null(dev);
	snprintf(path, sizeof(path), "%s/args", f->folder);
	file = fopen(path, "r");
	assert_non_null(file);
	args[fread(args, 1, 999, file)] = '\0';
	fclose(file);
}

static void it_says_why_virtiofsd_ended(void **state)
{
	struct fixture *f = *state;
	char said[500], args[1000], want[1000];

	start(f, said, args);
	snprintf(want, sizeof(want), "kinglet: share %s: virtiofsd: exit status 3: no luck\n",
		 f->folder);
	assert_non_null(strstr(said, want));
	snprintf(want, sizeof(want), "--fd=3|--shared-dir=%s|--cache=auto|", f->folder);
	assert_string_equal(args, want);
}

/* Without root in a user namespace. */
static void the_one_of_qemu_has_other_options(void **state)
{
	struct fixture *f = *state;
	char said[500], args[1000], want[1000];
	const char *root = geteuid() ? "--user|--map-root-user|%1$s/qemu/virtiofsd|" : "";

	set_path(f, "/qemu");
	if (geteuid())
		put_program(f, "qemu/unshare");
	f->config.cache = SHARE_CACHE_NONE;
	start(f, said, args);
	snprintf(want, sizeof(want), root, f->folder);
	snprintf(want + strlen(want), sizeof(want) - strlen(want),
		 "--fd=3|-o|source=%s|-o|cache=none|", f->folder);
	assert_string_equal(args, want);
}

static void a_folder_is_read_only_by_its_mount(void **state)
{
	struct fixture *f = *state;
	char said[500], args[1000], end[200];
	const char *begin = geteuid() ? "--user|--map-root-user|--mount|sh|-c|mount --bind " :
					"--mount|sh|-c|mount --bind ";

	f->config.readonly = true;
	start(f, said, args);
	assert_memory_equal(args, begin, strlen(begin));
	snprintf(end, sizeof(end), "|%1$s|%1$s/virtiofsd|--fd=3|--shared-dir=/sys|--cache=auto|",
		 f->folder);
	assert_string_equal(args + strlen(args) - strlen(end), end);
}

static void one_that_cannot_be_mounted_so_is_not_shared(void **state)
{
	struct fixture *f = *state;
	char said[500], args[1000];

	put_script(f, "unshare", "while [ $1 != sh ]; do shift; done\nexec \"$@\"\n");
	put_program(f, "mount");
	f->config.readonly = true;
	start(f, said, args);
	assert_memory_equal(args, "--bind|", 7);
	assert_non_null(strstr(said, ": virtiofsd: exit status 1: cannot be mounted read-only: "
				     "without root, nothing may be mounted below it\n"));
}

static void what_cannot_be_shared_is_refused_before(void **state)
{
	struct fixture *f = *state;
	struct virtio_dev *dev;
	struct capture capture;
	char path[64];

	assert_int_equal(share_kind.check(&f->config, NULL), 0);
	f->config.folder = "/nonexistent";
	capture_stderr_begin(&capture);
	assert_int_equal(share_kind.check(&f->config, NULL), -ENOENT);
	capture_expect_all(&capture, "kinglet: share /nonexistent: No such file or directory\n");
	f->config.folder = "/dev/null";
	capture_stderr_begin(&capture);
	assert_int_equal(share_kind.check(&f->config, NULL), -ENOTDIR);
	capture_expect_all(&capture, "kinglet: share /dev/null: Not a directory\n");
	capture_stderr_begin(&capture);
	assert_int_equal(share_kind.create(&dev, &f->env.virtio, 0, &f->config), -ENOTDIR);
	capture_expect_all(&capture, "kinglet: share /dev/null: Not a directory\n");
	snprintf(path, sizeof(path), "%s/a,b", f->folder);
	assert_int_equal(mkdir(path, 0700), 0);
	f->config.folder = path;
	assert_int_equal(share_kind.check(&f->config, NULL), 0);
	set_path(f, "/qemu");
	capture_stderr_begin(&capture);
	assert_int_equal(share_kind.check(&f->config, NULL), -EINVAL);
	capture_expect(&capture, "this virtiofsd takes no path with a comma");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_says_why_virtiofsd_ended),
		TEST(the_one_of_qemu_has_other_options),
		TEST(a_folder_is_read_only_by_its_mount),
		TEST(one_that_cannot_be_mounted_so_is_not_shared),
		TEST(what_cannot_be_shared_is_refused_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
