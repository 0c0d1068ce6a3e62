/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"
#include "unit.h"

#include <string.h>

static void what_does_not_fit_is_cut(void **state)
{
	char buf[6];
	struct text text = text_of(buf, sizeof(buf));

	(void)state;
	text_add(&text, "%d", 123);
	text_add(&text, "%s", "abcdef");
	text_add_char(&text, 'x');
	text_add(&text, "y");
	assert_string_equal(buf, "123ab");
	assert_int_equal(text.len, 5);
}

static void bytes_in_binary_units(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{ 0, "0 bytes" },
		{ 1, "1 byte" },
		{ 1023, "1023 bytes" },
		{ 4608, "4.5 KiB" },
		{ 256 << 20, "256 MiB" },
		{ UINT64_MAX, "1677721.5 TiB" },
	};
	char buf[32];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct text text = text_of(buf, sizeof(buf));

		text_add_bytes(&text, cases[i].bytes);
		assert_string_equal(buf, cases[i].text);
	}
}

static void hexadecimal_digits(void **state)
{
	static const char digits[] = "0123456789abcdef", none[] = "/:@G`g {\x10\x19\xb0";

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(hex_digit(digits[i]), i);
	assert_int_equal(hex_digit('A'), 10);
	assert_int_equal(hex_digit('F'), 15);
	for (unsigned i = 0; i < sizeof(none); i++)
		assert_int_equal(hex_digit(none[i]), 16);

	assert_int_equal(hex_byte("00"), 0);
	assert_int_equal(hex_byte("fF:"), 255);
	assert_int_equal(hex_byte("a5"), 0xa5);
	assert_int_equal(hex_byte("a"), -1);
	assert_int_equal(hex_byte(""), -1);
	assert_int_equal(hex_byte("g0"), -1);
	assert_int_equal(hex_byte("0x"), -1);
}

/* From the tables of FNV's authors: addresses and names of targets must not change. */
static void hash_is_fnv_1a(void **state)
{
	(void)state;
	assert_int_equal(text_hash(""), 0xcbf29ce484222325);
	assert_int_equal(text_hash("a"), 0xaf63dc4c8601ec8c);
	assert_int_equal(text_hash("foobar"), 0x85944171f73967e8);
}

static void xml_is_escaped(void **state)
{
	char *page = NULL;
	size_t len;
	FILE *out = open_memstream(&page, &len);

	(void)state;
	assert_non_null(out);
	text_print_xml(out, NULL);
	text_print_xml(out, "<a b=\"&\">\x1b[0m\n\xc3\xa9'");
	fclose(out);
	assert_string_equal(page, "&lt;a b=&quot;&amp;&quot;&gt;?[0m?\xc3\xa9'");
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_does_not_fit_is_cut),
		cmocka_unit_test(bytes_in_binary_units),
		cmocka_unit_test(hexadecimal_digits),
		cmocka_unit_test(hash_is_fnv_1a),
		cmocka_unit_test(xml_is_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
