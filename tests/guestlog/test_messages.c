/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "guestlog/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void what_printk_puts_before_a_message_is_skipped(void **state)
{
	static const struct {
		const char *line, *message;
		bool stamped;
	} cases[] = {
		{ "plain", "plain", false },
		{ "[    0.000000] Linux version", "Linux version", true },
		{ "[12345.678901] x", "x", true },
		{ "<4>[    1.2] x", "x", true },
		{ "[    1.234567][    T1] x", "x", true },
		{ "[    1.234567][   C12] x", "x", true },
		/* Text from a subsystem keeps its indentation and brackets. */
		{ "[    1.234567]     ok 1 x", "    ok 1 x", true },
		{ "[    1.234567] [drm] x", "[drm] x", true },
		{ "[    1.234567] [T1] x", "[T1] x", true },
		{ "[  OK  ] Started", "[  OK  ] Started", false },
		{ "[ 1.0", "[ 1.0", false },
		{ "[", "[", false },
		{ "<4", "<4", false },
		{ "", "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool stamped;

		assert_string_equal(message_of_line(cases[i].line, &stamped), cases[i].message);
		assert_int_equal(stamped, cases[i].stamped);
	}
}

static void complaints_have_their_grade(void **state)
{
	static const struct {
		const char *message;
		enum kernel_complaint complaint;
	} cases[] = {
		{ "BUG: unable to handle page fault for address: ffffffffc0000000", KERNEL_OOPS },
		{ "BUG: kernel NULL pointer dereference, address: 0000000000000000", KERNEL_OOPS },
		{ "Oops: 0002 [#1] PREEMPT SMP NOPTI", KERNEL_OOPS },
		{ "general protection fault, probably for non-canonical address", KERNEL_OOPS },
		{ "Internal error: Oops: 96000045 [#1] SMP", KERNEL_OOPS },
		{ "kernel BUG at mm/slub.c:305!", KERNEL_BUG },
		{ "BUG: KASAN: use-after-free in f+0x1/0x2", KERNEL_BUG },
		{ "watchdog: BUG: soft lockup - CPU#0 stuck for 26s!", KERNEL_BUG },
		{ "WARNING: CPU: 0 PID: 1 at kernel/x.c:1 f+0x1/0x2", KERNEL_WARNING },
		{ "INFO: task sh:1 blocked for more than 120 seconds.", KERNEL_WARNING },
		{ "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:", KERNEL_WARNING },
		/* A program's fault is not a kernel fault. */
		{ "traps: a.out[7] general protection fault ip:1 sp:2 error:0", KERNEL_FINE },
		{ "Debug: no", KERNEL_FINE },
		{ "the words BUG: inside a line", KERNEL_FINE },
		{ "", KERNEL_FINE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (message_complaint(cases[i].message) != cases[i].complaint)
			fail_msg("%s", cases[i].message);
	assert_true(message_ends_trace("---[ end trace 0000000000000000 ]---"));
	assert_false(message_ends_trace("---[ end Kernel panic"));
}

static void boot_failures_are_known(void **state)
{
	static const struct {
		const char *line;
		enum boot_failure failure;
	} cases[] = {
		/* initramfs-tools of Debian 12, with panic= and without */
		{ "No root device specified. Boot arguments must include a root= parameter.",
		  BOOT_FAILURE_REASON },
		{ "ALERT!  /dev/vda1 does not exist.  Dropping to a shell!", BOOT_FAILURE_REASON },
		{ "No init found. Try passing init= bootarg.", BOOT_FAILURE_REASON },
		{ "Rebooting automatically due to panic= boot argument", BOOT_FAILURE_END },
		{ "Halting automatically due to panic= boot argument", BOOT_FAILURE_END },
		{ "(initramfs) ", BOOT_FAILURE_END },
		{ "(initramfs) [    5.123456] random: crng init done", BOOT_FAILURE_END },
		/* dracut 059 */
		{ "dracut: FATAL: No or empty root= argument", BOOT_FAILURE_REASON },
		{ "dracut: Refusing to continue", BOOT_FAILURE_END },
		{ "Generating \"/run/initramfs/rdsosreport.txt\"", BOOT_FAILURE_END },
		{ "Entering emergency mode. Exit the shell to continue.", BOOT_FAILURE_END },
		/* systemd 252 */
		{ "[!!!!!!] Failed to mount API filesystems.", BOOT_FAILURE_REASON },
		{ "You are in emergency mode. After logging in, type \"journalctl -xb\" to view",
		  BOOT_FAILURE_END },
		{ "systemd[1]: Freezing execution.", BOOT_FAILURE_END },
		/* mkinitcpio, mkinitfs */
		{ "ERROR: Failed to mount 'UUID=1' on real root", BOOT_FAILURE_REASON },
		{ "You are now being dropped into an emergency shell.", BOOT_FAILURE_END },
		{ "initramfs emergency recovery shell launched. Type 'exit' to continue boot",
		  BOOT_FAILURE_END },
		/* Messages of a normal boot. */
		{ "", BOOT_FINE },
		{ "(initramfs", BOOT_FINE },
		{ "Loading, please wait...", BOOT_FINE },
		{ "[  OK  ] Reached target emergency.target - Emergency Mode.", BOOT_FINE },
		{ "dracut: Mounted root filesystem /dev/vda1", BOOT_FINE },
		{ "You are in rescue mode. After logging in, type", BOOT_FINE },
		{ "see \"Entering emergency mode.\" in the manual", BOOT_FINE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (message_boot_failure(cases[i].line) != cases[i].failure)
			fail_msg("%s", cases[i].line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_printk_puts_before_a_message_is_skipped),
		cmocka_unit_test(complaints_have_their_grade),
		cmocka_unit_test(boot_failures_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
