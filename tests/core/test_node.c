/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"
#include "core/kvm.h"
#include "core/node.h"
#include "fake_sys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct device_node node = {
	.path = "/dev/vhost-x",
	.absent = "modprobe vhost_x",
};

static void each_error_has_its_remedy(void **state)
{
	static const struct {
		int err;
		bool has_sysfs;
		const char *reason;
	} cases[] = {
		{ -ENOENT, false, "No such file or directory (modprobe vhost_x)" },
		{ -ENODEV, false, "No such device (modprobe vhost_x)" },
		{ -ENXIO, true, "No such device or address (modprobe vhost_x)" },
		{ -ENOENT, true, "No such file or directory (the module is loaded, but this /dev "
				 "has no node of it)" },
		{ -EACCES, true, "Permission denied (needs read and write permission on it)" },
		{ -EPERM, true, "Operation not permitted (needs read and write permission on it)" },
		{ -EMFILE, true, "Too many open files" },
	};
	struct fake_sys fake;
	char reason[100];

	(void)state;
	fake_sys_init(&fake);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fake.has_sysfs = cases[i].has_sysfs;
		node_reason(&node, &fake.sys, cases[i].err, reason, sizeof(reason));
		assert_string_equal(reason, cases[i].reason);
	}
	node_reason(&node, &fake.sys, -EACCES, reason, 12);
	assert_string_equal(reason, "Permission ");
	fake_sys_destroy(&fake);
}

static void expect_kvm_line(int error, const char *line)
{
	struct fake_sys fake;
	struct capture capture;
	struct kvm kvm;
	int ret;

	fake_sys_init(&fake);
	fake.fail_at = 1;
	fake.fail_errno = error;
	capture_stderr_begin(&capture);
	ret = kvm_init(&kvm, &fake.sys, 0);
	capture_expect_all(&capture, line);
	assert_int_equal(ret, -error);
	fake_sys_destroy(&fake);
}

static void a_host_without_kvm_is_told_what_to_do(void **state)
{
	(void)state;
	expect_kvm_line(ENOENT, "kinglet: /dev/kvm: open: No such file or directory (x86: load the "
				"kvm_intel or kvm_amd module; is virtualisation on in the firmware? "
				"arm64: was the kernel started at EL2?)\n");
	expect_kvm_line(EACCES, "kinglet: /dev/kvm: open: Permission denied (join the group that "
				"owns it: usermod -aG kvm USER)\n");
	expect_kvm_line(EMFILE, "kinglet: /dev/kvm: open: Too many open files\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_error_has_its_remedy),
		cmocka_unit_test(a_host_without_kvm_is_told_what_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
