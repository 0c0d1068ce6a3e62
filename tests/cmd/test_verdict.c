/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

static void ends_have_one_line_and_power_off_none(void **state)
{
	static const struct {
		struct verdict verdict;
		const char *line;
	} cases[] = {
		{ { OUTCOME_POWEROFF, 0, "" }, "" },
		{ { OUTCOME_REBOOT, 0, "i8042" }, "guest rebooted after 1.83 s" },
		{ { OUTCOME_HALTED, 0, "" }, "" },
		{ { OUTCOME_QUIT, 0, "" }, "" },
		{ { OUTCOME_STATUS, 0, "" }, "" },
		{ { OUTCOME_STATUS, 7, "" }, "guest status 7 after 1.83 s" },
		{ { OUTCOME_PANIC, 102, "Kernel panic - not syncing: no init" },
		  "panic after 1.83 s: Kernel panic - not syncing: no init" },
		{ { OUTCOME_PANIC, 102, "" }, "panic after 1.83 s" },
		{ { OUTCOME_TRIPLE_FAULT, 103, "RIP 0x0" }, "triple fault after 1.83 s: RIP 0x0" },
		{ { OUTCOME_INTERNAL_ERROR, 104, "x" }, "internal error after 1.83 s: x" },
		{ { OUTCOME_TIMEOUT, 124, "" }, "timeout after 1.83 s" },
		{ { OUTCOME_SIGNAL, 128 + 15, "" }, "signal 15 after 1.83 s" },
		/* Logged where it happened. */
		{ { OUTCOME_USAGE, 100, "" }, "" },
		{ { OUTCOME_HOST, 101, "" }, "" },
		{ { OUTCOME_HOST, 101, "disk 0: No space left on device" },
		  "host error after 1.83 s: disk 0: No space left on device" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char line[300];

		verdict_format(&cases[i].verdict, 1.834, line, sizeof(line));
		assert_string_equal(line, cases[i].line);
	}
}

/* `test` writes each result at once; an earlier loss still counts at the end. */
static void a_lost_result_is_a_host_error(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (freopen("/dev/null", "w", stderr) && freopen("/dev/full", "w", stdout)) {
			puts("PASS");
			fflush(stdout);
			_exit(flush_stdout());
		}
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_HOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_have_one_line_and_power_off_none),
		cmocka_unit_test(a_lost_result_is_a_host_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
