/* SPDX-License-Identifier: Apache-2.0 */
/* Archives in the form of Documentation/driver-api/early-userspace/buffer-format.rst. */
#include "capture.h"
#include "cmd/cpio.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { MAX = 1 << 20 };

static int setup(void **state)
{
	struct cpio *cpio = test_calloc(1, sizeof(*cpio));

	assert_int_equal(cpio_init(cpio, MAX), 0);
	*state = cpio;
	return 0;
}

static int teardown(void **state)
{
	cpio_destroy(*state);
	test_free(*state);
	return 0;
}

static struct cpio_entry file(const char *path, const char *text)
{
	return (struct cpio_entry){
		.path = path, .mode = S_IFREG | 0644, .data = text, .len = strlen(text), .fd = -1
	};
}

static int add_file(struct cpio *cpio, const char *path, const char *text)
{
	const struct cpio_entry entry = file(path, text);

	return cpio_add(cpio, &entry);
}

static unsigned hex(const char *field)
{
	char digits[9] = "", *end;
	unsigned value;

	memcpy(digits, field, 8);
	value = (unsigned)strtoul(digits, &end, 16);
	assert_ptr_equal(end, digits + 8);
	return value;
}

/* What Linux would find: "MODE INO LINKS UID:GID MAJOR:MINOR PATH=CONTENT", a line for each. */
static const char *listing(struct cpio *cpio)
{
	static char text[8192];
	size_t used = 0;
	const char *at, *end;
	void *image;

	assert_int_equal(lseek(cpio->fd, 0, SEEK_END), cpio->len);
	image = mmap(NULL, cpio->len, PROT_READ, MAP_PRIVATE, cpio->fd, 0);
	assert_ptr_not_equal(image, MAP_FAILED);
	at = image;
	end = at + cpio->len;
	text[0] = '\0';
	while (at < end) {
		unsigned f[13];
		const char *name;

		assert_int_equal((at - (char *)image) % 4, 0);
		assert_memory_equal(at, "070701", 6);
		for (unsigned i = 0; i < 13; i++)
			f[i] = hex(at + 6 + 8 * i);
		name = at + 110;
		assert_int_equal(strlen(name) + 1, f[11]);
		at = (char *)image + ((name + f[11] - (char *)image + 3) & ~3);
		if (strcmp(name, "TRAILER!!!") == 0) {
			assert_ptr_equal(at, end);
			break;
		}
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "%o %u %u %u:%u %u:%u %s%s%.*s\n", f[1], f[0], f[4], f[2],
					 f[3], f[9], f[10], name, f[6] ? "=" : "", (int)f[6], at);
		at = (char *)image + ((at + f[6] - (char *)image + 3) & ~3);
	}
	munmap(image, cpio->len);
	return text;
}

/* Byte for byte, as GNU cpio writes it. */
static void test_bytes(void **state)
{
	static const char expected[] =
		"070701" "00000001" "000081ed" "00000000" "00000000" "00000001" "00000007"
		"00000005" "00000000" "00000000" "00000000" "00000000" "00000005" "00000000"
		"init\0\0" "hello\0\0\0"
		"070701" "00000000" "00000000" "00000000" "00000000" "00000001" "00000000"
		"00000000" "00000000" "00000000" "00000000" "00000000" "0000000b" "00000000"
		"TRAILER!!!\0\0\0\0";
	const struct cpio_entry entry = { .path = "/init", .mode = S_IFREG | 0755, .mtime = 7,
					  .data = "hello", .len = 5, .fd = -1 };
	struct cpio *cpio = *state;
	char image[sizeof(expected)];

	assert_int_equal(cpio_add(cpio, &entry), 0);
	assert_int_equal(cpio_finish(cpio), 0);
	assert_int_equal(pread(cpio->fd, image, sizeof(image), 0), sizeof(expected) - 1);
	assert_memory_equal(image, expected, sizeof(expected) - 1);
}

static void test_parents_are_made_once(void **state)
{
	const struct cpio_entry console = { .path = "dev/console", .mode = S_IFCHR | 0600,
					    .major = 5, .minor = 1, .fd = -1 };
	const struct cpio_entry link = { .path = "/lib", .mode = S_IFLNK | 0777,
					 .data = "usr/lib", .len = 7, .fd = -1 };
	struct cpio *cpio = *state;

	assert_int_equal(add_file(cpio, "//usr/./lib//a", "A"), 0);
	assert_int_equal(add_file(cpio, "usr/lib/b", ""), 0);
	assert_int_equal(cpio_add(cpio, &console), 0);
	assert_int_equal(cpio_add(cpio, &link), 0);
	assert_int_equal(add_file(cpio, "lib/c", "C"), 0);
	assert_int_equal(cpio_finish(cpio), 0);
	assert_string_equal(listing(cpio), "40755 1 1 0:0 0:0 usr\n"
					   "40755 2 1 0:0 0:0 usr/lib\n"
					   "100644 3 1 0:0 0:0 usr/lib/a=A\n"
					   "100644 4 1 0:0 0:0 usr/lib/b\n"
					   "40755 5 1 0:0 0:0 dev\n"
					   "20600 6 1 0:0 5:1 dev/console\n"
					   "120777 7 1 0:0 0:0 lib=usr/lib\n"
					   "100644 8 1 0:0 0:0 lib/c=C\n");
}

static void test_wrong_paths_are_refused(void **state)
{
	struct cpio *cpio = *state;
	char path[4096 + 8];

	assert_int_equal(add_file(cpio, "", "x"), -EINVAL);
	assert_int_equal(add_file(cpio, "/./", "x"), -EINVAL);
	assert_int_equal(add_file(cpio, "a/../b", "x"), -EINVAL);
	assert_int_equal(add_file(cpio, "..", "x"), -EINVAL);
	memset(path, 'a', sizeof(path));
	path[4096] = '\0';
	assert_int_equal(add_file(cpio, path, "x"), -EINVAL);
	path[4095] = '\0';
	assert_int_equal(add_file(cpio, path, "x"), 0);
	assert_int_equal(add_file(cpio, "..a", "x"), 0);
	assert_int_equal(add_file(cpio, "..a/b", "x"), -ENOTDIR);
}

static void test_archive_is_bounded(void **state)
{
	struct cpio *cpio = *state;
	struct cpio_entry entry = { .path = "zeroes", .mode = S_IFREG, .len = UINT64_MAX };

	entry.fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	assert_int_equal(cpio_add(cpio, &entry), -EFBIG);
	entry.len = MAX - 109;
	assert_int_equal(cpio_add(cpio, &entry), -EFBIG);
	assert_true(cpio->len <= MAX);
	while (!add_file(cpio, "again", "and again"))
		assert_true(cpio->len <= MAX);
	assert_true(cpio->len <= MAX);
	assert_int_equal(cpio_finish(cpio), -EFBIG);
	close_fd(&entry.fd);
}

static void test_file_that_shrinks_is_an_error(void **state)
{
	struct cpio_entry entry = { .path = "file", .mode = S_IFREG, .len = 100 };
	struct cpio *cpio = *state;

	entry.fd = memfd_create("file", MFD_CLOEXEC);
	assert_int_equal(write(entry.fd, "short", 5), 5);
	assert_int_equal(cpio_add(cpio, &entry), -EIO);
	close_fd(&entry.fd);
}

/* --- Folders ---------------------------------------------------------------------------------- */

static void run(const char *command)
{
	assert_int_equal(system(command), 0);
}

static void make_folder(char folder[64], const char *script)
{
	char command[1024];

	snprintf(folder, 64, "/tmp/test_cpio.XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(command, sizeof(command), "umask 022; cd %s && %s", folder, script);
	run(command);
}

static void remove_folder(const char *folder)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	run(command);
}

static void test_folder(void **state)
{
	struct cpio *cpio = *state;
	char folder[64], slashes[80];

	make_folder(folder, "mkdir -p b/d && echo -n two >b/two && chmod 4711 b/two && "
			    "ln b/two b/d/second && ln -s ../b a && mkfifo c && chmod 700 .");
	snprintf(slashes, sizeof(slashes), "%s//", folder);
	assert_int_equal(cpio_add_folder(cpio, slashes, "/x/y/"), 0);
	assert_int_equal(cpio_finish(cpio), 0);
	assert_string_equal(listing(cpio), "40755 1 1 0:0 0:0 x\n"
					   "40700 2 1 0:0 0:0 x/y\n"
					   "120777 3 1 0:0 0:0 x/y/a=../b\n"
					   "40755 4 1 0:0 0:0 x/y/b\n"
					   "40755 5 1 0:0 0:0 x/y/b/d\n"
					   "104711 6 2 0:0 0:0 x/y/b/d/second=two\n"
					   "104711 6 2 0:0 0:0 x/y/b/two\n"
					   "10644 7 1 0:0 0:0 x/y/c\n");
	remove_folder(folder);
}

/* Inode numbers identify files within a folder; another folder may be on another file system. */
static void test_links_of_two_folders_are_apart(void **state)
{
	struct cpio *cpio = *state;
	char folder[64];

	make_folder(folder, "echo -n x >a && ln a b");
	assert_int_equal(cpio_add_folder(cpio, folder, "/x"), 0);
	assert_int_equal(cpio_add_folder(cpio, folder, "/y"), 0);
	assert_int_equal(cpio_finish(cpio), 0);
	assert_string_equal(listing(cpio), "40700 1 1 0:0 0:0 x\n"
					   "100644 2 2 0:0 0:0 x/a=x\n"
					   "100644 2 2 0:0 0:0 x/b\n"
					   "40700 3 1 0:0 0:0 y\n"
					   "100644 4 2 0:0 0:0 y/a=x\n"
					   "100644 4 2 0:0 0:0 y/b\n");
	remove_folder(folder);
}

static void test_folder_as_root(void **state)
{
	struct cpio *cpio = *state;
	char folder[64];

	make_folder(folder, "mkdir bin && echo -n x >bin/x");
	assert_int_equal(cpio_add_folder(cpio, folder, "/"), 0);
	assert_int_equal(cpio_finish(cpio), 0);
	assert_string_equal(listing(cpio), "40755 1 1 0:0 0:0 bin\n"
					   "100644 2 1 0:0 0:0 bin/x=x\n");
	remove_folder(folder);
}

/* devpts has at least one node, and is mounted wherever there are terminals. */
static void test_folder_leaves_out_mounts(void **state)
{
	struct cpio *cpio = *state;

	assert_int_equal(cpio_add_folder(cpio, "/dev", "/dev"), 0);
	assert_int_equal(cpio_finish(cpio), 0);
	assert_null(strstr(listing(cpio), "dev/pts/"));
}

static void test_folder_errors_name_the_file(void **state)
{
	struct cpio *cpio = *state;
	struct capture capture;
	char folder[64], text[512];

	make_folder(folder, "mkdir sub && truncate -s 2M sub/big");
	capture_stderr_begin(&capture);
	assert_int_equal(cpio_add_folder(cpio, folder, "/"), -EFBIG);
	assert_int_equal(cpio_add_folder(cpio, "/nowhere", "/"), -ENOENT);
	capture_stderr_end(&capture, text, sizeof(text));
	assert_non_null(strstr(text, "/sub/big: does not fit: the image may have 1 MiB\n"));
	assert_non_null(strstr(text, "/nowhere: No such file or directory\n"));
	remove_folder(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_parents_are_made_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_paths_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_archive_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file_that_shrinks_is_an_error, setup, teardown),
		cmocka_unit_test_setup_teardown(test_folder, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links_of_two_folders_are_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_folder_as_root, setup, teardown),
		cmocka_unit_test_setup_teardown(test_folder_leaves_out_mounts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_folder_errors_name_the_file, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
