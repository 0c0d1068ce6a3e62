/* SPDX-License-Identifier: Apache-2.0 */
/* kinglet state show: what people and programs read of a section. */
#include "../../vmm/cmd/state/show.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

struct part {
	uint8_t name[6];
	uint8_t mac[4];
	uint16_t small;
	uint64_t large;
	bool on;
	uint16_t steps[2];
	uint8_t added; /* by version 2 */
};

static const struct state_field fields[] = {
	STATE_BYTES(struct part, name),
	STATE_BYTES(struct part, mac),
	STATE_NUMBER(struct part, small),
	STATE_NUMBER(struct part, large),
	STATE_FLAG(struct part, on),
	STATE_NUMBERS(struct part, steps),
	{ .name = "added",
	  .offset = offsetof(struct part, added),
	  .count = 1,
	  .size = 1,
	  .kind = STATE_FIELD_NUMBER,
	  .since = 2,
	  .max = 9 },
	STATE_END,
};

static const struct state_table table = {
	.name = "part",
	.version = 2,
	.size = sizeof(struct part),
	.fields = fields,
};

#define VERSION_1 "two\0\0\0\x52\x54\0\1\t\0\n\0\0\0\0\0\0\0\1\1\0\x20\0"

static struct state_view view_of(unsigned version, const void *data, size_t len)
{
	return (struct state_view){
		.table = "part",
		.name = "x 0",
		.version = (uint16_t)version,
		.data = data,
		.len = len,
	};
}

static void shows(const struct state_view *view, const struct state_table *with, bool json,
		  const char *expected)
{
	char text[1024] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	assert_non_null(out);
	(json ? state_show_json : state_show_text)(out, view, with);
	fclose(out);
	assert_string_equal(text, expected);
}

static void test_each_field_has_a_line(void **state)
{
	static const char first[] = "    name                     two\n"
				    "    mac                      52540001\n"
				    "    small                    9\n"
				    "    large                    0xa\n"
				    "    on                       true\n"
				    "    steps                    1 0x20";
	const struct state_view old = view_of(1, VERSION_1, 25);
	const struct state_view two = view_of(2, VERSION_1 "\7" VERSION_1 "\10", 52);
	char text[1024];

	(void)state;
	snprintf(text, sizeof(text), "part x 0 (version 1, 25 bytes)\n%s\n", first);
	shows(&old, &table, false, text);
	snprintf(text, sizeof(text),
		 "part x 0 (version 2, 52 bytes)\n%s\n    added                    7\n\n"
		 "%s\n    added                    8\n",
		 first, first);
	shows(&two, &table, false, text);
}

static void test_programs_read_json(void **state)
{
	const struct state_view old = view_of(1, VERSION_1 VERSION_1, 50);
	const char *object = "{\"name\":\"74776f000000\",\"mac\":\"52540001\",\"small\":9,\"large\":10,"
			     "\"on\":true,\"steps\":[1,32]}";
	char text[1024];

	(void)state;
	snprintf(text, sizeof(text),
		 "{\"section\":\"part\",\"name\":\"x 0\",\"version\":1,\"objects\":[%s,%s]}", object,
		 object);
	shows(&old, &table, true, text);
}

static void test_what_no_table_describes_is_bytes(void **state)
{
	const struct state_view words = view_of(1, "--cpus=2\0--x\0", 13);
	const struct state_view bytes = view_of(1, "ab\x1b[2J", 6), later = view_of(3, "\1", 1);
	const struct state_view none = view_of(1, "", 0), cut = view_of(1, "\1", 1);

	(void)state;
	shows(&words, NULL, false, "part x 0 (version 1, 13 bytes)\n    --cpus=2 --x\n");
	shows(&words, NULL, true,
	      "{\"section\":\"part\",\"name\":\"x 0\",\"version\":1,"
	      "\"objects\":[\"2d2d637075733d32002d2d7800\"]}");
	shows(&bytes, NULL, false, "part x 0 (version 1, 6 bytes)\n    61621b5b324a\n");
	shows(&later, &table, false, "part x 0 (version 3, 1 bytes)\n    01\n");
	shows(&cut, &table, false, "part x 0 (version 1, 1 bytes)\n    01\n");
	shows(&none, &table, false, "part x 0 (version 1, 0 bytes)\n\n");
	shows(&none, &table, true,
	      "{\"section\":\"part\",\"name\":\"x 0\",\"version\":1,\"objects\":[]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_field_has_a_line),
		cmocka_unit_test(test_programs_read_json),
		cmocka_unit_test(test_what_no_table_describes_is_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
