/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_message_is_one_line_with_the_name(void **state)
{
	struct capture capture;
	char text[2048];

	(void)state;
	capture_stderr_begin(&capture);
	log_error("tap %s: %d", "tap0", 7);
	log_warning("x");
	capture_stderr_end(&capture, text, sizeof(text));
	assert_string_equal(text, "kinglet: tap tap0: 7\nkinglet: warning: x\n");
}

static void control_characters_cannot_get_out(void **state)
{
	struct capture capture;
	char text[2048];

	(void)state;
	capture_stderr_begin(&capture);
	log_error("%s", "a\nb\x1b[31m\r\tc\x7f" "\xc3\xa9");
	capture_stderr_end(&capture, text, sizeof(text));
	assert_string_equal(text, "kinglet: a?b?[31m??c?" "\xc3\xa9" "\n");
}

static void a_long_message_is_cut_and_still_ends(void **state)
{
	struct capture capture;
	char text[2048], big[1500];

	(void)state;
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	capture_stderr_begin(&capture);
	log_error("%s", big);
	capture_stderr_end(&capture, text, sizeof(text));
	assert_true(strlen(text) <= 1024);
	assert_true(strlen(text) > 1000);
	assert_int_equal(strchr(text, '\n') - text, strlen(text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_one_line_with_the_name),
		cmocka_unit_test(control_characters_cannot_get_out),
		cmocka_unit_test(a_long_message_is_cut_and_still_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
