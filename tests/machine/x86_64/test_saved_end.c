/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest had done before its machine was saved counts at the end of a machine that goes on from
 * there: whole runs on a fake KVM.
 */
#include "arch/power_block.h"
#include "arch/x86_64/layout.h"
#include "base/le.h"
#include "base/text.h"
#include "capture.h"
#include "fake_machine.h"
#include "fake_sys.h"
#include "guestlog/guest_log.h"
#include "machine/machine.h"
#include "machine/snapshot.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

enum { COM1 = 0x3f8, I8042_COMMAND = 0x64, PULSE_RESET = 0xfe, POWER_OFF = 5 << 2 | 1 << 5 };

struct run {
	struct fake_sys fake;
	struct machine_config config;
	struct guest_log log;
	struct verdict verdict;
	const struct machine_parts *parts;
	char place[32], dir[48];
	struct fake_kernel kernel;
	const char *text; /* what the guest prints, then it asks to be saved */
	uint16_t port;	  /* what it does while it is being parked for that, */
	uint8_t value;
	bool resets; /* or when it has been restored */
	bool asked;
};

static bool out(struct kvm_run *run, uint16_t port, uint8_t value)
{
	return fake_port_access(run, KVM_EXIT_IO_OUT, port, value);
}

static bool writes_once(struct run *r, struct kvm_run *run)
{
	uint16_t port = r->port;

	r->port = 0;
	return r->asked && port && out(run, port, r->value);
}

static bool guest(struct run *r, struct kvm_run *run)
{
	if (*r->text)
		return out(run, COM1, (uint8_t)*r->text++);
	if (r->config.restore)
		return r->resets && out(run, I8042_COMMAND, PULSE_RESET);
	if (r->asked && !r->config.snapshot_ends)
		return writes_once(r, run);
	if (!r->asked)
		r->parts->ops->save_soon(r->parts->vm);
	r->asked = true;
	return false;
}

static int play(struct fake_sys *fake, int fd, struct kvm_run *run)
{
	struct run *r = container_of(fake, struct run, fake);

	(void)fd;
	if (__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST))
		return writes_once(r, run) ? 0 : -EINTR;
	if (guest(r, run))
		return 0;
	poll(NULL, 0, 1);
	return -EINTR;
}

/* What is checked of a saved state. */
static int answer(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	(void)fake;
	(void)fd;
	if (request == KVM_GET_NESTED_STATE)
		((struct kvm_nested_state *)arg)->hdr.vmx.vmxon_pa = UINT64_MAX;
	else if (request == KVM_GET_IRQCHIP)
		((struct kvm_irqchip *)arg)->chip.ioapic.base_address = X86_IOAPIC_BASE;
	else
		return FAKE_PASS;
	return 0;
}

static void init_fake(struct run *r)
{
	fake_sys_init(&r->fake);
	r->fake.run = play;
	r->fake.hook = answer;
}

static int begin(void *owner, const struct machine_parts *parts)
{
	((struct run *)owner)->parts = parts;
	return 0;
}

static int setup(void **state)
{
	static const struct machine_observer_ops ops = { .begin = begin };
	struct run *r = calloc(1, sizeof(*r));

	init_fake(r);
	strcpy(r->place, "/tmp/kinglet-end-XXXXXX");
	assert_non_null(mkdtemp(r->place));
	snprintf(r->dir, sizeof(r->dir), "%s/saved", r->place);
	fake_machine_init(&r->config, &r->kernel);
	r->config.snapshot = r->dir;
	r->config.snapshot_ends = true;
	r->config.no_input = true;
	r->config.observers[0] = (struct machine_observer){ &ops, r };
	r->config.observers[1] = (struct machine_observer){ &guest_log_ops, &r->log };
	r->config.observer_count = 2;
	r->text = "";
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct run *r = *state;
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", r->place);
	close_fd(&r->kernel.fd);
	fake_sys_destroy(&r->fake);
	free(r);
	return system(command); /* NOLINT: no input */
}

static void save(struct run *r)
{
	alarm(100); /* a machine that hangs */
	assert_true(machine_run(&r->config, &r->fake.sys, &r->verdict));
	assert_int_equal(r->verdict.outcome, OUTCOME_QUIT);
	assert_int_equal(r->verdict.status, 0);
}

static void restore(struct run *r)
{
	struct snapshot *snapshot;

	assert_int_equal(snapshot_open(&snapshot, r->dir), 0);
	fake_sys_destroy(&r->fake);
	init_fake(r);
	memset(&r->log, 0, sizeof(r->log));
	r->config.snapshot = NULL;
	r->config.restore = snapshot;
	assert_true(machine_run(&r->config, &r->fake.sys, &r->verdict));
	snapshot_free(snapshot);
	alarm(0);
}

/* It waits for ever for what it has asked for. */
static void test_a_reset_is_not_lost(void **state)
{
	struct run *r = *state;

	r->port = I8042_COMMAND;
	r->value = PULSE_RESET;
	save(r);
	restore(r);
	assert_int_equal(r->verdict.outcome, OUTCOME_REBOOT);
}

static void test_a_power_off_is_not_lost(void **state)
{
	struct run *r = *state;

	r->port = X86_POWER_PORT + POWER_SLEEP_CONTROL;
	r->value = POWER_OFF;
	save(r);
	restore(r);
	assert_int_equal(r->verdict.outcome, OUTCOME_POWEROFF);
}

static void test_a_panic_stays_one(void **state)
{
	struct run *r = *state;

	r->text = "[ 1.0] Kernel panic - not syncing: no init\r\n";
	r->resets = true;
	save(r);
	restore(r);
	assert_int_equal(r->verdict.outcome, OUTCOME_PANIC);
	assert_string_equal(r->verdict.detail, "Kernel panic - not syncing: no init");
}

/* Sets a byte of the record of the machine, and its checksum. */
static void set_byte(struct run *r, unsigned at, uint8_t value)
{
	static const char mark[] = "machine";
	uint8_t data[1 << 16], *section;
	char path[64];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "%s/state", r->dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	len = pread(fd, data, sizeof(data), 0);
	assert_in_range(len, 1, sizeof(data) - 1);
	section = memmem(data, (size_t)len, mark, strlen(mark));
	assert_non_null(section);
	section[strlen(mark) + at] = value;
	section -= 16; /* its header: checksum, length */
	put_le64(section, bytes_hash(section + 8, 8 + strlen(mark) + get_le32(section + 8)));
	assert_int_equal(pwrite(fd, data, (size_t)len, 0), len);
	close(fd);
}

/* A status of 256 would be one of 0 to a shell. */
static void test_a_hostile_record_is_refused(void **state)
{
	static const struct {
		unsigned at;
		uint8_t value;
		const char *why;
	} cases[] = {
		{ 1, 1, "guest_status is neither a byte nor -1" },
		{ 4, 2, "powers_off is 2, more than 1" },
		{ 6, 3, "panic_proof is 3, more than 2" },
	};
	struct run *r = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct capture capture;

		r->asked = false;
		r->config.restore = NULL;
		r->config.snapshot = r->dir;
		save(r);
		set_byte(r, cases[i].at, cases[i].value);
		capture_stderr_begin(&capture);
		restore(r);
		capture_expect(&capture, cases[i].why);
		assert_int_equal(r->verdict.outcome, OUTCOME_USAGE);
	}
}

/* Neither a line nor the status tells of it; without `cached` both do. */
static void test_a_cache_that_cannot_be_saved_costs_nothing(void **state)
{
	struct run *r = *state;

	snprintf(r->dir, sizeof(r->dir), "%s/none/saved", r->place);
	r->config.snapshot_ends = false;
	for (int cached = 1; cached >= 0; cached--) {
		struct capture capture;
		char said[1024];

		fake_sys_destroy(&r->fake);
		init_fake(r);
		r->asked = false;
		r->port = X86_POWER_PORT + POWER_SLEEP_CONTROL;
		r->value = POWER_OFF;
		r->config.snapshot_cached = cached;
		alarm(100);
		capture_stderr_begin(&capture);
		assert_true(machine_run(&r->config, &r->fake.sys, &r->verdict));
		capture_stderr_end(&capture, said, sizeof(said));
		alarm(0);
		assert_int_equal(r->verdict.status, cached ? 0 : 101);
		assert_int_equal(!*said, cached);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_reset_is_not_lost),
		TEST(test_a_power_off_is_not_lost),
		TEST(test_a_panic_stays_one),
		TEST(test_a_hostile_record_is_refused),
		TEST(test_a_cache_that_cannot_be_saved_costs_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
