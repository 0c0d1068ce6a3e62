/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void bad_ends_have_one_line_and_good_ends_none(void **state)
{
	static const struct {
		struct verdict verdict;
		const char *line;
	} cases[] = {
		{ { OUTCOME_POWEROFF, 0, "" }, "" },
		{ { OUTCOME_REBOOT, 0, "i8042" }, "" },
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_ends_have_one_line_and_good_ends_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
