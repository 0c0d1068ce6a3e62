/* SPDX-License-Identifier: Apache-2.0 */
/* The events of a tracer, for calls and notes, and that nothing happens without one. */
#include "fake_sys.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

struct told {
	struct fake_sys fake;
	unsigned count;
	struct sys_event last;
	char text[200];
};

static void told(struct sys *sys, const struct sys_event *event)
{
	struct told *t = sys->trace_data;

	t->count++;
	t->last = *event;
	if (event->kind == SYS_NOTE || event->kind == SYS_OPEN)
		snprintf(t->text, sizeof(t->text), "%s", (const char *)event->arg);
}

static int setup(void **state)
{
	struct told *t = calloc(1, sizeof(*t));

	if (!t)
		return -1;
	fake_sys_init(&t->fake);
	t->fake.sys.trace = told;
	t->fake.sys.trace_data = t;
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct told *t = *state;

	fake_sys_destroy(&t->fake);
	free(t);
	return 0;
}

static void assert_site(const struct told *t, unsigned line)
{
	assert_string_equal(t->last.site->file, __FILE__);
	assert_int_equal(t->last.site->line, line);
}

static void test_an_ioctl_is_told_with_its_site(void **state)
{
	struct told *t = *state;
	unsigned line;

	line = __LINE__ + 1;
	assert_int_equal(sys_ioctl_value(&t->fake.sys, 5, KVM_CHECK_EXTENSION, 7), 1);
	assert_site(t, line);
	assert_int_equal(t->count, 1);
	assert_int_equal(t->last.kind, SYS_IOCTL);
	assert_int_equal(t->last.fd, 5);
	assert_int_equal(t->last.request, KVM_CHECK_EXTENSION);
	assert_int_equal((long)t->last.arg, 7);
	assert_int_equal(t->last.result, 1);
	assert_true(t->last.start_ns <= t->last.end_ns);
}

/* The line that matters is the wrapper's caller. */
static void test_wrappers_hand_on_the_site(void **state)
{
	struct told *t = *state;
	struct kvm kvm = { .sys = &t->fake.sys, .vm_fd = 9 };
	unsigned line;

	line = __LINE__ + 1;
	assert_int_equal(kvm_check_extension(&kvm, KVM_CAP_IRQFD), 1);
	assert_site(t, line);
	line = __LINE__ + 1;
	assert_int_equal(kvm_vm_ioctl(&kvm, KVM_CREATE_IRQCHIP, NULL), 0);
	assert_site(t, line);
	assert_int_equal(t->last.fd, 9);
}

static void test_a_failure_is_told(void **state)
{
	struct told *t = *state;

	t->fake.fail_at = 1;
	t->fake.fail_errno = ENOSPC;
	assert_int_equal(sys_ioctl(&t->fake.sys, 3, KVM_CREATE_IRQCHIP, NULL), -ENOSPC);
	assert_int_equal(t->last.result, -ENOSPC);
}

static void test_a_run_is_told_with_its_page(void **state)
{
	struct told *t = *state;
	struct kvm_run run = { .exit_reason = KVM_EXIT_HLT };

	assert_int_equal(sys_run(&t->fake.sys, 8, &run), -EINTR);
	assert_int_equal(t->last.kind, SYS_RUN);
	assert_ptr_equal(t->last.arg, &run);
	assert_int_equal(t->last.request, KVM_RUN);
}

static void test_an_open_is_told(void **state)
{
	struct told *t = *state;
	int fd = sys_open(&t->fake.sys, "/dev/kvm", 0);

	assert_int_equal(t->last.kind, SYS_OPEN);
	assert_int_equal(t->last.result, fd);
	assert_string_equal(t->text, "/dev/kvm");
	close_fd(&fd);
}

static void test_a_write_is_told_with_its_message(void **state)
{
	struct told *t = *state;
	const int message = 7;

	t->fake.fail_at = 2;
	assert_int_equal(sys_write(&t->fake.sys, 6, &message, sizeof(message)), 0);
	assert_int_equal(t->last.kind, SYS_WRITE);
	assert_int_equal(t->last.fd, 6);
	assert_ptr_equal(t->last.arg, &message);
	assert_int_equal(sys_write(&t->fake.sys, 6, &message, sizeof(message)), -EIO);
	assert_int_equal(t->last.result, -EIO);
}

static int count_up(int *n)
{
	return ++*n;
}

static void test_a_note_costs_nothing_untold(void **state)
{
	struct told *t = *state;
	int evaluated = 0;

	sys_note(&t->fake.sys, SYS_TOPIC_DEVICE, 4, "number %d", count_up(&evaluated));
	assert_string_equal(t->text, "number 1");
	assert_int_equal(t->last.kind, SYS_NOTE);
	assert_int_equal(t->last.topic, SYS_TOPIC_DEVICE);
	assert_int_equal(t->last.fd, 4);

	t->fake.sys.trace = NULL;
	sys_note(&t->fake.sys, SYS_TOPIC_DEVICE, 4, "number %d", count_up(&evaluated));
	assert_int_equal(sys_ioctl(&t->fake.sys, 3, KVM_CREATE_IRQCHIP, NULL), 0);
	assert_int_equal(evaluated, 1);
	assert_int_equal(t->count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_an_ioctl_is_told_with_its_site),
		TEST(test_wrappers_hand_on_the_site),
		TEST(test_a_failure_is_told),
		TEST(test_a_run_is_told_with_its_page),
		TEST(test_an_open_is_told),
		TEST(test_a_write_is_told_with_its_message),
		TEST(test_a_note_costs_nothing_untold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
