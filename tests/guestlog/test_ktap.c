/* SPDX-License-Identifier: Apache-2.0 */
#include "guestlog/ktap.h"

#include "base/cleanup.h"
#include "guestlog/lines.h"
#include "guestlog/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* "+a -b(c d)": passed, failed; ~ skipped, ? todo; subtests in brackets. */
static void describe(const struct ktap_test *test, char *text, size_t len)
{
	static const char signs[] = { [KTAP_PASS] = '+', [KTAP_FAIL] = '-', [KTAP_SKIP] = '~',
				      [KTAP_TODO] = '?' };

	for (; test; test = test->next) {
		size_t used = strlen(text);

		snprintf(text + used, len - used, "%s%c%s%s",
			 used && text[used - 1] != '(' ? " " : "", signs[test->status], test->name,
			 test->children ? "(" : "");
		if (test->children) {
			describe(test->children, text, len);
			used = strlen(text);
			snprintf(text + used, len - used, ")");
		}
	}
}

static void feed(struct ktap *ktap, const char *text)
{
	char line[256];

	for (; *text; text += strcspn(text, "\n") + 1) {
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\n"), text);
		ktap_line(ktap, line);
	}
}

/* Every line of `text` ends in a newline. `problem`: part of the first one, or NULL for none. */
static void assert_tests(const char *text, const char *expected, const char *problem)
{
	struct ktap ktap = { 0 };
	char got[1024] = "";

	feed(&ktap, text);
	ktap_finish(&ktap, false);
	describe(ktap.tests.first, got, sizeof(got));
	assert_string_equal(got, expected);
	if (!problem && ktap.problem_count)
		fail_msg("%s", ktap.problems[0]);
	if (problem && (!ktap.problem_count || !strstr(ktap.problems[0], problem)))
		fail_msg("no \"%s\" but: %s", problem,
			 ktap.problem_count ? ktap.problems[0] : "nothing");
	ktap_destroy(&ktap);
}

static void results_have_names_and_directives(void **state)
{
	(void)state;
	assert_tests("TAP version 13\n1..9\n"
		     "ok 1 - one\nok 2 two\nnot ok 3 - three\nok 4\n"
		     "ok 5 five # SKIP no disk\nnot ok 6 six # TODO later\nnot ok 7 # skip\n"
		     "not ok 8 eight # TIMEOUT 45 seconds\nok 9 nine # time=3ms\n",
		     "+one +two -three +test 4 ~five ?six ~test 7 -eight +nine", NULL);
	assert_tests("1..2\nok 1 XFAIL # XFAIL known\nok 2 a#b\n", "?XFAIL +a#b", NULL);
	assert_tests("1..7\nok 1 - a \\# SKIP\nok 2 - b \\\\# skip c\nok 3 - #SkIp d\n"
		     "ok 4 - e # Skipped: f\nok 5 - issue #42 # g # TODO\nnot ok 6 - h # g # TODO\n"
		     "not ok 7 - i \\# TODO\n",
		     "+a # SKIP ~b \\ ~test 3 ~e +issue #42 -h -i # TODO", NULL);
	/* KTAP's directives contradict an ok; in TAP, "error" is an ordinary word. */
	assert_tests("1..3\nok 1 a # ERROR b\nok 2 c # error handling\nok 3 d # TIMEOUTS\n",
		     "-a +c +d", NULL);
	assert_tests("1..3\nok 1 - 7 of 9\nok\t2\tb\nok 3 -\n", "+7 of 9 +b +test 3", NULL);
}

static void other_lines_do_not_matter(void **state)
{
	(void)state;
	/* Prose at any time, and what might be a result outside a document. */
	assert_tests("ok\nok 3 disks\nok go\nok 1, go\n1..\n1..x\n1..2 of 3\nok1\nTAP version x\n",
		     "", NULL);
	assert_tests("ok 3 disks\nTAP version 13\n1..1\nok 1 a\n", "+a", NULL);
	assert_tests("ok\n1..2\nok 1 a\nsystemd: ok\nok computer\nok\n# ok\nokay 2\nok 2 b\nok\n",
		     "+a +b", NULL);
	assert_tests("1..1\n  ok then\n# not ok 7\n# 1..3\n#ok 3\n  prose\nok 1 a\n", "+a", NULL);
	/* Noise has no subtests. */
	assert_tests("1..1\n    1..1\nok\n    not ok 1 a\nok\nnot ok 1 b\n", "-b(-a)", NULL);
}

static void results_count_without_a_version(void **state)
{
	(void)state;
	assert_tests("not ok 1 - thing\n", "-thing", NULL);
	assert_tests("not ok\n", "-test 1", NULL);
	assert_tests("ok 1 - thing\n", "+thing", "no plan");
	assert_tests("ok 1\nok 2\n1..2\n", "+test 1 +test 2", NULL);
	assert_tests("ok - a\nok\n1..2\n", "+a +test 2", NULL);
	assert_tests("1..2\nok a\nnot ok b # TODO\n", "+a ?b", NULL);
	assert_tests("Bail out! no more\n", "", "Bail out! no more");
	/* All of it indented, and the outer ones first. */
	assert_tests("  1..1\n  ok 1 a\n", "+a", NULL);
	assert_tests("  1..2\n  ok 1 a\n", "+a", "2 planned, 1 seen");
	assert_tests("        ok 1 - a\n        1..1\n    ok 1 - b\n    1..1\nok 1 - c\n1..1\n",
		     "+c(+b(+a))", NULL);
}

static void kunit_nests_by_indentation(void **state)
{
	(void)state;
	assert_tests("KTAP version 1\n1..2\n"
		     "    KTAP version 1\n    # Subtest: first\n    # module: x\n    1..2\n"
		     "    ok 1 a\n    not ok 2 b\n# first: pass:1 fail:1\n"
		     "not ok 1 first\n"
		     "    KTAP version 1\n    # Subtest: second\n    1..1\n"
		     "        KTAP version 1\n        # Subtest: param\n"
		     "        ok 1 x\n        ok 2 y\n"
		     "    ok 1 param\n"
		     "ok 2 second\n",
		     "-first(+a -b) +second(+param(+x +y))", NULL);
}

static void kselftest_nests_after_hashes(void **state)
{
	(void)state;
	assert_tests("TAP version 13\n1..2\n# timeout set to 45\n# selftests: a: b\n"
		     "# TAP version 13\n# 1..2\n# ok 1 x\n# # note\n# not ok 2 y\n"
		     "# # Totals: pass:1 fail:1\nnot ok 1 selftests: a: b # exit=1\n"
		     "# selftests: a: c\n# Segmentation fault\nnot ok 2 selftests: a: c # exit=139\n",
		     "-selftests: a: b(+x -y) -selftests: a: c", NULL);
}

static void a_plan_that_is_not_met_is_a_problem(void **state)
{
	(void)state;
	assert_tests("1..3\nok 1 a\nok 2 b\n", "+a +b", "3 planned, 2 seen");
	assert_tests("TAP version 14\nok 1 a\nok 2 b\n1..2\n", "+a +b", NULL);
	assert_tests("TAP version 14\n1..0 # SKIP not here\n", "~all tests", NULL);
	assert_tests("1..2\nok 1 a\nBail out! no more\n", "+a", "Bail out!");
	assert_tests("KTAP version 1\n1..1\n  KTAP version 1\n  # Subtest: s\n  1..2\n  ok 1 a\n"
		     "ok 1 s\n",
		     "+s(+a)", "s: 2 planned, 1 seen");
	assert_tests("TAP version 14\n", "", "no plan");
	assert_tests("KTAP version 1\n", "", "no plan");
	assert_tests("KTAP version 1\nok 1 a\n", "+a", NULL);
	assert_tests("1..0\nok 1 a\n", "~all tests +a", "no plan");
	assert_tests("1..2\nok 1 a\nok 2 b\nok 3 c\n", "+a +b +c", "2 planned, 3 seen");
	assert_tests("1..2\nok 1 a\nok 2 b\nok 1 c\n", "+a +b +c", "no plan");
	assert_tests("ok 1 a\n1..1\nok 2 b\n", "+a +b", "no plan");
	assert_tests("1..2\n1..2\nok 1 a\nok 2 b\n", "+a +b", "2 planned, 0 seen");
	assert_tests("TAP version 13\n1..99999999999999999999\nok 1 a\n", "+a", "planned, 1 seen");
	/* Two documents, one after the other. */
	assert_tests("1..1\nok 1 a\n1..1\nok 1 b\nok 1 c\n1..1\nok d\n1..1\n", "+a +b +c +d",
		     NULL);
	assert_tests("TAP version 13\n1..2\nok 1 a\nTAP version 13\n1..1\nok 1 b\n", "+a +b",
		     "2 planned, 1 seen");
}

static void every_number_is_there_once(void **state)
{
	(void)state;
	assert_tests("TAP version 14\n1..3\nok 2 b\nok 3 c\nok 1 a\n", "+b +c +a", NULL);
	assert_tests("1..3\nok 1 a\nok 2 b\nok 2 c\n", "+a +b +c", "number 2 (c)");
	assert_tests("1..3\nok 1 a\nok 4 b\nok 2 c\n", "+a +b +c", "number 4 (b)");
	assert_tests("1..2\nok 0 a\nok 1 b\n", "+a +b", "number 0 (a)");
	assert_tests("KTAP version 1\nok 1 a\nok 3 c\n", "+a +c", "number 3 (c)");
	assert_tests("1..1\n    1..2\n    ok 1 a\n    ok 1 b\nok 1 s\n", "+s(+a +b)", "s: number 1");
}

static void diagnoses_are_no_results(void **state)
{
	(void)state;
	assert_tests("1..2\nnot ok 1 a\n  ---\n  got: |\n    1..7\n    not ok 3 b\n\nnoise\n"
		     "    ok 4\n  ...\n    ok 1 c\n    1..1\nok 2 s\n",
		     "-a +s(+c)", NULL);
	/* Without its end, it ends where the next result is. */
	assert_tests("1..2\nok 1 a\n  ---\n  x: 1\nnot ok 2 b\n", "+a -b", NULL);
}

/* Of the first test. */
static void assert_diagnosis(const char *text, const char *expected)
{
	struct ktap ktap = { 0 };

	feed(&ktap, text);
	ktap_finish(&ktap, false);
	assert_string_equal(ktap.tests.first->diagnosis ? ktap.tests.first->diagnosis : "none",
			    expected);
	ktap_destroy(&ktap);
}

static void a_failure_has_what_was_said_of_it(void **state)
{
	(void)state;
	assert_diagnosis("not ok 1 a\n#   Failed test 'a'\n#\n# got: 1\nok 2 b\n# c\n1..2\n",
			 "Failed test 'a'\ngot: 1\n");
	assert_diagnosis("1..1\n# group\nnot ok 1 a\n  ---\n  got:\n    - 1\n  ...\n# end\n",
			 "got:\n  - 1\n");
	assert_diagnosis("KTAP version 1\n1..2\n# a: EXPECTATION FAILED\nnot ok 1 a\n# b: x\n"
			 "not ok 2 b\n",
			 "a: EXPECTATION FAILED\n");
	assert_diagnosis("TAP version 13\n1..2\n# selftests: a: b\n# Segmentation fault\n"
			 "not ok 1 selftests: a: b\n# selftests: a: c\n# fine\n"
			 "ok 2 selftests: a: c\n",
			 "Segmentation fault\n");
	assert_diagnosis("1..2\nok 1 a\n# b\nnot ok 2 c # TODO\n", "none");
}

static void what_fails_where_it_may_is_expected(void **state)
{
	(void)state;
	assert_tests("1..3\n    1..3\n    not ok 1 a\n    ok 2 b\nnot ok 1 s # TODO\n"
		     "    not ok 1 c\n    1..1\nok 2 t # SKIP\n"
		     "    not ok 1 d\n    1..1\nok 3 u\n",
		     "?s(?a +b) ~t(?c) +u(-d)", NULL);
}

static void lines_that_noise_cut_are_no_pass(void **state)
{
	static const char cut[] = "may be a \"not ok\"", inside[] = "inside another line";

	(void)state;
	assert_tests("1..1\nnot [   12.345678] random: crng init done\nok 1 a\n", "+a", cut);
	assert_tests("1..1\nnot[   12.345678][    T1] random\ncpu 3 is up\n ok 1 a\n",
		     "-unnamed test(+a)", cut);
	assert_tests("1..1\nnot \nok 1 a\n", "+a", cut);
	assert_tests("1..1\nnot random: crng init done\nok 1 a\n", "+a", cut);
	/* Not these: it does not matter, or it is prose, and not the line before. */
	assert_tests("1..2\nnot a tty\nok 1 a # SKIP\nnot a tty\nhm\nok 2 b\n", "~a +b", NULL);
	assert_tests("1..1\nusb 1-1: new not ok 1 a\n", "", inside);
	assert_tests("+ echo 'not ok 1'\n", "", inside);
	assert_tests("1..1\nno[   12.345678] random: crng init done\nt ok 1 a\n", "",
		     "1 planned, 0 seen");
	assert_tests("1..2\nok 1[   12.345678] noise\n2 a\n", "+1[   12.345678] noise",
		     "2 planned, 1 seen");
}

static bool passes(const char *text)
{
	struct ktap ktap = { 0 };
	bool passed;

	feed(&ktap, text);
	ktap_finish(&ktap, false);
	passed = !ktap_count(&ktap).failed && !ktap.problem_count;
	ktap_destroy(&ktap);
	return passed;
}

#define NESTED(b, parent)                                                                          \
	"KTAP version 1\n1..2\n    KTAP version 1\n    # Subtest: s\n    1..2\n"                    \
	"    ok 1 a\n    " b " 2 b\n" parent " 1 s\nok 2 t\n"

static void a_failure_survives_noise_at_any_place(void **state)
{
	static const char *const streams[] = {
		"TAP version 13\n1..3\nok 1 - a\nnot ok 2 - b\nok 3 - c\n",
		"ok 1 - a\nnot ok 2 - b\n1..2\n",
		"1..2\nnot ok - a\nok - b\n",
		NESTED("not ok", "not ok"),
		("TAP version 13\n1..1\n# selftests: a: b\n# TAP version 13\n# 1..1\n# not ok 1 x\n"
		 "not ok 1 selftests: a: b # exit=1\n"),
	};
	static const char *const noises[] = {
		"[   12.345678] random: crng init done\n", "random: crng init done\n", "\n", "noise",
		"\nnoise\n", "\n[   12.345678] random: crng init done\n",
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(streams) * ARRAY_SIZE(noises); i++) {
		const char *stream = streams[i / ARRAY_SIZE(noises)];

		for (int at = 0; at <= (int)strlen(stream); at++) {
			snprintf(text, sizeof(text), "%.*s%s%s\n", at, stream,
				 noises[i % ARRAY_SIZE(noises)], stream + at);
			if (passes(text))
				fail_msg("passes: %s", text);
		}
	}
}

/* Wherever the guest dies after the first line and before the complete last one. */
static void a_stream_cut_short_is_no_pass(void **state)
{
	static const struct {
		const char *text;
		size_t spare; /* bytes at the end */
	} streams[] = {
		{ "TAP version 13\n1..3\nok 1\nok 2\nok 3\n", 2 },
		{ "ok 1\nok 2\nok 3\n1..3\n", 2 },
		{ "1..3\nok\nok\nok\n", 2 },
		{ NESTED("ok", "ok"), 4 },
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
		const char *stream = streams[i].text;
		size_t whole = strlen(stream) - streams[i].spare;

		assert_true(passes(stream));
		for (size_t len = strcspn(stream, "\n"); len <= whole; len++) {
			snprintf(text, sizeof(text), "%.*s\n", (int)len, stream);
			if (passes(text))
				fail_msg("passes: %s", text);
		}
	}
}

static void subtests_without_a_result_failed(void **state)
{
	struct ktap ktap = { 0 };

	(void)state;
	assert_tests("KTAP version 1\n1..2\n    KTAP version 1\n    # Subtest: s\n    1..2\n"
		     "    ok 1 a\n",
		     "-s(+a)", "s: 2 planned, 1 seen");
	assert_tests("KTAP version 1\n1..1\n  1..1\n    1..1\n    ok 1 deep\nok 1 top\n",
		     "+top(-unnamed test(+deep))", "no result");

	/* Unless the run was ended before the rest. */
	feed(&ktap, "KTAP version 1\n1..2\n    # Subtest: s\n    1..2\n    ok 1 a\n");
	ktap_finish(&ktap, true);
	assert_int_equal(ktap.problem_count, 0);
	assert_int_equal(ktap_count(&ktap).failed, 0);
	ktap_destroy(&ktap);
}

static void missing_plans_are_noted(void **state)
{
	struct ktap ktap = { 0 };

	(void)state;
	feed(&ktap, "KTAP version 1\nok 1 a\n");
	ktap_finish(&ktap, false);
	assert_true(ktap.unplanned);
	assert_int_equal(ktap.problem_count, 0);
	ktap_destroy(&ktap);
}

static void leaves_are_counted_and_parents_that_failed_by_themselves(void **state)
{
	struct ktap ktap = { 0 };
	struct ktap_counts counts;

	(void)state;
	feed(&ktap, "1..4\n  1..2\n  ok 1 a\n  not ok 2 b\nnot ok 1 x\n"
		    "  1..1\n  ok 1 c\nnot ok 2 y\nok 3 d # SKIP\nnot ok 4 e # TODO\n");
	ktap_finish(&ktap, false);
	counts = ktap_count(&ktap);
	assert_int_equal(counts.passed, 2);
	assert_int_equal(counts.failed, 2);
	assert_int_equal(counts.skipped, 1);
	assert_int_equal(counts.todo, 1);
	ktap_destroy(&ktap);
}

static void a_flood_is_bounded(void **state)
{
	struct ktap ktap = { 0 };
	char line[64];

	(void)state;
	ktap_line(&ktap, "KTAP version 1");
	for (unsigned i = 1; i < KTAP_TESTS_MAX + 10; i++) {
		snprintf(line, sizeof(line), "ok %u x", i);
		ktap_line(&ktap, line);
	}
	assert_int_equal(ktap.count, KTAP_TESTS_MAX);
	assert_true(ktap.truncated);
	ktap_finish(&ktap, false);
	/* The failed one may be among those that were not kept. */
	assert_int_equal(ktap.problem_count, 1);
	ktap_destroy(&ktap);

	for (unsigned depth = 0; depth < 2 * KTAP_DEPTH_MAX; depth++) {
		snprintf(line, sizeof(line), "%*s1..1", (int)depth * 2, "");
		ktap_line(&ktap, line);
		snprintf(line, sizeof(line), "%*sok 1 x", (int)depth * 2, "");
		ktap_line(&ktap, line);
	}
	assert_int_equal(ktap.depth, KTAP_DEPTH_MAX);
	assert_true(ktap.truncated);
	for (unsigned i = 0; i < 3 * KTAP_PROBLEMS_MAX; i++)
		ktap_line(&ktap, "Bail out!");
	assert_int_equal(ktap.problem_count, KTAP_PROBLEMS_MAX);
	ktap_destroy(&ktap);
}

/* Pieces of TAP in any order, each line perhaps cut, or with a byte of it changed. */
static void a_line_of_pieces(char *line, size_t size, unsigned *seed)
{
	static const char *const pieces[] = {
		"ok",	   "not ok", " ",     "    ",	   "\t",	"# ",	"1",	 "2",
		"7",	   "1..",    "- ",    "name",	   "\\",	"#",	"SKIP",	 " # TODO ",
		"---",	   "  ...",  "not ",  "[   1.25] ", "Bail out!", "p[1]: ", "\xff",
		"TAP version 13", "KTAP version 1", "# Subtest: s", "# selftests: a: b",
	};
	unsigned count = (unsigned)rand_r(seed) % 6;

	*line = '\0';
	for (unsigned i = 0; i < count; i++)
		strncat(line, pieces[(unsigned)rand_r(seed) % ARRAY_SIZE(pieces)],
			size - strlen(line) - 1);
	if (*line && rand_r(seed) % 8 == 0)
		line[(unsigned)rand_r(seed) % strlen(line)] = (char)rand_r(seed);
}

/* Invariants for any input: bounds, and that a failed tree always has a problem. */
static void any_lines_are_survived(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		unsigned seed = round, lines = 1 + round % 97;
		struct ktap ktap = { 0 };
		struct ktap_counts counts;
		char line[128];

		for (unsigned i = 0; i < lines; i++) {
			a_line_of_pieces(line, sizeof(line), &seed);
			ktap_line(&ktap, line);
			assert_in_range(ktap.depth, 1, KTAP_DEPTH_MAX);
			assert_in_range(ktap.count, 0, 2 * (i + 1));
			assert_in_range(ktap.remarks.len, 0, KTAP_REMARKS_MAX - 1);
			assert_in_range(ktap.problem_count, 0, KTAP_PROBLEMS_MAX);
		}
		ktap_finish(&ktap, round % 2);
		assert_int_equal(ktap.depth, 0);
		counts = ktap_count(&ktap);
		assert_in_range(counts.passed + counts.failed + counts.skipped + counts.todo, 0,
				ktap.count);
		ktap_destroy(&ktap);
		assert_int_equal(ktap.count, 0);
	}
}

/* --- The corpus ------------------------------------------------------------------------------- */

/* As the console's observer does. */
static void feed_console(struct ktap *ktap, FILE *file)
{
	struct lines lines = { 0 };
	const char *line;
	int c;

	while ((c = getc(file)) != EOF)
		if ((line = lines_feed(&lines, (uint8_t)c)))
			ktap_line(ktap, message_of_line(line, NULL));
	if ((line = lines_end(&lines)))
		ktap_line(ktap, message_of_line(line, NULL));
}

/* Output of producers: real, or written according to their sources. */
static void what_producers_print_is_understood(void **state)
{
	/* Passed, failed, skipped, todo; a part of the first problem. */
	static const struct {
		const char *file;
		struct ktap_counts counts;
		const char *problem;
	} corpus[] = {
		{ "automake-driver", { 0, 0, 0, 0 }, NULL },
		{ "bats", { 1, 1, 2, 0 }, NULL },
		{ "bats-tap13", { 1, 1, 2, 0 }, NULL },
		{ "bats-timing", { 1, 1, 2, 0 }, NULL },
		{ "boot-noise", { 0, 0, 0, 0 }, NULL },
		{ "colours-crlf", { 1, 1, 1, 0 }, NULL },
		{ "git-sharness", { 3, 0, 1, 1 }, NULL },
		{ "glib", { 2, 1, 1, 0 }, "Bail out!" },
		{ "go-tap", { 1, 1, 1, 0 }, NULL },
		{ "kselftest", { 2, 3, 2, 0 }, NULL },
		{ "kselftest-harness", { 1, 1, 1, 1 }, NULL },
		{ "kselftest-killed", { 2, 1, 0, 0 }, "2 planned, 1 seen" },
		{ "kunit", { 3, 1, 2, 0 }, NULL },
		{ "kunit-callers", { 0, 1, 0, 0 }, NULL },
		{ "kunit-crash", { 3, 1, 0, 0 }, "second: 3 planned, 1 seen" },
		{ "kunit-module-6.1", { 3, 0, 0, 0 }, NULL },
		{ "kunit-old", { 2, 1, 0, 0 }, NULL },
		{ "libtap-c", { 2, 1, 1, 1 }, NULL },
		{ "node-tap", { 3, 1, 1, 0 }, NULL },
		{ "node-test", { 2, 1, 2, 1 }, NULL },
		{ "noise-between", { 3, 0, 0, 0 }, NULL },
		{ "perl-bail-out", { 1, 0, 0, 0 }, "Bail out!  no database" },
		{ "perl-died", { 1, 0, 0, 0 }, "no plan" },
		{ "perl-one-after-another", { 10, 0, 1, 0 }, NULL },
		{ "perl-skip-all", { 0, 0, 1, 0 }, NULL },
		{ "perl-test-more", { 5, 1, 2, 1 }, NULL },
		{ "pgtap", { 1, 1, 1, 1 }, NULL },
		{ "progress-bar", { 1, 1, 0, 0 }, NULL },
		{ "prove-verbose", { 4, 0, 0, 0 }, NULL },
		{ "pytest-tap", { 2, 1, 1, 1 }, NULL },
		{ "rust-tap", { 1, 1, 1, 0 }, NULL },
		{ "service-log", { 1, 1, 0, 0 }, NULL },
		{ "tape", { 2, 1, 1, 1 }, NULL },
		{ "unnumbered", { 3, 1, 1, 1 }, NULL },
		{ "unnumbered-plan-last", { 4, 0, 0, 0 }, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(corpus); i++) {
		const struct ktap_counts *want = &corpus[i].counts;
		struct ktap ktap = { 0 };
		struct ktap_counts got;
		char path[80];
		FILE *file;

		snprintf(path, sizeof(path), "tests/guestlog/ktap_corpus/%s.txt", corpus[i].file);
		file = fopen(path, "re");
		assert_non_null(file);
		feed_console(&ktap, file);
		fclose(file);
		ktap_finish(&ktap, false);
		got = ktap_count(&ktap);
		if (memcmp(&got, want, sizeof(got)) != 0)
			fail_msg("%s: %u passed, %u failed, %u skipped, %u todo", path, got.passed,
				 got.failed, got.skipped, got.todo);
		if (!corpus[i].problem != !ktap.problem_count ||
		    (ktap.problem_count && !strstr(ktap.problems[0], corpus[i].problem)))
			fail_msg("%s: %s", path, ktap.problem_count ? ktap.problems[0] : "no problem");
		ktap_destroy(&ktap);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results_have_names_and_directives),
		cmocka_unit_test(other_lines_do_not_matter),
		cmocka_unit_test(results_count_without_a_version),
		cmocka_unit_test(kunit_nests_by_indentation),
		cmocka_unit_test(kselftest_nests_after_hashes),
		cmocka_unit_test(a_plan_that_is_not_met_is_a_problem),
		cmocka_unit_test(every_number_is_there_once),
		cmocka_unit_test(diagnoses_are_no_results),
		cmocka_unit_test(a_failure_has_what_was_said_of_it),
		cmocka_unit_test(what_fails_where_it_may_is_expected),
		cmocka_unit_test(lines_that_noise_cut_are_no_pass),
		cmocka_unit_test(a_failure_survives_noise_at_any_place),
		cmocka_unit_test(a_stream_cut_short_is_no_pass),
		cmocka_unit_test(subtests_without_a_result_failed),
		cmocka_unit_test(missing_plans_are_noted),
		cmocka_unit_test(leaves_are_counted_and_parents_that_failed_by_themselves),
		cmocka_unit_test(a_flood_is_bounded),
		cmocka_unit_test(any_lines_are_survived),
		cmocka_unit_test(what_producers_print_is_understood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
