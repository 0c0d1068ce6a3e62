/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCSI targets, in a temporary folder that behaves like LIO's part of configfs: new folders contain
 * files and folders, and what is in use cannot be removed.
 */
#include "capture.h"
#include "fake_sys.h"
#include "host/image_file.h"
#include "../../devices/scsi/lio.h"
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { IMAGE_SIZE = 1 << 20, HBA_CALL = 1, STORE_CALL = 2 };

struct fixture {
	struct lio lio;
	char dir[64];
	char image[80];
	unsigned calls, fail_at, die_at; /* counted from 1; 0: never */
	int fail_errno;
	bool remove_hba; /* at the next STORE_CALL */
	struct capture capture;
	unsigned fds;
};

/* --- The fake configfs ------------------------------------------------------------------------ */

static struct fixture *fixture_of(const struct lio *lio)
{
	return container_of((struct lio *)lio, struct fixture, lio);
}

static int count_call(const struct lio *lio)
{
	struct fixture *f = fixture_of(lio);

	f->calls++;
	if (f->calls == f->die_at)
		_exit(0);
	return f->calls == f->fail_at ? -f->fail_errno : 0;
}

static const char *below_root(const struct lio *lio, const char *path)
{
	assert_memory_equal(path, lio->root, strlen(lio->root));
	return path + strlen(lio->root) + 1;
}

static unsigned depth(const char *path)
{
	unsigned n = 1;

	while ((path = strchr(path, '/'))) {
		path++;
		n++;
	}
	return n;
}

static bool is_backstore(const char *path)
{
	return strncmp(path, "core/", 5) == 0 && depth(path) == 3;
}

static bool is_group(const char *path)
{
	return strncmp(path, "vhost/", 6) == 0 && depth(path) == 3;
}

static bool is_mapped_lun(const char *path)
{
	return strstr(path, "/acls/") && depth(path) == 6;
}

static bool is_acl(const char *path)
{
	return strstr(path, "/acls/") && depth(path) == 5;
}

/* What the kernel puts into a new folder; a name with a slash at its end is a folder. */
static const char *const *children_of(const char *path)
{
	static const char *const backstore[] = { "control", "udev_path", "enable", NULL };
	static const char *const group[] = { "nexus", "lun/", "acls/", NULL };
	static const char *const mapped_lun[] = { "write_protect", NULL };
	static const char *const none[] = { NULL };

	return is_backstore(path)    ? backstore
	       : is_group(path)	     ? group
	       : is_mapped_lun(path) ? mapped_lun
				     : none;
}

static void child_path(char *out, const char *path, const char *child)
{
	assert_true(snprintf(out, PATH_MAX, "%s/%.*s", path, (int)strcspn(child, "/"), child) <
		    PATH_MAX);
}

static int fake_mkdir(const struct lio *lio, const char *path)
{
	const char *const *child = children_of(below_root(lio, path));
	char full[PATH_MAX];
	int ret = count_call(lio);

	if (ret)
		return ret;
	if (fixture_of(lio)->remove_hba && is_backstore(below_root(lio, path))) {
		fixture_of(lio)->remove_hba = false;
		snprintf(full, sizeof(full), "%s/core/fileio_18763", lio->root);
		assert_int_equal(rmdir(full), 0);
	}
	if (mkdir(path, 0755))
		return -errno;
	for (; *child; child++) {
		child_path(full, path, *child);
		if (strchr(*child, '/'))
			assert_int_equal(mkdir(full, 0755), 0);
		else
			assert_int_equal(close(creat(full, 0644)), 0);
	}
	return 0;
}

static unsigned entries(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	unsigned n = 0;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

static bool has_text(const char *path)
{
	struct stat st;

	return !stat(path, &st) && st.st_size;
}

static bool group_has_nexus(const char *path_below_group)
{
	char full[PATH_MAX];
	const char *end = strstr(path_below_group, "/tpgt_1") + strlen("/tpgt_1");

	snprintf(full, sizeof(full), "%.*s/nexus", (int)(end - path_below_group), path_below_group);
	return has_text(full);
}

static int fake_rmdir(const struct lio *lio, const char *path)
{
	const char *below = below_root(lio, path);
	const char *const *child;
	char full[PATH_MAX];
	unsigned own = 0;
	struct stat st;
	int ret = count_call(lio);

	if (ret)
		return ret;
	if (lstat(path, &st))
		return -errno;
	for (child = children_of(below); *child; child++, own++) {
		child_path(full, path, *child);
		if (strchr(*child, '/') && entries(full))
			return -ENOTEMPTY;
	}
	if (entries(path) > own)
		return -ENOTEMPTY;
	/* Here the kernel would wait forever. */
	if (is_acl(below))
		assert_false(group_has_nexus(path));
	for (child = children_of(below); *child; child++) {
		child_path(full, path, *child);
		assert_int_equal(remove(full), 0);
	}
	assert_int_equal(rmdir(path), 0);
	return 0;
}

static int fake_symlink(const struct lio *lio, const char *target, const char *path)
{
	const char *what = below_root(lio, target);
	char full[PATH_MAX];
	int ret = count_call(lio);

	if (ret)
		return ret;
	snprintf(full, sizeof(full), "%s/enable", target);
	if (is_backstore(what) && !has_text(full))
		return -ENODEV;
	snprintf(full, sizeof(full), "%s/disk", target);
	if (!is_backstore(what) && access(full, F_OK))
		return -EINVAL;
	return symlink(target, path) ? -errno : 0;
}

static int fake_unlink(const struct lio *lio, const char *path)
{
	int ret = count_call(lio);

	return ret ? ret : unlink(path) ? -errno : 0;
}

static int write_nexus(const char *path, const char *text)
{
	char lun[PATH_MAX];

	if (strcmp(text, "NULL") != 0)
		return has_text(path) ? -EEXIST : 0;
	snprintf(lun, sizeof(lun), "%.*s/lun/lun_0/disk", (int)(strrchr(path, '/') - path), path);
	if (!access(lun, F_OK))
		return -EBUSY;
	return has_text(path) ? 0 : -ENODEV;
}

static int fake_write(const struct lio *lio, const char *path, const char *text)
{
	_cleanup_close_ int fd = -1;
	int ret = count_call(lio);

	if (ret)
		return ret;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (strcmp(strrchr(path, '/'), "/nexus") == 0)
		ret = write_nexus(path, text);
	if (ret)
		return ret;
	if (strcmp(text, "NULL") == 0)
		text = "";
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return 0;
}

static const struct lio_ops fake_ops = {
	.mkdir = fake_mkdir,
	.rmdir = fake_rmdir,
	.symlink = fake_symlink,
	.unlink = fake_unlink,
	.write = fake_write,
};

/* --- Fixture ---------------------------------------------------------------------------------- */

static void make_dir(const struct fixture *f, const char *path)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s/%s", f->lio.root, path);
	assert_int_equal(mkdir(full, 0755), 0);
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));
	int fd;

	f->lio.ops = &fake_ops;
	f->fail_errno = EIO;
	strcpy(f->dir, "/tmp/kinglet-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->lio.root, sizeof(f->lio.root), "%s/target", f->dir);
	/* A name that LIO's own list of parameters could not hold. */
	snprintf(f->image, sizeof(f->image), "%s/a,b c", f->dir);
	make_dir(f, "");
	make_dir(f, "core");
	fd = creat(f->image, 0644);
	assert_int_equal(ftruncate(fd, IMAGE_SIZE), 0);
	close(fd);
	f->fds = fake_open_fds();
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fake_open_fds(), f->fds);
	assert_int_equal(nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	test_free(f);
	return 0;
}

static bool exists(const struct fixture *f, const char *fmt, const char *arg)
{
	char below[512], full[PATH_MAX];
	struct stat st;

	snprintf(below, sizeof(below), fmt, arg);
	snprintf(full, sizeof(full), "%s/%s", f->lio.root, below);
	return !lstat(full, &st);
}

static void read_text(const struct fixture *f, const char *path, char *text, size_t size)
{
	char full[PATH_MAX];
	FILE *file;

	snprintf(full, sizeof(full), "%s/%s", f->lio.root, path);
	file = fopen(full, "re");
	assert_non_null(file);
	text[fread(text, 1, size - 1, file)] = '\0';
	fclose(file);
}

static void expect_nothing_left(const struct fixture *f)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s/core", f->lio.root);
	assert_int_equal(entries(full), 0);
	assert_false(exists(f, "%s", "vhost"));
}

static int create_target(struct lio_target *target, const struct lio *lio, const char *path,
			 bool readonly, unsigned index)
{
	const struct image_options image = { .path = path, .readonly = readonly };

	return lio_target_create(target, lio, &image, index);
}

static void create(struct fixture *f, struct lio_target *target, bool readonly)
{
	assert_int_equal(create_target(target, &f->lio, f->image, readonly, 0), 0);
}

/* What is logged by `destroy` or by a cleanup. */
static void quietly_remove_stale(struct fixture *f, char *text, size_t size)
{
	capture_stderr_begin(&f->capture);
	lio_remove_stale(&f->lio);
	capture_stderr_end(&f->capture, text, size);
}

/* --- Making and removing ---------------------------------------------------------------------- */

static void test_target(void **state)
{
	struct fixture *f = *state;
	struct lio_target target;
	char path[512], text[200], again[32];
	struct stat image, told;
	int fd;

	create(f, &target, false);
	assert_int_equal(strlen(target.wwpn), strlen("naa.") + 16);
	assert_memory_equal(target.wwpn, "naa.5001405", strlen("naa.5001405"));

	/* The file is named by the fd that was checked and locked. */
	snprintf(path, sizeof(path), "core/fileio_18763/%s/control", target.name);
	read_text(f, path, text, sizeof(text));
	fd = (int)strtol(text + strlen("fd_dev_name=/proc/self/fd/"), NULL, 10);
	snprintf(path, sizeof(path),
		 "fd_dev_name=/proc/self/fd/%d,fd_dev_size=1048576,fd_buffered_io=1", fd);
	assert_string_equal(text, path);
	assert_int_equal(fstat(fd, &told), 0);
	assert_int_equal(stat(f->image, &image), 0);
	assert_int_equal(told.st_ino, image.st_ino);
	snprintf(path, sizeof(path), "core/fileio_18763/%s/udev_path", target.name);
	read_text(f, path, text, sizeof(text));
	assert_string_equal(text, f->image);

	snprintf(path, sizeof(path), "vhost/%s/tpgt_1/nexus", target.wwpn);
	read_text(f, path, text, sizeof(text));
	assert_memory_equal(text, "naa.5001405", strlen("naa.5001405"));
	assert_string_not_equal(text, target.wwpn);
	assert_true(exists(f, "vhost/%s/tpgt_1/lun/lun_0/disk", target.wwpn));
	snprintf(path, sizeof(path), "%s/vhost/%s/tpgt_1/acls", f->lio.root, target.wwpn);
	assert_int_equal(entries(path), 0);

	/* The name follows from the process and the index. */
	strcpy(again, target.wwpn);
	lio_target_destroy(&target);
	expect_nothing_left(f);
	create(f, &target, false);
	assert_string_equal(target.wwpn, again);
	lio_target_destroy(&target);
	expect_nothing_left(f);
}

static void test_readonly_target(void **state)
{
	struct fixture *f = *state;
	char path[512], initiator[64], text[64];
	struct lio_target target;

	create(f, &target, true);
	snprintf(path, sizeof(path), "vhost/%s/tpgt_1/nexus", target.wwpn);
	read_text(f, path, initiator, sizeof(initiator));
	snprintf(path, sizeof(path), "vhost/%s/tpgt_1/acls/%s/lun_0/write_protect", target.wwpn,
		 initiator);
	read_text(f, path, text, sizeof(text));
	assert_string_equal(text, "1");
	lio_target_destroy(&target);
	expect_nothing_left(f);
}

static void test_two_targets_of_one_process(void **state)
{
	struct fixture *f = *state;
	struct lio_target a, b;

	assert_int_equal(create_target(&a, &f->lio, f->image, true, 0), 0);
	assert_int_equal(create_target(&b, &f->lio, f->image, true, 1), 0);
	assert_string_not_equal(a.wwpn, b.wwpn);
	lio_target_destroy(&a);
	assert_true(exists(f, "vhost/%s/tpgt_1/lun/lun_0/disk", b.wwpn));
	lio_target_destroy(&b);
	expect_nothing_left(f);
}

static void test_lock(void **state)
{
	struct fixture *f = *state;
	struct lio_target target, other;
	int fd;

	create(f, &target, false);
	capture_stderr_begin(&f->capture);
	assert_int_equal(create_target(&other, &f->lio, f->image, true, 1), -EBUSY);
	capture_expect(&f->capture, "in use by another program");
	lio_target_destroy(&target);
	fd = open(f->image, O_RDWR | O_CLOEXEC);
	assert_int_equal(image_file_lock("test", f->image, fd, false), 0);
	close(fd);
}

/* A machine that moves: its target is there while it has the file. */
static void test_handed_over(void **state)
{
	struct fixture *f = *state;
	struct image_options image = { .path = f->image, .raw = true, .later = true };
	struct lio_target here, there;

	create(f, &here, false);
	assert_int_equal(lio_target_create(&there, &f->lio, &image, 1), 0);
	assert_string_not_equal(here.wwpn, there.wwpn);
	assert_false(exists(f, "vhost/%s", there.wwpn));
	assert_int_equal(lio_target_take(&there), -EBUSY);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(lio_target_let_go(&here), 0);
		assert_int_equal(lio_target_let_go(&here), 0);
		assert_false(exists(f, "vhost/%s", here.wwpn));
		assert_int_equal(lio_target_take(&there), 0);
		assert_int_equal(lio_target_take(&there), 0);
		assert_true(exists(f, "vhost/%s/tpgt_1/lun/lun_0/disk", there.wwpn));
		assert_int_equal(lio_target_take(&here), -EBUSY);
		assert_int_equal(lio_target_let_go(&there), 0);
		assert_int_equal(lio_target_take(&here), 0);
		assert_true(exists(f, "vhost/%s/tpgt_1/lun/lun_0/disk", here.wwpn));
	}
	lio_target_destroy(&there);
	lio_target_destroy(&here);
	expect_nothing_left(f);
}

/* Whichever change of configfs fails: one line, and nothing is left. */
static void test_nth_failure(void **state)
{
	struct fixture *f = *state;

	for (int readonly = 0; readonly <= 1; readonly++) {
		unsigned failures = 0;

		for (unsigned n = 1;; n++) {
			struct lio_target target;
			char text[800];
			int ret;

			f->calls = 0;
			f->fail_at = n;
			capture_stderr_begin(&f->capture);
			ret = create_target(&target, &f->lio, f->image, readonly, 0);
			capture_stderr_end(&f->capture, text, sizeof(text));
			if (!ret) {
				f->fail_at = 0;
				lio_target_destroy(&target);
				break;
			}
			failures++;
			assert_int_equal(ret, -EIO);
			assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
			assert_non_null(strstr(text, "Input/output error"));
			expect_nothing_left(f);
			assert_int_equal(fake_open_fds(), f->fds);
		}
		assert_int_equal(failures, readonly ? 15 : 11);
		expect_nothing_left(f);
	}
}

/* Another Kinglet ends between our two mkdirs, and removes the empty folder. */
static void test_shared_folder_goes_meanwhile(void **state)
{
	struct fixture *f = *state;
	struct lio_target target;

	f->remove_hba = true;
	create(f, &target, false);
	assert_false(f->remove_hba);
	lio_target_destroy(&target);
	expect_nothing_left(f);
}

static void test_shared_folders_with_something_in_them_stay(void **state)
{
	struct fixture *f = *state;
	struct lio_target target;

	make_dir(f, "core/fileio_18763");
	make_dir(f, "core/fileio_18763/mine");
	make_dir(f, "vhost");
	make_dir(f, "vhost/naa.1");
	create(f, &target, true);
	lio_target_destroy(&target);
	assert_true(exists(f, "%s", "core/fileio_18763/mine"));
	assert_true(exists(f, "%s", "vhost/naa.1"));
}

/* With the nexus still present, removing the access list would hang: the removal stops there. */
static void test_removal_stops_where_it_fails(void **state)
{
	struct fixture *f = *state;
	struct lio_target target;

	create(f, &target, true);
	f->calls = 0;
	f->fail_at = 5; /* the nexus, after two links and two LUNs */
	f->fail_errno = EBUSY;
	capture_stderr_begin(&f->capture);
	lio_target_destroy(&target);
	capture_expect(&f->capture, "/nexus cannot be removed: Device or resource busy");
	assert_int_equal(f->calls, 5);
	assert_true(exists(f, "vhost/%s/tpgt_1", target.wwpn));
	assert_true(exists(f, "core/fileio_18763/%s", target.name));
}

static void expect_hint(struct fixture *f, unsigned call, int error, const char *hint)
{
	struct lio_target target;

	f->calls = 0;
	f->fail_at = call;
	f->fail_errno = error;
	capture_stderr_begin(&f->capture);
	assert_int_equal(create_target(&target, &f->lio, f->image, false, 0), -EIO);
	capture_expect(&f->capture, hint);
}

static void test_refusals_say_what_to_do(void **state)
{
	struct fixture *f = *state;

	expect_hint(f, HBA_CALL, ENOENT, "(modprobe -a target_core_mod target_core_file");
	expect_hint(f, HBA_CALL, EINVAL, "(modprobe -a target_core_mod target_core_file");
	expect_hint(f, HBA_CALL, EACCES, "takes root");
	expect_hint(f, 5, EROFS, "/enable: Read-only file system (LIO opens files for writing");
	expect_hint(f, 6, EINVAL, "/vhost: Invalid argument (modprobe vhost_scsi)");
}

static void expect_bad_file(struct fixture *f, const char *path, int error, const char *line)
{
	struct lio_target target;

	capture_stderr_begin(&f->capture);
	assert_int_equal(create_target(&target, &f->lio, path, true, 0), -error);
	capture_expect(&f->capture, line);
	assert_int_equal(f->calls, 0);
}

static void test_wrong_files(void **state)
{
	struct fixture *f = *state;

	expect_bad_file(f, "/nowhere", ENOENT, "scsi /nowhere: open: No such file or directory\n");
	expect_bad_file(f, f->dir, EINVAL, ": is a directory, not an image\n");
	expect_bad_file(f, "/dev/null", EINVAL, ": is neither a file nor a block device\n");
	assert_int_equal(truncate(f->image, 511), 0);
	expect_bad_file(f, f->image, EINVAL, ": size: 511 bytes are not a multiple of 512 (truncate -s %512 FILE extends it)\n");
	assert_int_equal(truncate(f->image, 0), 0);
	expect_bad_file(f, f->image, EINVAL, ": is empty\n");
}

/* --- Left-overs of killed processes ----------------------------------------------------------- */

/* A process that dies before its nth change of configfs, and is waited for. */
static void leave_behind(struct fixture *f, unsigned n, bool readonly)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		struct lio_target target;

		f->calls = 0;
		f->die_at = n;
		_exit(create_target(&target, &f->lio, f->image, readonly, 0) ? 1 : 2);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_what_a_dead_process_left_is_removed(void **state)
{
	struct fixture *f = *state;
	char text[800];

	for (unsigned n = 1; n <= 16; n++) {
		leave_behind(f, n, true);
		assert_true(n <= 2 || exists(f, "%s", "core/fileio_18763"));
		quietly_remove_stale(f, text, sizeof(text));
		assert_string_equal(text, "");
		/*
		 * An empty folder without an owner's name may stay until the next target is
		 * removed.
		 */
		if (n > 2)
			expect_nothing_left(f);
	}
	for (unsigned n = 3; n <= 12; n++) {
		leave_behind(f, n, false);
		lio_remove_stale(&f->lio);
		expect_nothing_left(f);
	}
}

static void test_what_several_left_is_removed(void **state)
{
	struct fixture *f = *state;
	struct lio_target target;
	char path[512];

	leave_behind(f, 99, false);
	leave_behind(f, 14, true);
	leave_behind(f, 4, false);
	snprintf(path, sizeof(path), "%s/core/fileio_18763", f->lio.root);
	assert_int_equal(entries(path), 3);
	create(f, &target, false);
	lio_remove_stale(&f->lio);
	assert_int_equal(entries(path), 1);
	lio_target_destroy(&target);
	expect_nothing_left(f);
}

/* Dead, but not waited for yet. */
static void test_what_a_zombie_left_is_removed(void **state)
{
	struct fixture *f = *state;
	siginfo_t info;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		struct lio_target target;

		_exit(create_target(&target, &f->lio, f->image, false, 0) ? 1 : 0);
	}
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(info.si_status, 0);
	lio_remove_stale(&f->lio);
	expect_nothing_left(f);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_what_lives_or_is_of_others_stays(void **state)
{
	static const char *const others[] = {
		"disk0",
		"kinglet",
		"kinglet-1-2",
		"kinglet-0-999999999-1-0-mine",
		"kinglet-0-0999999999-1-0",
		"kinglet-0-999999999-1-x",
		"kinglet-1-999999999-1-0", /* of another pid namespace: it may still run */
		"kinglet-0--1-1-0",
	};
	struct fixture *f = *state;
	struct lio_target target;
	char path[512], text[800];
	struct stat st;

	create(f, &target, true);
	assert_int_equal(stat("/proc/self/ns/pid", &st), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		const char *name = others[i];

		/* "kinglet-0-" stands for our own namespace: kept for another reason. */
		if (strncmp(name, "kinglet-0-", 10) == 0)
			snprintf(path, sizeof(path), "core/fileio_18763/kinglet-%ju-%s",
				 (uintmax_t)st.st_ino, name + 10);
		else
			snprintf(path, sizeof(path), "core/fileio_18763/%s", name);
		make_dir(f, path);
	}
	f->calls = 0;
	quietly_remove_stale(f, text, sizeof(text));
	assert_string_equal(text, "");
	assert_int_equal(f->calls, 0);
	snprintf(path, sizeof(path), "%s/core/fileio_18763", f->lio.root);
	assert_int_equal(entries(path), 1 + ARRAY_SIZE(others));
	lio_target_destroy(&target);
	assert_int_equal(entries(path), ARRAY_SIZE(others));
}

/* PIDs are reused. */
static void test_same_pid_with_another_start_is_dead(void **state)
{
	struct fixture *f = *state;
	struct lio_target target;
	char from[1024], to[512];
	uintmax_t ns, start;
	char *end;
	int pid;

	create(f, &target, false);
	ns = strtoumax(target.name + strlen("kinglet-"), &end, 10);
	pid = (int)strtol(end + 1, &end, 10);
	start = strtoumax(end + 1, &end, 10);
	assert_string_equal(end, "-0");
	assert_int_equal(pid, getpid());
	lio_target_destroy(&target);

	snprintf(to, sizeof(to), "core/fileio_18763/kinglet-%ju-%d-%ju-0", ns, pid, start);
	make_dir(f, "core/fileio_18763");
	make_dir(f, to);
	lio_remove_stale(&f->lio);
	assert_true(exists(f, "%s", to));
	snprintf(from, sizeof(from), "%s/%s", f->lio.root, to);
	snprintf(to, sizeof(to), "%s/core/fileio_18763/kinglet-%ju-%d-%ju-0", f->lio.root, ns, pid,
		 start - 1);
	assert_int_equal(rmdir(from), 0);
	assert_int_equal(f->lio.ops->mkdir(&f->lio, to), 0);
	lio_remove_stale(&f->lio);
	expect_nothing_left(f);
}

static void test_what_cannot_be_removed_is_a_warning(void **state)
{
	struct fixture *f = *state;
	char text[800];

	leave_behind(f, 99, false);
	f->calls = 0;
	f->fail_at = 3;
	f->fail_errno = EBUSY;
	quietly_remove_stale(f, text, sizeof(text));
	assert_non_null(strstr(text, "kinglet: warning: scsi: "));
	assert_non_null(strstr(text, "cannot be removed: Device or resource busy"));
	f->fail_at = 0;
	lio_remove_stale(&f->lio);
	expect_nothing_left(f);
}

/* --- Where configfs is, and what is in it ----------------------------------------------------- */

static int find_in(struct fixture *f, struct lio *lio, const char *mounts)
{
	char path[80];
	FILE *file;

	snprintf(path, sizeof(path), "%s/mounts", f->dir);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs(mounts, file);
	fclose(file);
	return lio_find(lio, path);
}

static void test_find(void **state)
{
	struct fixture *f = *state;
	char mounts[500];
	struct lio lio;

	assert_int_equal(find_in(f, &lio,
				 "proc /proc proc rw 0 0\n"
				 "configfs /sys/kernel/config configfs rw 0 0\n"
				 "c /other configfs rw 0 0\n"),
			 0);
	assert_string_equal(lio.root, "/sys/kernel/config/target");
	assert_int_equal(find_in(f, &lio, "none /a\\040b configfs rw 0 0\n"), 0);
	assert_string_equal(lio.root, "/a b/target");
	assert_int_equal(find_in(f, &lio, "configfs /proc proc rw 0 0\n"), -ENOENT);
	assert_int_equal(find_in(f, &lio, ""), -ENOENT);
	snprintf(mounts, sizeof(mounts), "c /%0300d configfs rw 0 0\n", 1);
	assert_int_equal(find_in(f, &lio, mounts), -ENAMETOOLONG);
	assert_int_equal(lio_find(&lio, "/nowhere"), -ENOENT);

	capture_stderr_begin(&f->capture);
	lio_log_not_found(-ENOENT);
	capture_expect_all(&f->capture, "kinglet: scsi: configfs is not mounted (mount -t configfs "
					"configfs /sys/kernel/config)\n");
}

static void expect_no_target(struct fixture *f, const char *wwpn, const char *line)
{
	char text[300];

	capture_stderr_begin(&f->capture);
	assert_int_equal(lio_check_target(&f->lio, wwpn), -ENODEV);
	capture_stderr_end(&f->capture, text, sizeof(text));
	if (!strstr(text, line))
		fail_msg("no \"%s\" in: %s", line, text);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void test_check_target(void **state)
{
	struct fixture *f = *state;
	struct lio_target target;

	expect_no_target(f, "naa.2", "scsi naa.2: no such target: ");
	create(f, &target, false);
	assert_int_equal(lio_check_target(&f->lio, target.wwpn), 0);
	lio_target_destroy(&target);

	make_dir(f, "vhost");
	make_dir(f, "vhost/naa.2");
	expect_no_target(f, "naa.2", "scsi naa.2: no portal group of this target has a nexus");
	make_dir(f, "vhost/naa.2/tpgt_7");
	make_dir(f, "vhost/naa.2/fabric_statistics");
	expect_no_target(f, "naa.2", "has a nexus");
	expect_no_target(f, "naa.3", "scsi naa.3: no such target: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_target),
		TEST(test_readonly_target),
		TEST(test_two_targets_of_one_process),
		TEST(test_lock),
		TEST(test_handed_over),
		TEST(test_nth_failure),
		TEST(test_shared_folder_goes_meanwhile),
		TEST(test_shared_folders_with_something_in_them_stay),
		TEST(test_removal_stops_where_it_fails),
		TEST(test_refusals_say_what_to_do),
		TEST(test_wrong_files),
		TEST(test_what_a_dead_process_left_is_removed),
		TEST(test_what_several_left_is_removed),
		TEST(test_what_a_zombie_left_is_removed),
		TEST(test_what_lives_or_is_of_others_stays),
		TEST(test_same_pid_with_another_start_is_dead),
		TEST(test_what_cannot_be_removed_is_a_warning),
		TEST(test_find),
		TEST(test_check_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
