/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The unpacker of exec's init, on archives that Kinglet writes: guest/unpack.c with this machine's
 * system calls, in an empty folder.
 */
#include "../../guest/log.h"
#include "../../guest/memory.h"
#include "../../guest/unpack.h"
#include "cmd/cpio.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MAX = 1 << 20, PIECE = 4096, MEMORIES = 64 };

struct fixture {
	struct cpio cpio;
	char folder[64];
	int before; /* the working directory */
};

/* --- What stands in for the guest ------------------------------------------------------------- */

/* Of the one unpack() that runs. */
static struct {
	jmp_buf given_up;
	char said[4096];
	void *memory[MEMORIES];
	unsigned memories;
	int full_at; /* the write(2) that finds no room, or 0 */
} guest;

long sys_call(long number, long a, long b, long c, long d, long e);
long sys_call(long number, long a, long b, long c, long d, long e)
{
	long ret;

	/* As from a port: at most a page. */
	if (number == SYS_read && c > PIECE)
		c = PIECE;
	if (number == SYS_write && guest.full_at && !--guest.full_at)
		return -ENOSPC;
	ret = syscall(number, a, b, c, d, e, 0);
	return ret < 0 ? -errno : ret;
}

void complain(const char *what, const char *name, int error)
{
	snprintf(guest.said, sizeof(guest.said), "%s: %.80s: %d", what, name, error);
}

void give_up(const char *what, const char *name, int error)
{
	complain(what, name, error);
	longjmp(guest.given_up, 1);
}

void *allocate(size_t len)
{
	assert_true(guest.memories < MEMORIES);
	return guest.memory[guest.memories++] = test_calloc(1, len);
}

/* Unpacks the first `len` bytes of `bytes` into the working directory. False when it gave up. */
static bool unpack_bytes(const void *bytes, size_t len)
{
	int fd = memfd_create("archive", MFD_CLOEXEC);
	bool done = false;

	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	guest.said[0] = '\0';
	if (!setjmp(guest.given_up)) {
		unpack(fd);
		done = true;
	}
	while (guest.memories)
		test_free(guest.memory[--guest.memories]);
	close(fd);
	return done;
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	snprintf(f->folder, sizeof(f->folder), "/tmp/test_unpack.XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	f->before = open(".", O_PATH | O_CLOEXEC);
	assert_int_equal(chdir(f->folder), 0);
	assert_int_equal(cpio_init(&f->cpio, MAX), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[200];

	assert_int_equal(fchdir(f->before), 0);
	close(f->before);
	snprintf(command, sizeof(command), "chmod -R u+rwx %s; rm -r %s", f->folder, f->folder);
	assert_int_equal(system(command), 0);
	cpio_destroy(&f->cpio);
	test_free(f);
	return 0;
}

static void add(struct fixture *f, const char *path, mode_t mode, const char *data)
{
	const struct cpio_entry entry = {
		.path = path, .mode = mode, .mtime = 1000000000, .uid = getuid(), .gid = getgid(),
		.data = data, .len = data ? strlen(data) : 0, .fd = -1,
	};

	assert_int_equal(cpio_add(&f->cpio, &entry), 0);
}

static const uint8_t *finish(struct fixture *f)
{
	void *bytes;

	assert_int_equal(cpio_finish(&f->cpio), 0);
	bytes = mmap(NULL, f->cpio.len, PROT_READ, MAP_PRIVATE, f->cpio.fd, 0);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	return bytes;
}

static void unpack_all(struct fixture *f)
{
	const uint8_t *bytes = finish(f);

	if (!unpack_bytes(bytes, f->cpio.len))
		fail_msg("%s", guest.said);
	munmap((void *)bytes, f->cpio.len);
	assert_string_equal(guest.said, "");
}

static struct stat status(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st;
}

static void expect(const char *path, mode_t mode, const char *text)
{
	struct stat st = status(path);
	char got[256] = "";
	ssize_t n;

	if (st.st_mode != mode)
		fail_msg("%s has mode %o", path, st.st_mode);
	assert_int_equal(st.st_mtime, 1000000000);
	if (S_ISREG(mode)) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		n = read(fd, got, sizeof(got) - 1);
		close(fd);
	} else {
		n = S_ISLNK(mode) ? readlink(path, got, sizeof(got) - 1) : 0;
	}
	assert_true(n >= 0);
	assert_string_equal(got, text);
}

/* --- Tests ------------------------------------------------------------------------------------ */

static void test_types_modes_and_times(void **state)
{
	struct fixture *f = *state;

	add(f, "folder", S_IFDIR | 01751, NULL);
	add(f, "folder/file", S_IFREG | 04640, "text");
	add(f, "folder/empty", S_IFREG | 0400, NULL);
	add(f, "link", S_IFLNK | 0777, "folder/nowhere");
	add(f, "pipe", S_IFIFO | 0622, NULL);
	add(f, "a/b/c", S_IFREG | 0600, "deep");
	unpack_all(f);
	expect("folder", S_IFDIR | 01751, "");
	expect("folder/file", S_IFREG | 04640, "text");
	expect("folder/empty", S_IFREG | 0400, "");
	expect("link", S_IFLNK | 0777, "folder/nowhere");
	expect("pipe", S_IFIFO | 0622, "");
	expect("a/b/c", S_IFREG | 0600, "deep");
	assert_int_equal(status("a/b").st_mode, S_IFDIR | 0755);
}

static void test_later_entries_replace(void **state)
{
	struct fixture *f = *state;

	add(f, "file", S_IFREG | 0600, "a long text");
	add(f, "file", S_IFREG | 0644, "short");
	add(f, "other", S_IFREG | 0600, "text");
	add(f, "other", S_IFLNK | 0777, "file");
	add(f, "other", S_IFLNK | 0777, "elsewhere");
	add(f, "link", S_IFLNK | 0777, "file");
	add(f, "link", S_IFREG | 0640, "own");
	add(f, "folder", S_IFDIR | 0700, NULL);
	add(f, "folder", S_IFDIR | 0711, NULL);
	unpack_all(f);
	expect("file", S_IFREG | 0644, "short");
	expect("other", S_IFLNK | 0777, "elsewhere");
	expect("link", S_IFREG | 0640, "own");
	expect("folder", S_IFDIR | 0711, "");
}

/* A folder of the host, as for --root, with files of several names among many others. */
static void test_hard_links_stay_together(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(system("mkdir from to && cd from && echo text >a && ln a b && mkdir d && "
				"ln a d/c && i=0; while [ $i -lt 70 ]; do "
				"echo $i >x$i; ln x$i y$i; i=$((i + 1)); done"),
			 0);
	assert_int_equal(cpio_add_folder(&f->cpio, "from", "/"), 0);
	assert_int_equal(chdir("to"), 0);
	unpack_all(f);
	assert_int_equal(system("diff -r . ../from && [ a -ef b ] && [ a -ef d/c ] && "
				"i=0; while [ $i -lt 70 ]; do "
				"[ x$i -ef y$i ] || exit 1; i=$((i + 1)); done"),
			 0);
	assert_int_equal(status("a").st_nlink, 3);
	assert_int_equal(chdir(".."), 0);
}

/* Over several of its buffers, at every offset in a page. */
static void test_large_files_are_whole(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(system("mkdir from to && for n in 1 3 4 5 4095 4096 4097 32768 33000 300001; "
				"do head -c $n /dev/urandom >from/$n; done"),
			 0);
	assert_int_equal(cpio_add_folder(&f->cpio, "from", "/"), 0);
	assert_int_equal(chdir("to"), 0);
	unpack_all(f);
	assert_int_equal(system("diff -r . ../from"), 0);
	assert_int_equal(chdir(".."), 0);
}

/* What Kinglet looks for, to say how much memory would do. */
static void test_no_room_is_told_in_the_words_of_the_kernel(void **state)
{
	struct fixture *f = *state;
	const uint8_t *bytes;

	add(f, "first", S_IFREG | 0600, "text");
	add(f, "second", S_IFREG | 0600, "text");
	bytes = finish(f);
	guest.full_at = 2;
	assert_false(unpack_bytes(bytes, f->cpio.len));
	assert_string_equal(guest.said, "Initramfs unpacking failed: write error: second: 28");
	munmap((void *)bytes, f->cpio.len);
}

/* As by the kernel: it may be a path that the program does not need. */
static void test_what_cannot_be_made_is_left_out(void **state)
{
	struct fixture *f = *state;
	const uint8_t *bytes;

	add(f, "link", S_IFLNK | 0777, "/proc/nonesuch");
	add(f, "link/file", S_IFREG | 0600, "not to be had");
	add(f, "after", S_IFREG | 0600, "text");
	bytes = finish(f);
	assert_true(unpack_bytes(bytes, f->cpio.len));
	assert_string_equal(guest.said, "cannot unpack: link/file: 2");
	expect("after", S_IFREG | 0600, "text");
	munmap((void *)bytes, f->cpio.len);
}

static void add_samples(struct fixture *f)
{
	add(f, "d", S_IFDIR | 0755, NULL);
	add(f, "d/file", S_IFREG | 0644, "some text");
	add(f, "link", S_IFLNK | 0777, "d/file");
	add(f, "pipe", S_IFIFO | 0600, NULL);
}

static void test_truncated_archives_are_refused(void **state)
{
	struct fixture *f = *state;
	const uint8_t *bytes;

	add_samples(f);
	bytes = finish(f);
	/* What follows the trailer's name is padding. */
	for (size_t len = 0; len + 4 < f->cpio.len; len++) {
		if (unpack_bytes(bytes, len))
			fail_msg("with %zu bytes it was whole", len);
		assert_string_equal(guest.said,
				    "the program's files: the archive ends too early: 0");
	}
	munmap((void *)bytes, f->cpio.len);
}

/* Each byte, one at a time: it ends, and says something if it gives up. */
static void test_damaged_archives_end(void **state)
{
	static const char values[] = { 'g', '0', '7', 'f', '\0' };
	struct fixture *f = *state;
	const uint8_t *bytes;
	unsigned refused = 0;
	uint8_t *copy;

	add_samples(f);
	bytes = finish(f);
	copy = test_malloc(f->cpio.len);
	for (size_t at = 0; at < f->cpio.len; at++) {
		memcpy(copy, bytes, f->cpio.len);
		for (unsigned i = 0; i < sizeof(values); i++) {
			copy[at] = (uint8_t)values[i];
			if (unpack_bytes(copy, f->cpio.len))
				continue;
			assert_string_not_equal(guest.said, "");
			refused++;
		}
	}
	test_free(copy);
	assert_true(refused > f->cpio.len);
	munmap((void *)bytes, f->cpio.len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_types_modes_and_times),
		TEST(test_later_entries_replace),
		TEST(test_hard_links_stay_together),
		TEST(test_large_files_are_whole),
		TEST(test_no_room_is_told_in_the_words_of_the_kernel),
		TEST(test_what_cannot_be_made_is_left_out),
		TEST(test_truncated_archives_are_refused),
		TEST(test_damaged_archives_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
