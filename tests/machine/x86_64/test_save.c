/* SPDX-License-Identifier: Apache-2.0 */
/* A machine on a fake KVM is saved and restored while each ioctl of that fails in turn. */
#include "fault_rig.h"

#include "devices/blk.h"

#include <sys/syscall.h>

/* Replaces the C library's: of the disk of the machine that is being saved. */
static struct {
	unsigned calls;
	int error;
	bool was_early; /* there was no snapshot yet */
} syncs;

int fdatasync(int fd)
{
	syncs.calls++;
	syncs.was_early = access("s", F_OK) != 0;
	errno = syncs.error;
	return syncs.error ? -1 : (int)syscall(SYS_fdatasync, fd);
}

static void saves(struct machine_ask *ask)
{
	struct rig *r = container_of(ask, struct rig, ask);

	r->counts = true;
	r->result = r->parts->ops->save(r->parts->vm, "s", NULL);
	r->counts = false;
}

static void run_and_save(struct rig *r, unsigned fail_at)
{
	static const struct machine_observer_ops ops = { .built = built };

	r->asks = saves;
	run_asked(r, &ops, fail_at);
	assert_int_equal(r->verdict.status, 7);
}

static void test_the_guest_goes_on_after_a_save_that_fails(void **state)
{
	struct rig *r = *state;
	unsigned fds, total;

	run_and_save(r, 0);
	assert_int_equal(r->result, 0);
	assert_int_equal(access("s/state", F_OK), 0);
	total = r->ioctls;
	assert_in_range(total, 10, IOCTLS_MAX);
	fds = fake_open_fds();
	for (unsigned n = 1; n <= total; n++) {
		assert_int_equal(rename("s", "old"), 0);
		run_and_save(r, n);
		assert_true(r->result ? access("s", F_OK) && *r->said : may_fail(r->failed));
		assert_int_equal(access(".s.kinglet-new", F_OK), -1);
		assert_int_equal(fake_open_fds(), fds);
		if (!r->result)
			assert_int_equal(system("rm -rf s"), 0); /* NOLINT: no input */
		assert_int_equal(rename("old", "s"), 0);
	}
}

/* What the guest takes for written must be as safe as the snapshot. */
static void test_a_snapshot_is_there_once_its_disks_are_synced(void **state)
{
	struct rig *r = *state;
	struct disk_config *disk = device_set_add(&r->config.devices, &blk_kind);
	_cleanup_close_ int fd = open("disk", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	*disk = (struct disk_config){ .image.path = "disk", .queues = 1 };
	syncs.error = EIO;
	run_and_save(r, 0);
	assert_int_equal(r->result, -EIO);
	assert_non_null(strstr(r->said, "disk disk: sync: Input/output error"));
	assert_int_equal(access("s", F_OK), -1);
	syncs.error = 0;
	syncs.calls = 0;
	run_and_save(r, 0);
	assert_int_equal(r->result, 0);
	assert_int_equal(syncs.calls, 1);
	assert_true(syncs.was_early);
	assert_int_equal(access("s/state", F_OK), 0);
}

static void restore(struct rig *r, unsigned fail_at)
{
	assert_int_equal(snapshot_open(&r->config.restore, "s"), 0);
	r->config.observer_count = 0;
	r->counts = r->done = true;
	run_once(r, fail_at);
	r->counts = false;
	snapshot_free(r->config.restore);
	r->config.restore = NULL;
}

/* From the first ioctl of the machine to the guest's first instruction. */
static void test_no_guest_runs_after_a_restore_that_fails(void **state)
{
	struct rig *r = *state;
	unsigned fds, total;

	run_and_save(r, 0);
	assert_int_equal(r->result, 0);
	restore(r, 0);
	assert_int_equal(r->verdict.status, 7);
	total = r->ioctls;
	fds = fake_open_fds();
	for (unsigned n = 1; n <= total; n++) {
		restore(r, n);
		/* Those of the end are no more of the restore. */
		if (r->verdict.status == 7)
			assert_true(may_fail(r->failed) || n == total);
		else
			assert_true(!r->entries && *r->said);
		assert_int_equal(fake_open_fds(), fds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_guest_goes_on_after_a_save_that_fails),
		TEST(test_a_snapshot_is_there_once_its_disks_are_synced),
		TEST(test_no_guest_runs_after_a_restore_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
