/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/utf8.h"
#include "unit.h"

#include <string.h>

#define BAD "\xef\xbf\xbd"

static void what_is_no_text_becomes_the_replacement_character(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "", "" },
		{ "plain ~", "plain ~" },
		{ "a\tb", "a b" },
		{ "a\x1b[0m\r\x7f", "a" BAD "[0m" BAD BAD },
		{ "\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa6", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa6" },
		{ "\xff\xfe", BAD BAD },
		{ "\xc3", BAD },		     /* truncated */
		{ "\xc3(", BAD "(" },		     /* no continuation byte */
		{ "\xc0\xaf", BAD BAD },	     /* overlong */
		{ "\xe0\x80\xaf", BAD BAD BAD },     /* the same */
		{ "\xed\xa0\x80", BAD BAD BAD },     /* a surrogate */
		{ "\xf4\x90\x80\x80", BAD BAD BAD BAD }, /* beyond U+10FFFF */
		{ "\xef\xbf\xbe", BAD BAD BAD },     /* U+FFFE: not in XML */
		{ "\xc2\x9b", BAD BAD },	     /* a C1 control: CSI to a terminal */
		{ "\xc2\xa0", "\xc2\xa0" },
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t len = utf8_clean(out, sizeof(out), cases[i].in, strlen(cases[i].in));

		assert_string_equal(out, cases[i].out);
		assert_int_equal(len, strlen(out));
	}
	utf8_clean(out, sizeof(out), "a\0b", 3);
	assert_string_equal(out, "a" BAD "b");
}

static void a_character_is_never_cut(void **state)
{
	static const char in[] = "ab\xe2\x82\xac";
	char out[8];

	(void)state;
	for (size_t size = 1; size <= sizeof(out); size++) {
		size_t len = utf8_clean(out, size, in, sizeof(in) - 1);

		assert_int_equal(len, size > 5 ? 5 : size > 2 ? 2 : size - 1);
		assert_int_equal(out[len], '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_text_becomes_the_replacement_character),
		cmocka_unit_test(a_character_is_never_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
