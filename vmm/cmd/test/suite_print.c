/* SPDX-License-Identifier: Apache-2.0 */
/* A result as text: one line, and for a failure the details. */

#include "suite.h"

#include <string.h>

/* One line: quotes and backslashes inside are escaped. */
static void print_quoted(FILE *out, const char *text)
{
	fputs(" \"", out);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static int number(const cJSON *object, const char *key)
{
	return (int)result_number(object, key);
}

static void print_tap(FILE *out, const cJSON *tap)
{
	static const char *const keys[] = { "passed", "failed", "skipped", "todo" };
	const char *between = " tests=";

	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!number(tap, keys[i]))
			continue;
		fprintf(out, "%s%d-%s", between, number(tap, keys[i]), keys[i]);
		between = ",";
	}
}

static void print_line(FILE *out, const char *name, const cJSON *attempts, const cJSON *result)
{
	const char *outcome = result_text(result, "outcome");
	bool passed = result_passed(result);

	fprintf(out, "%s", passed ? "PASS" : "FAIL");
	if (*name)
		fprintf(out, " %s", name);
	fprintf(out, " outcome=%s", outcome);
	if (strcmp(outcome, "guest-status") == 0)
		fprintf(out, " status=%d", number(result, "status"));
	fprintf(out, " after=%.2fs", result_number(result, "seconds"));
	if (cJSON_GetArraySize(attempts) > 1)
		fprintf(out, " attempts=%d%s", cJSON_GetArraySize(attempts),
			passed ? " flaky" : "");
	if (cJSON_IsObject(json_get(result, "tap")))
		print_tap(out, json_get(result, "tap"));
	if (!passed && *result_text(result, "detail"))
		print_quoted(out, result_text(result, "detail"));
	fputc('\n', out);
}

/* Three per line; registers of flags, with the names of their bits, one per line after them. */
static void print_registers(FILE *out, const cJSON *registers)
{
	unsigned column = 0;

	json_each(value, registers) {
		if (strchr(cJSON_GetStringValue(value), ' '))
			continue;
		fprintf(out, "%s%7s %-*s", column ? " " : "   ", value->string, column < 2 ? 18 : 0,
			cJSON_GetStringValue(value));
		column = (column + 1) % 3;
		if (!column)
			fputc('\n', out);
	}
	if (column)
		fputc('\n', out);
	json_each(value, registers)
		if (strchr(cJSON_GetStringValue(value), ' '))
			fprintf(out, "   %7s %s\n", value->string, cJSON_GetStringValue(value));
}

static void print_vcpus(FILE *out, const cJSON *result)
{
	bool timeout = strcmp(result_text(result, "outcome"), "timeout") == 0;

	json_each(vcpu, json_get(result, "vcpus")) {
		const char *symbol = result_text(vcpu, "symbol");

		fprintf(out, "  vCPU %d: %s at %s%s%s (%s)\n", number(vcpu, "id"),
			timeout ? result_text(vcpu, "activity") : "stopped",
			result_text(vcpu, "ip"), *symbol ? " " : "", symbol,
			result_text(vcpu, "mode"));
		/* At a timeout only the place matters, and there may be many vCPUs. */
		if (!timeout)
			print_registers(out, json_get(vcpu, "registers"));
	}
}

static void print_patterns(FILE *out, const cJSON *patterns, bool matched, const char *what)
{
	json_each(pattern, patterns)
		if (cJSON_IsString(json_get(pattern, "line")) == matched)
			fprintf(out, "  %s: %s\n", what, result_text(pattern, "pattern"));
}

/* Returns their number: a parent is printed only if none of its subtests shows the reason. */
static unsigned print_failed_tests(FILE *out, const cJSON *tests, const char *path)
{
	unsigned printed = 0;

	json_each(test, tests) {
		_cleanup_free_ char *inner = NULL;
		const char *reason = result_text(test, "reason");
		unsigned below;

		if (asprintf(&inner, "%s%s%s", path, *path ? " / " : "",
			     result_text(test, "name")) < 0) {
			inner = NULL;
			continue;
		}
		below = print_failed_tests(out, json_get(test, "tests"), inner);
		printed += below;
		if (below || strcmp(result_text(test, "result"), "fail") != 0)
			continue;
		fprintf(out, "  not ok: %s%s%s\n", inner, *reason ? ": " : "", reason);
		printed++;
	}
	return printed;
}

static void print_tap_problems(FILE *out, const cJSON *tap)
{

	print_failed_tests(out, json_get(tap, "tests"), "");
	json_each(problem, json_get(tap, "problems"))
		fprintf(out, "  test results: %s\n", cJSON_GetStringValue(problem));
}

static void print_tail(FILE *out, const cJSON *result)
{
	const cJSON *console = json_get(result, "console");
	int count = cJSON_GetArraySize(console);
	const cJSON *complaint = json_get(result, "complaint");
	int start = count > SHOWN_TAIL_LINES ? count - SHOWN_TAIL_LINES : 0;
	const char *title = start ? "The last lines of the console" : "The console";

	if (complaint) {
		title = "The console from the kernel's first complaint on";
		start = number(result, "complaint");
	}

	/* There was no guest. */
	if (!console || strcmp(result_text(result, "outcome"), "usage") == 0 ||
	    strcmp(result_text(result, "outcome"), "host-error") == 0)
		return;
	if (!count) {
		fputs("  The guest printed nothing.\n", out);
		return;
	}
	fprintf(out, "  %s:\n", title);
	json_each(line, console)
		if (start-- <= 0)
			fprintf(out, "  | %s\n", cJSON_GetStringValue(line));
}

void print_result(FILE *out, const char *name, const cJSON *attempts)
{
	const cJSON *result = cJSON_GetArrayItem(attempts, cJSON_GetArraySize(attempts) - 1);

	print_line(out, name, attempts, result);
	if (result_passed(result))
		return;
	print_vcpus(out, result);
	print_patterns(out, json_get(result, "expected"), false, "not seen");
	print_patterns(out, json_get(result, "rejected"), true, "rejected by");
	print_tap_problems(out, json_get(result, "tap"));
	print_tail(out, result);
}
