/* SPDX-License-Identifier: Apache-2.0 */
#include "guestlog/guest_log.h"

#include "base/cleanup.h"
#include "machine/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Calls of a listener: "0:line|", and "1:begin…" for an incomplete line. */
struct heard {
	char text[256];
	const char *wanted; /* it ends the run at this line */
};

static bool hear(void *owner, enum guest_stream stream, const char *line, bool whole,
		 struct verdict *end)
{
	struct heard *heard = owner;
	size_t used = strlen(heard->text);

	snprintf(heard->text + used, sizeof(heard->text) - used, "%u:%s%s",
		 (unsigned)stream, line, whole ? "|" : "...");
	end->status = 7;
	return heard->wanted && strcmp(line, heard->wanted) == 0;
}

static bool prints(struct guest_log *log, enum guest_stream stream, const char *text)
{
	struct verdict end = { 0 };

	return guest_log_ops.console(log, stream, (const uint8_t *)text, strlen(text), &end) &&
	       end.status == 7;
}

static void each_listener_is_told_each_line(void **state)
{
	struct guest_log *log = test_calloc(1, sizeof(*log));
	struct heard one = { .wanted = "two" }, two = { 0 };

	(void)state;
	guest_log_listen(log, (struct line_listener){ .line = hear, .owner = &one });
	guest_log_listen(log, (struct line_listener){ .line = hear, .owner = &two });
	assert_false(prints(log, GUEST_SERIAL, "on"));
	assert_false(prints(log, GUEST_HVC, "other\n"));
	/* The other listeners still get everything. */
	assert_true(prints(log, GUEST_SERIAL, "e\ntwo\nthree\n"));
	assert_string_equal(one.text, "1:other|0:one|0:two|0:three|");
	assert_string_equal(two.text, one.text);
	test_free(log);
}

static void a_line_without_its_newline_is_told_at_a_tick(void **state)
{
	struct guest_log *log = test_calloc(1, sizeof(*log));
	struct heard heard = { .wanted = "login:" };
	struct verdict end;

	(void)state;
	guest_log_listen(log, (struct line_listener){ .line = hear, .owner = &heard });
	assert_false(guest_log_tick(log, &end));
	assert_false(prints(log, GUEST_HVC, "login:"));
	assert_true(guest_log_tick(log, &end));
	assert_false(guest_log_tick(log, &end));
	assert_string_equal(heard.text, "1:login:...");
	guest_log_finish(log);
	guest_log_finish(log);
	assert_string_equal(heard.text, "1:login:...1:login:|");
	test_free(log);
}

/* The first that comes is the end; of what comes at once, what a listener wants goes first. */
static void what_a_line_shows_goes_before_a_panic(void **state)
{
	static const char text[] = "enough\n---[ end Kernel panic - not syncing: x ]---\n";
	struct guest_log *log = test_calloc(1, sizeof(*log));
	struct heard heard = { .wanted = "enough" };
	struct verdict end = { .outcome = OUTCOME_OBSERVER };

	(void)state;
	guest_log_listen(log, (struct line_listener){ .line = hear, .owner = &heard });
	assert_true(guest_log_ops.console(log, GUEST_SERIAL, (const uint8_t *)text, strlen(text),
					  &end));
	assert_int_equal(end.outcome, OUTCOME_OBSERVER);
	assert_true(guest_log_ops.console(log, GUEST_SERIAL, (const uint8_t *)"\n", 1, &end));
	assert_int_equal(end.outcome, OUTCOME_PANIC);
	test_free(log);
}

static void a_boot_knows_nothing_of_the_panic_before(void **state)
{
	struct guest_log *log = test_calloc(1, sizeof(*log));
	struct machine_panic panic;

	(void)state;
	prints(log, GUEST_SERIAL, "Kernel panic - not syncing: no ini");
	guest_log_ops.panic(log, &panic);
	assert_int_equal(panic.proof, PANIC_TEXT);
	assert_string_equal(panic.line, "Kernel panic - not syncing: no ini");
	guest_log_ops.restarting(log);
	prints(log, GUEST_SERIAL, "t\nLinux version 6.1\n");
	guest_log_ops.panic(log, &panic);
	assert_int_equal(panic.proof, PANIC_UNKNOWN);
	assert_string_equal(panic.line, "");
	test_free(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_listener_is_told_each_line),
		cmocka_unit_test(a_line_without_its_newline_is_told_at_a_tick),
		cmocka_unit_test(what_a_line_shows_goes_before_a_panic),
		cmocka_unit_test(a_boot_knows_nothing_of_the_panic_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
