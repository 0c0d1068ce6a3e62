/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "guestlog/lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct lines *new_lines(void)
{
	return test_calloc(1, sizeof(struct lines));
}

/* All lines of the text, each ended by a bar. */
static void assert_lines(const char *text, size_t len, const char *expected)
{
	struct lines *lines = new_lines();
	char all[4096] = "";

	for (size_t i = 0; i < len; i++) {
		const char *line = lines_feed(lines, (uint8_t)text[i]);

		if (line) {
			strcat(all, line);
			strcat(all, "|");
		}
	}
	assert_string_equal(all, expected);
	test_free(lines);
}
#define ASSERT_LINES(text, expected) assert_lines(text, sizeof(text) - 1, expected)

static void lines_are_what_is_seen(void **state)
{
	(void)state;
	ASSERT_LINES("one\r\ntwo\n\nrest", "one|two||");
	ASSERT_LINES("1%\r2%\r\x1b[K3%\r\r\n\rfour\n", "1%|2%|3%|four|");
	ASSERT_LINES("\x1b[1;31mred\x1b[0m\tend\n", "red end|");
	ASSERT_LINES("\x1b]0;title\x07text\x08\n", "text|");
	ASSERT_LINES("cut \x1b[1\nnext\n", "cut |next|");
	ASSERT_LINES("a\0b\xff\n", "ab\xef\xbf\xbd|");
}

static void an_endless_line_is_several(void **state)
{
	struct lines *lines = new_lines();
	unsigned count = 0;

	(void)state;
	for (unsigned i = 0; i < 2 * LINE_MAX_LEN; i++) {
		const char *line = lines_feed(lines, 'x');

		if (line) {
			assert_int_equal(strlen(line), LINE_MAX_LEN);
			count++;
		}
	}
	assert_int_equal(count, 2);
	/* A line of bytes that each become three does not overrun the buffer. */
	for (unsigned i = 0; i < LINE_MAX_LEN; i++)
		lines_feed(lines, 0xff);
	test_free(lines);
}

static void a_line_without_newline_is_seen_once_it_has_grown(void **state)
{
	struct lines *lines = new_lines();

	(void)state;
	assert_null(lines_partial(lines));
	assert_null(lines_end(lines));
	lines_feed(lines, '$');
	assert_string_equal(lines_partial(lines), "$");
	assert_null(lines_partial(lines));
	lines_feed(lines, ' ');
	assert_string_equal(lines_partial(lines), "$ ");
	assert_string_equal(lines_end(lines), "$ ");
	assert_null(lines_end(lines));
	test_free(lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_what_is_seen),
		cmocka_unit_test(an_endless_line_is_several),
		cmocka_unit_test(a_line_without_newline_is_seen_once_it_has_grown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
