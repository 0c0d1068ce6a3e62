/* SPDX-License-Identifier: Apache-2.0 */
#include "ktap_internal.h"

#include "base/cleanup.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ktap_complain(struct ktap *ktap, const char *fmt, ...)
{
	va_list args;

	if (ktap->problem_count == KTAP_PROBLEMS_MAX || ktap->cut)
		return;
	va_start(args, fmt);
	if (vasprintf(&ktap->problems[ktap->problem_count], fmt, args) >= 0)
		ktap->problem_count++;
	va_end(args);
}

static void truncate_results(struct ktap *ktap)
{
	if (!ktap->truncated)
		ktap_complain(ktap, "more than %d results or %d levels: not all were read",
			      KTAP_TESTS_MAX, KTAP_DEPTH_MAX);
	ktap->truncated = true;
}

/* --- The tree --------------------------------------------------------------------------------- */

static void free_tests(struct ktap *ktap, struct ktap_test *test)
{
	while (test) {
		struct ktap_test *next = test->next;

		free_tests(ktap, test->children); /* KTAP_DEPTH_MAX deep at most */
		free(test->name);
		free(test->reason);
		free(test->diagnosis);
		free(test);
		ktap->count--;
		test = next;
	}
}

static void append(struct ktap_tests *tests, struct ktap_tests more)
{
	if (!more.first)
		return;
	if (tests->last)
		tests->last->next = more.first;
	else
		tests->first = more.first;
	tests->last = more.last;
}

static void append_one(struct ktap_tests *tests, struct ktap_test *test)
{
	append(tests, (struct ktap_tests){ test, test });
}

struct ktap_test *ktap_new_test(struct ktap *ktap, char *name, char *reason,
				enum ktap_status status)
{
	struct ktap_test *test = NULL;

	if (name && ktap->count < KTAP_TESTS_MAX)
		test = calloc(1, sizeof(*test));
	if (!test) {
		truncate_results(ktap);
		free(name);
		free(reason);
		return NULL;
	}
	ktap->count++;
	test->name = name;
	test->reason = reason;
	test->status = status;
	return test;
}

/* Under a test that may fail, all subtests may fail. */
static void excuse(struct ktap_test *test)
{
	for (; test; test = test->next) {
		if (test->status == KTAP_FAIL)
			test->status = KTAP_TODO;
		excuse(test->children);
	}
}

/* --- Documents -------------------------------------------------------------------------------- */

/* A result whose number is out of range or a duplicate; NULL: there is none. */
static const struct ktap_test *find_stray(const struct ktap_document *doc)
{
	_cleanup_free_ bool *there = calloc((size_t)doc->seen + 1, sizeof(*there));
	const struct ktap_test *test;

	for (test = doc->tests.first; test && there; test = test->next) {
		if (test->number < 1 || test->number > doc->seen || there[test->number])
			return test;
		there[test->number] = true;
	}
	return test;
}

static void check_document(struct ktap *ktap, const struct ktap_document *doc, const char *name,
			   bool outermost)
{
	const struct ktap_test *stray = doc->disordered ? find_stray(doc) : NULL;

	ktap->unplanned |= !doc->planned && doc->seen;
	if (doc->planned && doc->plan != doc->seen)
		ktap_complain(ktap, "%s: %ld planned, %ld seen", name, doc->plan, doc->seen);
	else if (outermost && !doc->planned && !doc->failed && !(doc->ktap && doc->seen))
		ktap_complain(ktap, "%s: no plan (1..N) tells whether the %ld results seen are all",
			      name, doc->seen);
	else if (stray)
		ktap_complain(ktap, "%s: number %ld (%.200s) is a duplicate, or beyond the plan",
			      name, stray->number, stray->name);
}

/* The results have numbers, so lines without one are not results. */
static void drop_unnumbered(struct ktap *ktap, struct ktap_document *doc)
{
	struct ktap_tests kept = { 0 };
	struct ktap_test *test = doc->tests.first, *next;

	for (; test; test = next) {
		next = test->next;
		test->next = NULL;
		if (test->numbered || test->status != KTAP_PASS || test->children) {
			append_one(&kept, test);
			continue;
		}
		free_tests(ktap, test);
		doc->seen--;
	}
	doc->tests = kept;
}

/* `name`: of their parent. `excused`: errors do not count. */
static void end_document(struct ktap *ktap, struct ktap_level *level, const char *name,
			 bool excused)
{
	struct ktap_document *doc = &level->doc;

	if (!doc->sure) {
		free_tests(ktap, doc->tests.first);
	} else {
		if (doc->numbered)
			drop_unnumbered(ktap, doc);
		if (!excused)
			check_document(ktap, doc, name, level == ktap->levels);
		append(&level->done, doc->tests);
	}
	append(&level->done, doc->orphans);
	*doc = (struct ktap_document){ 0 };
}

static void end_level_document(struct ktap *ktap, struct ktap_level *level)
{
	const char *name = level == ktap->levels ? "all tests" : "unnamed test";

	end_document(ktap, level, level->name ? level->name : name, false);
}

/* --- Levels ----------------------------------------------------------------------------------- */

/* Removes the innermost level. */
static struct ktap_tests close_level(struct ktap *ktap)
{
	struct ktap_level *level = ktap_innermost(ktap);
	struct ktap_tests tests = level->done;

	ktap->depth--;
	free(level->name);
	*level = (struct ktap_level){ 0 };
	return tests;
}

/* Everything is indented: the level below is the outermost one. */
static bool is_outermost(const struct ktap *ktap, const struct ktap_level *level)
{
	const struct ktap_document *outer = &level[-1].doc;

	return level == &ktap->levels[1] && level->doc.sure && !level->doc.ktap && !level->name &&
	       !outer->sure && !outer->seen;
}

/* Subtests whose parent has no result, because the run ended within them. */
static void orphan_level(struct ktap *ktap)
{
	struct ktap_level *level = ktap_innermost(ktap), *outer = level - 1;
	struct ktap_test *parent;

	if (is_outermost(ktap, level)) {
		append(&outer->done, outer->doc.orphans);
		outer->doc = level->doc;
		append(&outer->done, close_level(ktap));
		return;
	}
	end_level_document(ktap, level);
	if (!level->done.first) {
		close_level(ktap);
		return;
	}
	parent = ktap_new_test(ktap, strdup(level->name ? level->name : "unnamed test"),
			       strdup("no result"), ktap->cut ? KTAP_SKIP : KTAP_FAIL);
	if (!parent) {
		free_tests(ktap, close_level(ktap).first);
		return;
	}
	ktap_complain(ktap, "%s: no result", parent->name);
	parent->children = close_level(ktap).first;
	append_one(&outer->doc.orphans, parent);
}

/* The level at this indentation, opened if necessary; NULL: too deep. */
static struct ktap_level *level_at(struct ktap *ktap, unsigned indent)
{
	while (ktap->depth > 1 && ktap_innermost(ktap)->indent > indent)
		orphan_level(ktap);
	if (ktap_innermost(ktap)->indent == indent)
		return ktap_innermost(ktap);
	if (ktap->depth == KTAP_DEPTH_MAX) {
		truncate_results(ktap);
		return NULL;
	}
	ktap->levels[ktap->depth++] = (struct ktap_level){ .indent = indent };
	if (ktap->subtest.indent < indent)
		ktap_innermost(ktap)->name = steal_ptr(ktap->subtest.name);
	return ktap_innermost(ktap);
}

/*
 * Makes the deeper levels the subtests of `parent`, whose own level is at `indent`. True when there
 * were some; *is_ktap: of KTAP's kind.
 */
static bool adopt_deeper(struct ktap *ktap, struct ktap_test *parent, unsigned indent,
			 bool *is_ktap)
{
	bool excused = parent->status == KTAP_SKIP || parent->status == KTAP_TODO;
	struct ktap_level *level;

	if (ktap_innermost(ktap)->indent <= indent)
		return false;
	while (ktap->levels[ktap->depth - 2].indent > indent)
		orphan_level(ktap);
	level = ktap_innermost(ktap);
	/* In TAP 14 `# Subtest: NAME` names both. */
	if (!*parent->name && level->name) {
		free(parent->name);
		parent->name = steal_ptr(level->name);
	}
	*is_ktap = level->doc.ktap;
	end_document(ktap, level, *parent->name ? parent->name : "unnamed test", excused);
	parent->children = close_level(ktap).first;
	if (excused)
		excuse(parent->children);
	return parent->children;
}

/* --- Remarks ---------------------------------------------------------------------------------- */

static void explain(struct ktap *ktap, struct ktap_test *test)
{
	free(test->diagnosis);
	test->diagnosis = strndup(ktap->remarks.lines, ktap->remarks.len);
	ktap->remarks.len = 0;
}

/*
 * Keeps remarks that do not belong to the last failed test and are not YAML of another. In
 * kselftest, output after a test belongs to the next one.
 */
static void settle_remarks(struct ktap *ktap)
{
	struct ktap_test *failed = steal_ptr(ktap->remarks.failed);

	if (failed && ktap->remarks.len &&
	    (ktap->remarks.yaml || (!failed->diagnosis && !ktap->hashes)))
		explain(ktap, failed);
	if (ktap->remarks.yaml)
		ktap->remarks.len = 0;
	ktap->remarks.yaml = false;
}

static void end_remarks(struct ktap *ktap)
{
	settle_remarks(ktap);
	ktap->remarks.len = 0;
}

void ktap_remark(struct ktap *ktap, bool yaml, unsigned indent, const char *text)
{
	size_t room;
	int len;

	if (ktap->remarks.yaml && !yaml)
		settle_remarks(ktap);
	else if (ktap->remarks.yaml != yaml)
		ktap->remarks.len = 0;
	ktap->remarks.yaml = yaml;
	room = sizeof(ktap->remarks.lines) - ktap->remarks.len;
	len = snprintf(ktap->remarks.lines + ktap->remarks.len, room, "%*s%s\n", (int)indent, "",
		       text);
	if (len > 0 && (size_t)len < room)
		ktap->remarks.len += (size_t)len;
}

/* --- What lines say --------------------------------------------------------------------------- */

/* KUnit announces subtests at their own level, TAP 14 at that of their parent. */
static void name_kunit_suite(struct ktap *ktap, struct ktap_level *level)
{
	if (!level->name && ktap->subtest.name && ktap->subtest.indent == level->indent &&
	    level->indent && !level->doc.seen) {
		level->name = steal_ptr(ktap->subtest.name);
		level->doc.ktap = true;
	}
}

void ktap_announce(struct ktap *ktap, unsigned indent, char *name)
{
	struct ktap_level *level = ktap_innermost(ktap);

	end_remarks(ktap);
	free(ktap->subtest.name);
	ktap->subtest.name = name;
	ktap->subtest.indent = indent;
	if (level->indent == indent && level->doc.ktap)
		name_kunit_suite(ktap, level);
}

void ktap_add_version(struct ktap *ktap, unsigned indent, bool is_ktap)
{
	struct ktap_level *level;

	end_remarks(ktap);
	level = level_at(ktap, indent);
	if (!level)
		return;
	end_level_document(ktap, level);
	level->doc.sure = true;
	level->doc.ktap = is_ktap;
}

void ktap_add_plan(struct ktap *ktap, unsigned indent, long plan, char *reason)
{
	_cleanup_free_ char *why = reason;
	struct ktap_document *doc;
	struct ktap_level *level;
	struct ktap_test *test;

	end_remarks(ktap);
	level = level_at(ktap, indent);
	if (!level)
		return;
	doc = &level->doc;
	if (doc->planned || (!doc->sure && (plan != doc->seen || find_stray(doc))))
		end_level_document(ktap, level);
	name_kunit_suite(ktap, level);
	doc->planned = doc->sure = true;
	doc->plan = plan;
	doc->plan_last = doc->seen;
	if (plan || doc->seen || level != ktap->levels)
		return;
	/* Everything was skipped. */
	test = ktap_new_test(ktap, strdup("all tests"), steal_ptr(why), KTAP_SKIP);
	if (test)
		append_one(&level->done, test);
}

/*
 * Begins another document, if this one is complete. Not for subtests: their parent's result would
 * come in between.
 */
static void begin_next(struct ktap *ktap, struct ktap_level *level, const struct ktap_test *test)
{
	const struct ktap_document *doc = &level->doc;

	if (level != ktap->levels || !doc->planned)
		return;
	if (doc->plan_last || (test->numbered && test->number == 1 && doc->seen >= doc->plan)) {
		end_level_document(ktap, level);
		level->doc.sure = test->numbered;
	}
}

void ktap_add_result(struct ktap *ktap, unsigned indent, struct ktap_test *test)
{
	bool is_ktap = false, adopted;
	struct ktap_document *doc;
	struct ktap_level *level;
	char *name;

	settle_remarks(ktap);
	if (ktap->remarks.len && test->status == KTAP_FAIL)
		explain(ktap, test);
	ktap->remarks.len = 0;
	adopted = adopt_deeper(ktap, test, indent, &is_ktap);
	level = level_at(ktap, indent);
	free(steal_ptr(ktap->subtest.name));
	if (!level) {
		free_tests(ktap, test);
		return;
	}
	begin_next(ktap, level, test);
	doc = &level->doc;
	if (!test->numbered)
		test->number = doc->number + 1;
	if (!*test->name && asprintf(&name, "test %ld", test->number) >= 0) {
		free(test->name);
		test->name = name;
	}
	doc->sure |= adopted || test->status == KTAP_FAIL || test->status == KTAP_TODO ||
		     (test->numbered && test->number == 1);
	doc->failed |= test->status == KTAP_FAIL;
	doc->ktap |= is_ktap;
	doc->numbered |= test->numbered;
	doc->disordered |= test->number != doc->number + 1;
	doc->number = test->number;
	doc->seen++;
	append_one(&doc->tests, test);
	ktap->remarks.failed = test->status == KTAP_FAIL ? test : NULL;
}

void ktap_bail_out(struct ktap *ktap)
{
	bool cut = ktap->cut;

	end_remarks(ktap);
	ktap->cut = true;
	level_at(ktap, 0);
	end_level_document(ktap, ktap->levels);
	ktap->cut = cut;
}

void ktap_finish(struct ktap *ktap, bool cut)
{
	if (!ktap->depth)
		return;
	end_remarks(ktap);
	ktap->cut = cut;
	end_level_document(ktap, level_at(ktap, 0));
	ktap->tests = close_level(ktap);
}

static void count_tests(const struct ktap_test *test, struct ktap_counts *counts)
{
	for (; test; test = test->next) {
		unsigned failed = counts->failed;

		if (test->children) {
			count_tests(test->children, counts);
			counts->failed += test->status == KTAP_FAIL && counts->failed == failed;
			continue;
		}
		counts->passed += test->status == KTAP_PASS;
		counts->failed += test->status == KTAP_FAIL;
		counts->skipped += test->status == KTAP_SKIP;
		counts->todo += test->status == KTAP_TODO;
	}
}

struct ktap_counts ktap_count(const struct ktap *ktap)
{
	struct ktap_counts counts = { 0 };

	count_tests(ktap->tests.first, &counts);
	return counts;
}

void ktap_destroy(struct ktap *ktap)
{
	for (unsigned i = 0; i < ktap->depth; i++) {
		free_tests(ktap, ktap->levels[i].done.first);
		free_tests(ktap, ktap->levels[i].doc.tests.first);
		free_tests(ktap, ktap->levels[i].doc.orphans.first);
		free(ktap->levels[i].name);
	}
	free_tests(ktap, ktap->tests.first);
	free(ktap->subtest.name);
	for (unsigned i = 0; i < ktap->problem_count; i++)
		free(ktap->problems[i]);
	*ktap = (struct ktap){ 0 };
}
