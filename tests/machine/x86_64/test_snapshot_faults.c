/* SPDX-License-Identifier: Apache-2.0 */
/* Each system call of a snapshot's folder fails in turn: the old snapshot stays as it is. */
#include "../../../vmm/machine/snapshot_folder.h"

#include "base/files.h"
#include "unit.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static int setup(void **state)
{
	char *place = strdup("/tmp/kinglet-faults-XXXXXX");

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

static int save(const char *text)
{
	struct snapshot_folder folder;
	int ret = snapshot_folder_begin(&folder, "s");

	if (ret)
		return ret;
	ret = write_all(folder.state_fd, text, strlen(text));
	if (!ret)
		ret = write_all(folder.memory_fd, text, strlen(text));
	if (!ret)
		return snapshot_folder_commit(&folder);
	snapshot_folder_abort(&folder);
	return ret;
}

/* From now on this call returns EIO in this process. */
static int break_call(unsigned number)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EIO),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(code), .filter = code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void has(const char *path, const char *text)
{
	char got[8] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(read(fd, got, sizeof(got) - 1) >= 0);
	close(fd);
	assert_string_equal(got, text);
}

/* What save() returns, as a positive number, in a process in which the call fails. */
static int save_without(unsigned number)
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		if (!freopen("/dev/null", "w", stderr) || break_call(number))
			_exit(255);
		_exit(-save("two"));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_the_old_snapshot_stays(void **state)
{
	static const struct {
		unsigned number;
		int error;
	} calls[] = {
		{ SYS_mkdir, EIO },  { SYS_openat, EIO }, { SYS_flock, EBUSY },
		{ SYS_getdents64, EIO }, { SYS_write, EIO },  { SYS_fsync, EIO },
		{ SYS_rename, EIO }, { SYS_renameat2, EIO },
	};

	(void)state;
	assert_int_equal(save("one"), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(calls); i++) {
		assert_int_equal(save_without(calls[i].number), calls[i].error);
		has("s/state", "one");
		has("s/memory", "one");
	}
	/* Nothing of these is in the way of the next one. */
	assert_int_equal(save("three"), 0);
	has("s/state", "three");
	assert_int_equal(access(".s.kinglet-new", F_OK), -1);
}

/* What could not be removed is left over, and removed by the next one. */
static void test_the_new_snapshot_is_there_although_the_old_one_cannot_be_removed(void **state)
{
	(void)state;
	assert_int_equal(save("one"), 0);
	assert_int_equal(save_without(SYS_rmdir), 0);
	has("s/state", "two");
	assert_int_equal(access(".s.kinglet-new", F_OK), 0);
	assert_int_equal(save("three"), 0);
	has("s/memory", "three");
	assert_int_equal(access(".s.kinglet-new", F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_old_snapshot_stays),
		TEST(test_the_new_snapshot_is_there_although_the_old_one_cannot_be_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
