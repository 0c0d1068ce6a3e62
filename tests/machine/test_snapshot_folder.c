/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot's folder is the old one or the new one, whole, whatever happens. */
#include "../../vmm/machine/snapshot_folder.h"

#include "base/files.h"
#include "capture.h"
#include "unit.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

static int setup(void **state)
{
	char *place = strdup("/tmp/kinglet-folder-XXXXXX");

	*state = place;
	return mkdtemp(place) && !chdir(place) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", (char *)*state);
	free(*state);
	return chdir("/") || system(command); /* NOLINT: no input */
}

static int fill(const struct snapshot_folder *folder, const char *text)
{
	int ret = write_all(folder->state_fd, text, strlen(text));

	return ret ? ret : write_all(folder->memory_fd, text, strlen(text));
}

static int save(const char *dir, const char *text)
{
	struct snapshot_folder folder;
	int ret = snapshot_folder_begin(&folder, dir);

	if (ret)
		return ret;
	ret = fill(&folder, text);
	if (!ret)
		return snapshot_folder_commit(&folder);
	snapshot_folder_abort(&folder);
	return ret;
}

static void save_refused(const char *dir, int error, const char *part)
{
	struct capture capture;
	int ret;

	capture_stderr_begin(&capture);
	ret = save(dir, "refused");
	capture_expect(&capture, part);
	assert_int_equal(ret, -error);
}

static void check_refused(const char *dir, int error, const char *part)
{
	struct capture capture;
	int ret;

	capture_stderr_begin(&capture);
	ret = snapshot_check_target(dir);
	capture_expect(&capture, part);
	assert_int_equal(ret, -error);
}

static void file_has(const char *dir, const char *name, const char *text)
{
	char path[128], got[32] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(read(fd, got, sizeof(got) - 1) >= 0);
	close(fd);
	assert_string_equal(got, text);
}

static void is_whole(const char *dir, const char *text)
{
	file_has(dir, "state", text);
	file_has(dir, "memory", text);
}

static unsigned entries(const char *dir)
{
	DIR *list = opendir(dir);
	unsigned count = 0;

	assert_non_null(list);
	while (readdir(list))
		count++;
	closedir(list);
	return count - 2;
}

static void create(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static void test_a_snapshot_takes_the_place_of_an_older_one(void **state)
{
	struct stat st;

	assert_int_equal(save("s", "one"), 0);
	is_whole("s", "one");
	assert_int_equal(save("s", "two"), 0);
	is_whole("s", "two");
	assert_int_equal(entries(*state), 1);
	assert_int_equal(entries("s"), 2);
	assert_int_equal(stat("s", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat("s/memory", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_any_name_of_a_folder_will_do(void **state)
{
	char path[128];

	assert_int_equal(mkdir("empty", 0755), 0);
	assert_int_equal(save("empty", "one"), 0);
	is_whole("empty", "one");
	assert_int_equal(save("./slashes///", "two"), 0);
	is_whole("slashes", "two");
	assert_int_equal(save("empty/../slashes/", "three"), 0);
	is_whole("slashes", "three");
	snprintf(path, sizeof(path), "%s/absolute", (char *)*state);
	assert_int_equal(save(path, "four"), 0);
	is_whole("absolute", "four");
	assert_int_equal(entries(*state), 3);
}

/* A user may number snapshots so: it was where the next s was written. */
static void test_a_snapshot_called_new_stays(void **state)
{
	assert_int_equal(save("s.new", "one"), 0);
	assert_int_equal(save("s", "two"), 0);
	is_whole("s.new", "one");
	is_whole("s", "two");
	assert_int_equal(entries(*state), 2);
}

static void test_what_is_no_snapshot_is_left_alone(void **state)
{
	static const char message[] = "name a new one";

	create("file");
	save_refused("file", ENOTDIR, message);
	assert_int_equal(mkdir("others", 0755), 0);
	create("others/thing");
	save_refused("others", EEXIST, message);
	create("others/state");
	save_refused("others", EEXIST, message);
	assert_int_equal(save("s", "one"), 0);
	assert_int_equal(symlink("s", "link"), 0);
	save_refused("link", ENOTDIR, message);
	save_refused("link/", ENOTDIR, message);
	assert_int_equal(symlink("nowhere", "dangling"), 0);
	save_refused("dangling", ENOTDIR, message);
	assert_int_equal(symlink("s", ".t.kinglet-new"), 0);
	save_refused("t", ENOTDIR, message);
	save_refused("none/s", ENOENT, "snapshot none/s: No such file");
	is_whole("s", "one");
	assert_int_equal(entries("others"), 2);
	assert_int_equal(entries(*state), 6);
}

/* When the machine is saved, it may have run for hours. */
static void test_what_a_save_would_refuse_is_known_before(void **state)
{
	static const char message[] = "name a new one";

	create("file");
	check_refused("file", ENOTDIR, message);
	assert_int_equal(mkdir("others", 0755), 0);
	create("others/thing");
	check_refused("others/", EEXIST, message);
	assert_int_equal(symlink("others", "link"), 0);
	check_refused("link", ENOTDIR, message);
	check_refused("none/s", ENOENT, "snapshot none/s: No such file");
	assert_int_equal(mkdir(".t.kinglet-new", 0755), 0);
	create(".t.kinglet-new/thing");
	check_refused("t", EEXIST, message);
	assert_int_equal(snapshot_check_target("s/"), 0);
	assert_int_equal(save("s", "one"), 0);
	assert_int_equal(snapshot_check_target("s"), 0);
	is_whole("s", "one");
	assert_int_equal(entries(*state), 5);
	if (geteuid()) {
		assert_int_equal(chmod("others", 0500), 0);
		check_refused("others/s", EACCES, "snapshot others/s: Permission denied");
		assert_int_equal(chmod("others", 0700), 0);
	}
}

/* The user's folder may have that name; its files are not those of a killed run. */
static void test_a_folder_beside_it_is_left_alone(void **state)
{
	(void)state;
	assert_int_equal(mkdir(".s.kinglet-new", 0755), 0);
	create(".s.kinglet-new/state");
	create(".s.kinglet-new/thing");
	save_refused("s", EEXIST, "it, or .s.kinglet-new, is there");
	assert_int_equal(entries(".s.kinglet-new"), 2);
}

static void test_what_a_killed_run_has_left_is_used(void **state)
{
	assert_int_equal(save("s", "one"), 0);
	assert_int_equal(mkdir(".s.kinglet-new", 0700), 0);
	create(".s.kinglet-new/state");
	create(".s.kinglet-new/memory");
	assert_int_equal(save("s", "two"), 0);
	is_whole("s", "two");
	assert_int_equal(entries(*state), 1);
}

static void test_two_do_not_save_there_at_once(void **state)
{
	struct snapshot_folder folder;

	assert_int_equal(save("s", "one"), 0);
	assert_int_equal(snapshot_folder_begin(&folder, "s"), 0);
	save_refused("s", EBUSY, "another process saves a machine there");
	assert_int_equal(fill(&folder, "two"), 0);
	is_whole("s", "one");
	assert_int_equal(snapshot_folder_commit(&folder), 0);
	is_whole("s", "two");
	assert_int_equal(entries(*state), 1);
}

/* Another process may still hold the snapshot that it has just completed. */
static void test_a_locked_old_snapshot_stays(void **state)
{
	int fd;

	assert_int_equal(save("s", "one"), 0);
	fd = open("s", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	save_refused("s", EBUSY, "snapshot s: ");
	is_whole("s", "one");
	assert_int_equal(entries(*state), 1);
	close(fd);
	assert_int_equal(save("s", "two"), 0);
	is_whole("s", "two");
}

static void test_what_has_come_there_meanwhile_is_kept(void **state)
{
	struct snapshot_folder folder;
	struct capture capture;

	assert_int_equal(snapshot_folder_begin(&folder, "s"), 0);
	create("s");
	capture_stderr_begin(&capture);
	assert_int_equal(snapshot_folder_commit(&folder), -ENOTDIR);
	capture_expect(&capture, "snapshot s: ");
	assert_int_equal(entries(*state), 1);
}

static void test_an_aborted_one_leaves_nothing(void **state)
{
	struct snapshot_folder folder;

	assert_int_equal(save("s", "one"), 0);
	assert_int_equal(snapshot_folder_begin(&folder, "s"), 0);
	assert_int_equal(fill(&folder, "two"), 0);
	snapshot_folder_abort(&folder);
	is_whole("s", "one");
	assert_int_equal(entries(*state), 1);
}

static void test_a_file_that_cannot_grow_leaves_the_old_one(void **state)
{
	struct rlimit before, none;

	assert_int_equal(save("s", "one"), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = (struct rlimit){ 2, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(save("s", "two"), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	is_whole("s", "one");
	assert_int_equal(entries(*state), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_snapshot_takes_the_place_of_an_older_one),
		TEST(test_any_name_of_a_folder_will_do),
		TEST(test_a_snapshot_called_new_stays),
		TEST(test_what_is_no_snapshot_is_left_alone),
		TEST(test_what_a_save_would_refuse_is_known_before),
		TEST(test_a_folder_beside_it_is_left_alone),
		TEST(test_what_a_killed_run_has_left_is_used),
		TEST(test_two_do_not_save_there_at_once),
		TEST(test_a_locked_old_snapshot_stays),
		TEST(test_what_has_come_there_meanwhile_is_kept),
		TEST(test_an_aborted_one_leaves_nothing),
		TEST(test_a_file_that_cannot_grow_leaves_the_old_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
