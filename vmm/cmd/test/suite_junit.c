/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The report as JUnit XML: one suite a guest, with a case for the guest's own verdict and one for
 * each test that it ran inside. A test inside that failed is no failure of the guest's: it would
 * count twice. Texts of the report are valid UTF-8 of characters that XML allows.
 */
#include "cmd/suite.h"

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

static void print_lines(FILE *out, const cJSON *lines)
{
	const cJSON *line;

	for (line = json_first(lines); line; line = line->next) {
		print_escaped(out, cJSON_GetStringValue(line));
		fputc('\n', out);
	}
}

/* `type` and `lines` may be NULL. */
static void print_message(FILE *out, const char *element, const char *type, const char *message,
			  const cJSON *lines)
{
	fprintf(out, "      <%s", element);
	if (type)
		print_attribute(out, "type", type);
	print_attribute(out, "message", message);
	if (!lines) {
		fputs("/>\n", out);
		return;
	}
	fputc('>', out);
	print_lines(out, lines);
	fprintf(out, "</%s>\n", element);
}

/* NULL: there is no failure but those of the tests inside, of which there are `inner`. */
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
	fputs("    <testcase", out);
	print_attribute(out, "name", name);
	print_attribute(out, "classname", "kinglet");
	fprintf(out, " time=\"%.3f\">\n", result_number(test, "seconds"));
	if (failure)
		print_message(out, "failure", result_text(test, "outcome"), failure, NULL);
	fputs("      <system-out>", out);
	print_lines(out, json_get(test, "console"));
	fputs("</system-out>\n    </testcase>\n", out);
}

/* How JUnit has a test's result, and what it says where the test gave no reason. */
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
	unsigned kind = kind_of(test);

	fputs("    <testcase", out);
	print_attribute(out, "name", result_text(test, "name"));
	print_attribute(out, "classname", class);
	if (kind == KINDS) {
		fputs("/>\n", out);
		return;
	}
	fputs(">\n", out);
	print_message(out, kinds[kind].element, NULL, *reason ? reason : kinds[kind].message,
		      json_get(test, "diagnosis"));
	fputs("    </testcase>\n", out);
}

/*
 * A test with subtests has no case of its own, but when it failed without one of theirs. `out`
 * NULL: only counts.
 */
static void walk(FILE *out, const cJSON *tests, const char *class, struct tally *tally)
{
	const cJSON *test;

	for (test = json_first(tests); test; test = test->next) {
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
	fputs("  <testsuite", out);
	print_attribute(out, "name", name);
	fprintf(out, " tests=\"%u\" failures=\"%u\" errors=\"0\" skipped=\"%u\" time=\"%.3f\">\n",
		tally.tests, tally.kinds[FAILED] + (failure != NULL),
		tally.kinds[SKIPPED] + tally.kinds[EXPECTED], result_number(test, "seconds"));
	print_guest_case(out, test, name, failure);
	walk(out, inner, name, &printed);
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
