/* SPDX-License-Identifier: Apache-2.0 */
#include "host/ktap.h"

#include "base/cleanup.h"

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
		     "+one +two -three + ~five ?six ~ -eight +nine", NULL);
	assert_tests("1..2\nok 1 XFAIL # XFAIL known\nok 2 a#b\n", "?XFAIL +a#b", NULL);
}

static void other_lines_do_not_matter(void **state)
{
	(void)state;
	/* Before a version or a plan nothing is a result; nor is prose at any time. */
	assert_tests("ok 1 early\n1..1\nsystemd: ok\nok computer\nok\n# ok\nok 1 a\nokay 2\n"
		     "not ok\n1..\n1..x\n",
		     "+a", NULL);
	assert_tests("ok 1 a\nnot ok 2 b\n", "", NULL);
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

static void kselftest_nests_behind_hashes(void **state)
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
	assert_tests("TAP version 14\n1..0 # SKIP not here\n", "", NULL);
	assert_tests("1..2\nok 1 a\nBail out! no more\n", "+a", "Bail out!");
	assert_tests("KTAP version 1\n1..1\n  KTAP version 1\n  # Subtest: s\n  1..2\n  ok 1 a\n"
		     "ok 1 s\n",
		     "+s(+a)", "s: 2 planned, 1 seen");
	/* Two documents, one after the other. */
	assert_tests("TAP version 13\n1..2\nok 1 a\nTAP version 13\n1..1\nok 1 b\n", "+a +b",
		     "2 planned, 1 seen");
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

	/* Unless whoever watches has stopped watching. */
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
	feed(&ktap, "TAP version 13\nok 1 a\n");
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
	ktap_line(&ktap, "1..1");
	for (unsigned i = 0; i < KTAP_TESTS_MAX + 10; i++)
		ktap_line(&ktap, "ok 1 x");
	assert_int_equal(ktap.count, KTAP_TESTS_MAX);
	assert_true(ktap.truncated);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results_have_names_and_directives),
		cmocka_unit_test(other_lines_do_not_matter),
		cmocka_unit_test(kunit_nests_by_indentation),
		cmocka_unit_test(kselftest_nests_behind_hashes),
		cmocka_unit_test(a_plan_that_is_not_met_is_a_problem),
		cmocka_unit_test(subtests_without_a_result_failed),
		cmocka_unit_test(missing_plans_are_noted),
		cmocka_unit_test(leaves_are_counted_and_parents_that_failed_by_themselves),
		cmocka_unit_test(a_flood_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
