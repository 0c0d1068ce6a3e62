/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report as JUnit XML: one suite a guest, with a case for the guest's own verdict and one for
 * each test that it ran inside. Texts of the report are valid UTF-8 of characters that XML allows.
 */
#include "cli/suite.h"

#include <string.h>

static void print_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			fputc(*text, out);
		}
	}
}

static void print_attribute(FILE *out, const char *name, const char *value)
{
	fprintf(out, " %s=\"", name);
	print_escaped(out, value);
	fputc('"', out);
}

static void print_console(FILE *out, const cJSON *test)
{
	const cJSON *line;

	for (line = json_first(json_get(test, "console")); line; line = line->next) {
		print_escaped(out, cJSON_GetStringValue(line));
		fputc('\n', out);
	}
}

static void print_guest_case(FILE *out, const cJSON *test, const char *name)
{
	fputs("    <testcase", out);
	print_attribute(out, "name", name);
	print_attribute(out, "classname", "kinglet");
	fprintf(out, " time=\"%.3f\">\n", result_number(test, "seconds"));
	if (!result_passed(test)) {
		fputs("      <failure", out);
		print_attribute(out, "type", result_text(test, "outcome"));
		print_attribute(out, "message", result_text(test, "detail"));
		fputs("/>\n", out);
	}
	fputs("      <system-out>", out);
	print_console(out, test);
	fputs("</system-out>\n    </testcase>\n", out);
}

static void print_inner_case(FILE *out, const cJSON *test, const char *class)
{
	const char *result = result_text(test, "result");
	const char *element = strcmp(result, "fail") == 0 ? "failure" :
			      strcmp(result, "pass") == 0 ? NULL :
							    "skipped";

	fputs("    <testcase", out);
	print_attribute(out, "name", result_text(test, "name"));
	print_attribute(out, "classname", class);
	if (!element) {
		fputs("/>\n", out);
		return;
	}
	fprintf(out, ">\n      <%s", element);
	print_attribute(out, "message", result_text(test, "reason"));
	fputs("/>\n    </testcase>\n", out);
}

struct tally {
	unsigned tests, failures, skipped;
};

/* The failure of a parent that its subtests do not show is a case of its own. */
static bool has_own_case(const cJSON *test)
{
	const cJSON *child;

	if (!json_get(test, "tests"))
		return true;
	if (strcmp(result_text(test, "result"), "fail") != 0)
		return false;
	for (child = json_first(json_get(test, "tests")); child; child = child->next)
		if (strcmp(result_text(child, "result"), "fail") == 0)
			return false;
	return true;
}

/* `out` NULL: only counts. */
static void walk(FILE *out, const cJSON *tests, const char *class, struct tally *tally)
{
	const cJSON *test;

	for (test = json_first(tests); test; test = test->next) {
		_cleanup_free_ char *inner = NULL;

		if (asprintf(&inner, "%s.%s", class, result_text(test, "name")) < 0) {
			inner = NULL;
			continue;
		}
		walk(out, json_get(test, "tests"), inner, tally);
		if (!has_own_case(test))
			continue;
		tally->tests++;
		tally->failures += strcmp(result_text(test, "result"), "fail") == 0;
		tally->skipped += strcmp(result_text(test, "result"), "skip") == 0 ||
				  strcmp(result_text(test, "result"), "todo") == 0;
		if (out)
			print_inner_case(out, test, class);
	}
}

static void print_suite(FILE *out, const cJSON *test)
{
	const char *name = result_text(test, "name");
	const cJSON *inner = json_get(json_get(test, "tap"), "tests");
	struct tally tally = { .tests = 1, .failures = !result_passed(test) };

	walk(NULL, inner, name, &tally);
	fputs("  <testsuite", out);
	print_attribute(out, "name", name);
	fprintf(out, " tests=\"%u\" failures=\"%u\" errors=\"0\" skipped=\"%u\" time=\"%.3f\">\n",
		tally.tests, tally.failures, tally.skipped,
		result_number(test, "seconds"));
	print_guest_case(out, test, name);
	walk(out, inner, name, &tally);
	fputs("  </testsuite>\n", out);
}

void junit_print(FILE *out, const cJSON *report)
{
	const cJSON *test;

	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"kinglet\">\n", out);
	for (test = json_first(json_get(report, "tests")); test; test = test->next)
		print_suite(out, test);
	fputs("</testsuites>\n", out);
}
