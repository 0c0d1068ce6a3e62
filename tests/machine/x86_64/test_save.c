/* SPDX-License-Identifier: Apache-2.0 */
/* A machine on a fake KVM is saved and restored while each ioctl of that fails in turn. */
#include "capture.h"
#include "fake_machine.h"
#include "fake_sys.h"

#include "devices/blk.h"
#include "machine/machine.h"
#include "machine/snapshot.h"
#include "unit.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

enum { EXIT_PORT = 0xf4, CPUS = 2, IOCTLS_MAX = 300 };

struct rig {
	struct fake_sys fake;
	struct machine_config config;
	struct verdict verdict;
	char *place;
	struct fake_kernel kernel;
	unsigned fail_at; /* the nth ioctl that counts, once there are vCPUs; 0: none */
	atomic_bool counts, done;
	atomic_uint ioctls, entries;
	unsigned long failed;
	int result; /* of the save */
	char said[4096];
	struct loop_event built;
	struct machine_ask ask;
	const struct machine_parts *parts;
};

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

static struct rig *rig_of(struct fake_sys *fake)
{
	return container_of(fake, struct rig, fake);
}

/* The guest ends once the machine has been saved. */
static int play(struct fake_sys *fake, int fd, struct kvm_run *run)
{
	struct rig *r = rig_of(fake);

	(void)fd;
	if (__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST))
		return -EINTR;
	r->entries++;
	if (!r->done) {
		poll(NULL, 0, 1);
		return -EINTR;
	}
	fake_port_access(run, KVM_EXIT_IO_OUT, EXIT_PORT, 7);
	return 0;
}

static void set_ioapic(struct kvm_irqchip *chip)
{
	if (chip->chip_id == KVM_IRQCHIP_IOAPIC)
		chip->chip.ioapic.base_address = 0xfec00000;
}

static int breaks(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct rig *r = rig_of(fake);

	(void)fd;
	if (r->counts && fake->vcpu_count == CPUS && ++r->ioctls == r->fail_at) {
		r->failed = request;
		return -EIO;
	}
	if (request == KVM_GET_NESTED_STATE) /* VMX is off: the guest runs no guests */
		((struct kvm_nested_state *)arg)->hdr.vmx.vmxon_pa = UINT64_MAX;
	else if (request == KVM_GET_IRQCHIP)
		set_ioapic(arg);
	else
		return FAKE_PASS;
	return 0;
}

static void saves(struct machine_ask *ask)
{
	struct rig *r = container_of(ask, struct rig, ask);

	r->counts = true;
	r->result = r->parts->ops->save(r->parts->vm, "s", NULL);
	r->counts = false;
}

static void saved(struct machine_ask *ask)
{
	container_of(ask, struct rig, ask)->done = true;
}

static void asks(struct loop_event *event, uint32_t events)
{
	struct rig *r = container_of(event, struct rig, built);
	uint64_t count;

	(void)events;
	assert_int_equal(read(event->fd, &count, sizeof(count)), sizeof(count));
	r->parts->ops->ask(r->parts->vm, &r->ask);
}

static int built(void *owner, const struct machine_parts *parts)
{
	struct rig *r = owner;

	r->parts = parts;
	r->ask = (struct machine_ask){ .run = saves, .answered = saved };
	r->built.fn = asks;
	return loop_add(parts->control_loop, &r->built, EPOLLIN);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	fake_sys_init(&r->fake);
	r->fake.run = play;
	r->fake.hook = breaks;
	r->place = strdup("/tmp/kinglet-save-XXXXXX");
	fake_machine_init(&r->config, &r->kernel);
	r->config.cpus = r->config.boot.cpus = CPUS;
	*state = r;
	return mkdtemp(r->place) && !chdir(r->place) ? 0 : -1;
}

static int teardown(void **state)
{
	struct rig *r = *state;
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", r->place);
	close_fd(&r->kernel.fd);
	fake_sys_destroy(&r->fake);
	free(r->place);
	free(r);
	return chdir("/") || system(command); /* NOLINT: no input */
}

/* Its failure says that this KVM has no such thing. */
static bool may_fail(unsigned long request)
{
	return request == KVM_CHECK_EXTENSION || request == KVM_HAS_DEVICE_ATTR ||
	       request == KVM_GET_TSC_KHZ;
}

static void run_once(struct rig *r, unsigned fail_at)
{
	struct capture capture;

	r->fail_at = fail_at;
	r->ioctls = r->entries = 0;
	r->fake.vcpu_count = 0;
	capture_stderr_begin(&capture);
	alarm(100); /* a machine that hangs */
	assert_true(machine_run(&r->config, &r->fake.sys, &r->verdict));
	alarm(0);
	capture_stderr_end(&capture, r->said, sizeof(r->said));
}

static void run_and_save(struct rig *r, unsigned fail_at)
{
	static const struct machine_observer_ops ops = { .built = built };

	r->config.observers[0] = (struct machine_observer){ &ops, r };
	r->config.observer_count = 1;
	r->built.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	r->done = false;
	run_once(r, fail_at);
	close_fd(&r->built.fd);
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
