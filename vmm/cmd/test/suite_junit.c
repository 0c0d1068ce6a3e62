/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report as JUnit XML: one suite per guest, with a case for the guest's own verdict and one for
 * each inner test. A failed inner test is not a failure of the guest's case: it would count twice.
 * Texts of the report are valid UTF-8 of characters that XML allows.
 */
#include "suite.h"

#include "base/text.h"

#include <stdarg.h>
#include <string.h>

/* Like fprintf(), but only with %s, whose texts it escapes. */
static void put(FILE *out, const char *fmt, ...) __printf(2, 3);
static void put(FILE *out, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	for (const char *at; (at = strstr(fmt, "%s")); fmt = at + 2) {
		fwrite(fmt, 1, (size_t)(at - fmt), out);
		text_print_xml(out, va_arg(args, const char *));
	}
	va_end(args);
	fputs(fmt, out);
}

static void put_lines(FILE *out, const cJSON *lines)
{
	json_each(line, lines)
		put(out, "%s\n", cJSON_GetStringValue(line));
}

/* NULL: no failure except those of the inner tests, of which there are `inner`. */
static const char *guest_failure(const cJSON *test, unsigned inner)
{
	const cJSON *problem = json_first(json_get(json_get(test, "tap"), "problems"));

	if (result_passed(test))
		return NULL;
	if (inner && strcmp(result_text(test, "outcome"), "tests-failed") == 0)
		return cJSON_GetStringValue(problem);
	return result_text(test, "detail");
}

static void print_guest_case(FILE *out, const cJSON *test, const char *name, const char *failure)
{
	put(out, "    <testcase name=\"%s\" classname=\"kinglet\"", name);
	fprintf(out, " time=\"%.3f\">\n", result_number(test, "seconds"));
	if (failure)
		put(out, "      <failure type=\"%s\" message=\"%s\"/>\n",
		    result_text(test, "outcome"), failure);
	fputs("      <system-out>", out);
	put_lines(out, json_get(test, "console"));
	fputs("</system-out>\n    </testcase>\n", out);
}

/* JUnit's form of a result, and its default reason. */
enum { FAILED, SKIPPED, EXPECTED, KINDS };

static const struct {
	const char *result, *element, *message;
} kinds[KINDS] = {
	[FAILED] = { "fail", "failure", "not ok" },
	[SKIPPED] = { "skip", "skipped", "skipped" },
	[EXPECTED] = { "todo", "skipped", "failed as expected" },
};

struct tally {
	unsigned tests, kinds[KINDS];
};

static unsigned kind_of(const cJSON *test)
{
	unsigned kind = 0;

	while (kind < KINDS && strcmp(result_text(test, "result"), kinds[kind].result) != 0)
		kind++;
	return kind;
}

static void print_inner_case(FILE *out, const cJSON *test, const char *class)
{
	const char *reason = result_text(test, "reason");
	const cJSON *diagnosis = json_get(test, "diagnosis");
	unsigned kind = kind_of(test);

	put(out, "    <testcase name=\"%s\" classname=\"%s\"", result_text(test, "name"), class);
	if (kind == KINDS) {
		fputs("/>\n", out);
		return;
	}
	put(out, ">\n      <%s message=\"%s\"", kinds[kind].element,
	    *reason ? reason : kinds[kind].message);
	if (diagnosis) {
		fputc('>', out);
		put_lines(out, diagnosis);
		put(out, "</%s>\n    </testcase>\n", kinds[kind].element);
	} else {
		fputs("/>\n    </testcase>\n", out);
	}
}

/*
 * A test with subtests only has a case if it failed although its subtests did not. `out` NULL: only
 * counts.
 */
static void walk(FILE *out, const cJSON *tests, const char *class, struct tally *tally)
{
	json_each(test, tests) {
		_cleanup_free_ char *inner = NULL;
		unsigned kind = kind_of(test), failed = tally->kinds[FAILED];

		if (asprintf(&inner, "%s.%s", class, result_text(test, "name")) < 0) {
			inner = NULL;
			continue;
		}
		walk(out, json_get(test, "tests"), inner, tally);
		if (json_get(test, "tests") && (kind != FAILED || tally->kinds[FAILED] != failed))
			continue;
		tally->tests++;
		if (kind < KINDS)
			tally->kinds[kind]++;
		if (out)
			print_inner_case(out, test, class);
	}
}

static void print_suite(FILE *out, const cJSON *test)
{
	const char *name = result_text(test, "name");
	const cJSON *inner = json_get(json_get(test, "tap"), "tests");
	struct tally tally = { .tests = 1 }, printed = { 0 };
	const char *failure;

	walk(NULL, inner, name, &tally);
	failure = guest_failure(test, tally.kinds[FAILED]);
	put(out, "  <testsuite name=\"%s\"", name);
	fprintf(out, " tests=\"%u\" failures=\"%u\" errors=\"0\" skipped=\"%u\" time=\"%.3f\">\n",
		tally.tests, tally.kinds[FAILED] + (failure != NULL),
		tally.kinds[SKIPPED] + tally.kinds[EXPECTED], result_number(test, "seconds"));
	print_guest_case(out, test, name, failure);
	walk(out, inner, name, &printed);
	fputs("  </testsuite>\n", out);
}

void junit_print(FILE *out, const cJSON *report)
{
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"kinglet\">\n", out);
	json_each(test, json_get(report, "tests"))
		print_suite(out, test);
	fputs("</testsuites>\n", out);
}
