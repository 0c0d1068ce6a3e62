/* SPDX-License-Identifier: Apache-2.0 */
#include "host/ktap.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* A copy without blanks at its ends; out of memory is as good as an empty one. */
static char *copy_trimmed(const char *text, size_t len)
{
	while (len && isspace((unsigned char)*text)) {
		text++;
		len--;
	}
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	return strndup(text, len);
}

static void complain(struct ktap *ktap, const char *fmt, ...) __printf(2, 3);
static void complain(struct ktap *ktap, const char *fmt, ...)
{
	va_list args;

	if (ktap->problem_count == KTAP_PROBLEMS_MAX || ktap->cut)
		return;
	va_start(args, fmt);
	if (vasprintf(&ktap->problems[ktap->problem_count], fmt, args) >= 0)
		ktap->problem_count++;
	va_end(args);
}

/* --- The tree --------------------------------------------------------------------------------- */

static void free_tests(struct ktap_test *test)
{
	while (test) {
		struct ktap_test *next = test->next;

		free_tests(test->children); /* KTAP_DEPTH_MAX deep at most */
		free(test->name);
		free(test->reason);
		free(test);
		test = next;
	}
}

static void append(struct ktap_tests *tests, struct ktap_test *first, struct ktap_test *last)
{
	if (!first)
		return;
	if (tests->last)
		tests->last->next = first;
	else
		tests->first = first;
	tests->last = last;
}

/* Takes name and reason. NULL when there are too many. */
static struct ktap_test *new_test(struct ktap *ktap, char *name, char *reason,
				  enum ktap_status status)
{
	struct ktap_test *test = NULL;

	if (name && ktap->count < KTAP_TESTS_MAX)
		test = calloc(1, sizeof(*test));
	if (!test) {
		ktap->truncated = true;
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

/* --- Levels ----------------------------------------------------------------------------------- */

static void check_plan(struct ktap *ktap, const struct ktap_level *level)
{
	const char *name = level->name ? level->name : "all tests";

	if (level->plan >= 0 && level->plan != level->seen)
		complain(ktap, "%s: %ld planned, %ld seen", name, level->plan, level->seen);
	if (level->plan < 0 && level->seen)
		ktap->unplanned = true;
}

/* Takes the innermost level away. */
static struct ktap_tests close_level(struct ktap *ktap)
{
	struct ktap_level *level = &ktap->levels[--ktap->depth];
	struct ktap_tests tests = level->tests;

	check_plan(ktap, level);
	free(level->name);
	*level = (struct ktap_level){ 0 };
	return tests;
}

/* Subtests whose parent has no result: the run ended among them. */
static void orphan_level(struct ktap *ktap)
{
	struct ktap_level *level = &ktap->levels[ktap->depth - 1];
	char *name = strdup(level->name ? level->name : "unnamed test");
	struct ktap_test *parent = new_test(ktap, name, strdup("no result"),
					    ktap->cut ? KTAP_SKIP : KTAP_FAIL);
	struct ktap_tests tests = close_level(ktap);

	if (!parent) {
		free_tests(tests.first);
		return;
	}
	complain(ktap, "%s: no result", parent->name);
	parent->children = tests.first;
	append(&ktap->levels[ktap->depth - 1].tests, parent, parent);
}

static void orphan_deeper(struct ktap *ktap, unsigned indent)
{
	while (ktap->depth > 1 && ktap->levels[ktap->depth - 1].indent > indent)
		orphan_level(ktap);
}

/* The level at this indentation, opened if need be; NULL: too deep. */
static struct ktap_level *level_at(struct ktap *ktap, unsigned indent)
{
	orphan_deeper(ktap, indent);
	if (!ktap->depth || ktap->levels[ktap->depth - 1].indent < indent) {
		if (ktap->depth == KTAP_DEPTH_MAX) {
			ktap->truncated = true;
			return NULL;
		}
		ktap->levels[ktap->depth++] = (struct ktap_level){ .indent = indent, .plan = -1 };
	}
	return &ktap->levels[ktap->depth - 1];
}

/* --- Lines ------------------------------------------------------------------------------------ */

/* A version: another document begins at this level. */
static void take_version(struct ktap *ktap, unsigned indent)
{
	struct ktap_level *level = level_at(ktap, indent);

	if (!level)
		return;
	if (level->plan >= 0 || level->seen)
		check_plan(ktap, level);
	level->plan = -1;
	level->seen = 0;
}

/* "1..N", perhaps "1..0 # SKIP reason"; false: it is none. */
static bool take_plan(struct ktap *ktap, unsigned indent, const char *text)
{
	struct ktap_level *level;
	char *end;
	long plan;

	if (!starts_with(text, "1..") || !isdigit((unsigned char)text[3]))
		return false;
	plan = strtol(text + 3, &end, 10);
	end += strspn(end, " ");
	if (*end && *end != '#')
		return false;
	level = level_at(ktap, indent);
	if (!level)
		return true;
	/* TAP lets it stand behind the results, too. */
	level->plan = plan;
	return true;
}

/* The directives, and what they make of ok and not ok. */
static const struct {
	const char *word;
	enum ktap_status ok, not_ok;
} directives[] = {
	{ "SKIP", KTAP_SKIP, KTAP_SKIP },     { "TODO", KTAP_PASS, KTAP_TODO },
	{ "XFAIL", KTAP_TODO, KTAP_TODO },    { "TIMEOUT", KTAP_FAIL, KTAP_FAIL },
	{ "ERROR", KTAP_FAIL, KTAP_FAIL },
};

/* Where the part behind an unescaped " # " begins, or the end. */
static const char *find_hash(const char *text)
{
	const char *p = text;

	for (; *p; p++)
		if (*p == '#' && (p == text || p[-1] == ' '))
			return p;
	return p;
}

/* Takes the innermost level's tests for `parent`, whose own level is at `indent`. */
static void adopt_deeper(struct ktap *ktap, struct ktap_test *parent, unsigned indent)
{
	struct ktap_tests tests;

	if (ktap->depth < 2 || ktap->levels[ktap->depth - 1].indent <= indent)
		return;
	while (ktap->depth > 2 && ktap->levels[ktap->depth - 2].indent > indent)
		orphan_level(ktap);
	/* KUnit names a suite before its tests, and again with its result. */
	if (!*parent->name && ktap->levels[ktap->depth - 1].name) {
		free(parent->name);
		parent->name = steal_ptr(ktap->levels[ktap->depth - 1].name);
	}
	tests = close_level(ktap);
	parent->children = tests.first;
}

static struct ktap_test *parse_result(struct ktap *ktap, bool ok, const char *text)
{
	const char *hash = find_hash(text);
	enum ktap_status status = ok ? KTAP_PASS : KTAP_FAIL;
	char *reason = NULL;

	for (unsigned i = 0; *hash && i < ARRAY_SIZE(directives); i++) {
		const char *word = hash + 1 + strspn(hash + 1, " ");
		size_t len = strlen(directives[i].word);

		if (strncasecmp(word, directives[i].word, len) != 0 ||
		    isalnum((unsigned char)word[len]))
			continue;
		status = ok ? directives[i].ok : directives[i].not_ok;
		reason = copy_trimmed(word + len, strlen(word + len));
	}
	return new_test(ktap, copy_trimmed(text, (size_t)(hash - text)), reason, status);
}

/* "ok 1 - name # SKIP reason"; false: it is no result. */
static bool take_result(struct ktap *ktap, unsigned indent, const char *text)
{
	bool ok = starts_with(text, "ok");
	struct ktap_level *level;
	struct ktap_test *test;
	char *end;

	if (!ok && !starts_with(text, "not ok"))
		return false;
	text += ok ? 2 : 6;
	if (*text && *text != ' ')
		return false;
	text += strspn(text, " ");
	/* Without a number it is as likely to be prose. */
	strtol(text, &end, 10);
	if (end == text || (*end && *end != ' ') || !isdigit((unsigned char)*text))
		return false;
	if (!ktap->depth)
		return true;
	text = end + strspn(end, " ");
	if (starts_with(text, "- "))
		text += 2;
	test = parse_result(ktap, ok, text);
	if (!test)
		return true;
	adopt_deeper(ktap, test, indent);
	level = level_at(ktap, indent);
	if (!level) {
		free_tests(test);
		return true;
	}
	level->seen++;
	append(&level->tests, test, test);
	return true;
}

static void take_comment(struct ktap *ktap, unsigned indent, const char *text)
{
	static const char subtest[] = "# Subtest:";
	struct ktap_level *level;

	if (!starts_with(text, subtest))
		return;
	level = level_at(ktap, indent);
	if (level && !level->name)
		level->name = copy_trimmed(text + strlen(subtest), strlen(text) - strlen(subtest));
}

static bool take_text(struct ktap *ktap, unsigned indent, const char *text)
{
	if (starts_with(text, "KTAP version ") || starts_with(text, "TAP version ")) {
		take_version(ktap, indent);
		return true;
	}
	return take_plan(ktap, indent, text) || take_result(ktap, indent, text);
}

void ktap_line(struct ktap *ktap, const char *line)
{
	unsigned indent = 0;
	const char *text = line;

	/* kselftest puts `# ` before all that a test prints; for us, two columns. */
	for (;;) {
		unsigned blanks = (unsigned)strspn(text, " ");

		indent += blanks;
		text += blanks;
		if (take_text(ktap, indent, text))
			return;
		if (starts_with(text, "# Subtest:")) {
			take_comment(ktap, indent, text);
			return;
		}
		if (starts_with(text, "Bail out!") && ktap->depth) {
			complain(ktap, "%s", text);
			return;
		}
		if (!starts_with(text, "# "))
			return;
		text += 2;
		indent += 2;
	}
}

void ktap_finish(struct ktap *ktap, bool cut)
{
	struct ktap_tests tests;

	ktap->cut = cut;
	while (ktap->depth > 1)
		orphan_level(ktap);
	if (!ktap->depth)
		return;
	tests = close_level(ktap);
	append(&ktap->tests, tests.first, tests.last);
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
		free_tests(ktap->levels[i].tests.first);
		free(ktap->levels[i].name);
	}
	free_tests(ktap->tests.first);
	for (unsigned i = 0; i < ktap->problem_count; i++)
		free(ktap->problems[i]);
	*ktap = (struct ktap){ 0 };
}
