/* SPDX-License-Identifier: Apache-2.0 */
#include "host/ktap.h"

#include "base/cleanup.h"
#include "host/kernel_log.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char blanks[] = " \t";

/* Lines after a `not` that printk cut off, among which its `ok` may be. */
enum { DOUBT_LINES = 16 };

static bool starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, blanks);
}

/* The end of the line, or a blank. */
static bool ends_word(char c)
{
	return !c || c == ' ' || c == '\t';
}

/* A copy without blanks at its ends and with \# as # and \\ as \; out of memory gives NULL. */
static char *copy_text(const char *text, size_t len)
{
	char *copy, *to;

	while (len && isspace((unsigned char)*text)) {
		text++;
		len--;
	}
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	copy = strndup(text, len);
	if (!copy)
		return NULL;
	to = copy;
	for (const char *from = copy; *from; from++) {
		if (from[0] == '\\' && (from[1] == '\\' || from[1] == '#'))
			from++;
		*to++ = *from;
	}
	*to = '\0';
	return copy;
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

static void truncate_results(struct ktap *ktap)
{
	if (!ktap->truncated)
		complain(ktap, "more than %d results or %d levels: not all were read",
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

/* Takes name and reason. NULL when there are too many. */
static struct ktap_test *new_test(struct ktap *ktap, char *name, char *reason,
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

/* Under a test that may fail, all may. */
static void excuse(struct ktap_test *test)
{
	for (; test; test = test->next) {
		if (test->status == KTAP_FAIL)
			test->status = KTAP_TODO;
		excuse(test->children);
	}
}

/* --- Documents -------------------------------------------------------------------------------- */

/* One whose number is not in 1 to the number of results, or another's; NULL: each is there once. */
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
		complain(ktap, "%s: %ld planned, %ld seen", name, doc->plan, doc->seen);
	else if (outermost && !doc->planned && !doc->failed && !(doc->ktap && doc->seen))
		complain(ktap, "%s: no plan (1..N) tells whether the %ld results seen are all",
			 name, doc->seen);
	else if (stray)
		complain(ktap, "%s: number %ld (%.200s) is there twice, or beyond the plan", name,
			 stray->number, stray->name);
}

/* Results have numbers, so what has none is none. */
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

/* `name`: whose tests they are. `excused`: what is wrong does not matter. */
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

static struct ktap_level *innermost(struct ktap *ktap)
{
	return &ktap->levels[ktap->depth - 1];
}

/* Takes the innermost level away. */
static struct ktap_tests close_level(struct ktap *ktap)
{
	struct ktap_level *level = innermost(ktap);
	struct ktap_tests tests = level->done;

	ktap->depth--;
	free(level->name);
	*level = (struct ktap_level){ 0 };
	return tests;
}

/* All of it is indented, then: the level below is the outermost one. */
static bool is_outermost(const struct ktap *ktap, const struct ktap_level *level)
{
	const struct ktap_document *outer = &level[-1].doc;

	return level == &ktap->levels[1] && level->doc.sure && !level->doc.ktap && !level->name &&
	       !outer->sure && !outer->seen;
}

/* Subtests whose parent has no result: the run ended among them. */
static void orphan_level(struct ktap *ktap)
{
	struct ktap_level *level = innermost(ktap), *outer = level - 1;
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
	parent = new_test(ktap, strdup(level->name ? level->name : "unnamed test"),
			  strdup("no result"), ktap->cut ? KTAP_SKIP : KTAP_FAIL);
	if (!parent) {
		free_tests(ktap, close_level(ktap).first);
		return;
	}
	complain(ktap, "%s: no result", parent->name);
	parent->children = close_level(ktap).first;
	append_one(&outer->doc.orphans, parent);
}

/* The level at this indentation, opened if need be; NULL: too deep. */
static struct ktap_level *level_at(struct ktap *ktap, unsigned indent)
{
	while (ktap->depth > 1 && innermost(ktap)->indent > indent)
		orphan_level(ktap);
	if (innermost(ktap)->indent == indent)
		return innermost(ktap);
	if (ktap->depth == KTAP_DEPTH_MAX) {
		truncate_results(ktap);
		return NULL;
	}
	ktap->levels[ktap->depth++] = (struct ktap_level){ .indent = indent };
	if (ktap->subtest.indent < indent)
		innermost(ktap)->name = steal_ptr(ktap->subtest.name);
	return innermost(ktap);
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

	if (innermost(ktap)->indent <= indent)
		return false;
	while (ktap->levels[ktap->depth - 2].indent > indent)
		orphan_level(ktap);
	level = innermost(ktap);
	/* TAP 14 lets `# Subtest: NAME` name both. */
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

/* --- Lines ------------------------------------------------------------------------------------ */

static bool take_version(struct ktap *ktap, unsigned indent, const char *text)
{
	bool is_ktap = *text == 'K';
	struct ktap_level *level;
	const char *number;

	text += is_ktap;
	if (!starts_with(text, "TAP version ") || !isdigit((unsigned char)text[12]))
		return false;
	number = text + 12;
	if (*skip_blanks(number + strspn(number, "0123456789")))
		return false;
	level = level_at(ktap, indent);
	if (!level)
		return true;
	end_level_document(ktap, level);
	level->doc.sure = true;
	level->doc.ktap = is_ktap;
	return true;
}

/* What stands behind `word` and the rest of its letters ("Skipped: "); NULL: it is another. */
static const char *behind_directive(const char *text, const char *word)
{
	if (strncasecmp(text, word, strlen(word)) != 0)
		return NULL;
	return text + strcspn(text, blanks);
}

/* All was skipped. */
static void skip_document(struct ktap *ktap, struct ktap_level *level, const char *text)
{
	const char *reason = skip_blanks(text + (*text == '#'));
	const char *behind = behind_directive(reason, "SKIP");
	struct ktap_test *test;

	if (behind)
		reason = behind;
	test = new_test(ktap, strdup("all tests"), copy_text(reason, strlen(reason)), KTAP_SKIP);
	if (test)
		append_one(&level->done, test);
}

/* KUnit announces subtests where they stand, TAP 14 before their parent. */
static void name_kunit_suite(struct ktap *ktap, struct ktap_level *level)
{
	if (!level->name && ktap->subtest.name && ktap->subtest.indent == level->indent &&
	    level->indent && !level->doc.seen) {
		level->name = steal_ptr(ktap->subtest.name);
		level->doc.ktap = true;
	}
}

/* "1..N", perhaps "1..0 # SKIP reason"; false: it is none. */
static bool take_plan(struct ktap *ktap, unsigned indent, const char *text)
{
	struct ktap_document *doc;
	struct ktap_level *level;
	char *end;
	long plan;

	if (!starts_with(text, "1..") || !isdigit((unsigned char)text[3]))
		return false;
	plan = strtol(text + 3, &end, 10);
	text = skip_blanks(end);
	if (*text && *text != '#')
		return false;
	level = level_at(ktap, indent);
	if (!level)
		return true;
	doc = &level->doc;
	if (doc->planned || (!doc->sure && (plan != doc->seen || find_stray(doc))))
		end_level_document(ktap, level);
	name_kunit_suite(ktap, level);
	doc->planned = doc->sure = true;
	doc->plan = plan;
	doc->plan_last = doc->seen;
	if (!plan && !doc->seen && level == ktap->levels)
		skip_document(ktap, level, text);
	return true;
}

/*
 * The directives, and what they make of ok and not ok. TAP's may be in small letters, and an "ok"
 * with "# error handling" is one; KTAP's ERROR and TIMEOUT on an "ok" contradict it.
 */
static const struct {
	const char *word;
	enum ktap_status ok, not_ok;
	bool exact;
} directives[] = {
	{ "SKIP", KTAP_SKIP, KTAP_SKIP, false },  { "TODO", KTAP_PASS, KTAP_TODO, false },
	{ "XFAIL", KTAP_TODO, KTAP_TODO, false }, { "TIMEOUT", KTAP_FAIL, KTAP_FAIL, true },
	{ "ERROR", KTAP_FAIL, KTAP_FAIL, true },
};

/* The reason behind a directive, with *status as it has it; NULL: `text` begins with none. */
static const char *match_directive(const char *text, enum ktap_status *status)
{
	for (unsigned i = 0; i < ARRAY_SIZE(directives); i++) {
		const char *word = directives[i].word, *behind = behind_directive(text, word);

		if (!behind || (directives[i].exact && (!starts_with(text, word) ||
							isalnum((unsigned char)text[strlen(word)]))))
			continue;
		*status = *status == KTAP_FAIL ? directives[i].not_ok : directives[i].ok;
		return behind;
	}
	return NULL;
}

/*
 * Where the description ends: at the first # that is not escaped, stands behind a blank, and before
 * a blank or a directive ("issue #42" is description).
 */
static const char *find_hash(const char *text)
{
	enum ktap_status ignored = KTAP_PASS;
	bool apart = true;

	for (; *text; text++) {
		if (text[0] == '\\' && (text[1] == '\\' || text[1] == '#')) {
			apart = *++text == '\\';
			continue;
		}
		if (*text == '#' && apart &&
		    (ends_word(text[1]) || match_directive(text + 1, &ignored)))
			break;
		apart = *text == ' ' || *text == '\t';
	}
	return text;
}

/* The part of a result line behind its number. */
static struct ktap_test *parse_description(struct ktap *ktap, bool ok, const char *text)
{
	const char *hash, *reason = NULL;
	enum ktap_status status = ok ? KTAP_PASS : KTAP_FAIL;

	if (text[0] == '-' && ends_word(text[1]))
		text++;
	hash = find_hash(text);
	if (*hash) {
		const char *behind = match_directive(skip_blanks(hash + 1), &status);

		reason = behind ? behind : hash + 1;
	}
	return new_test(ktap, copy_text(text, (size_t)(hash - text)),
			reason ? copy_text(reason, strlen(reason)) : NULL, status);
}

/*
 * Another document, when this one has said that it is whole. Subtests do not follow one another
 * so: their parent would stand between.
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

/* Takes the test. */
static void add_result(struct ktap *ktap, unsigned indent, struct ktap_test *test)
{
	bool is_ktap = false, adopted = adopt_deeper(ktap, test, indent, &is_ktap);
	struct ktap_level *level = level_at(ktap, indent);
	struct ktap_document *doc;
	char *name;

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
}

/*
 * Whether an `ok` without a number, at `indent`, may end the subtests of the innermost level: where
 * they have numbers, it would have one, too, and it does not stand before all that is planned.
 */
static bool may_be_parent(const struct ktap_level *level, unsigned indent)
{
	const struct ktap_document *doc = &level->doc;

	return level->indent <= indent ||
	       !(doc->numbered || (doc->planned && doc->seen < doc->plan));
}

/* "ok 1 - name # SKIP reason"; false: it is no result. */
static bool take_result(struct ktap *ktap, unsigned indent, const char *text)
{
	bool not_ok = starts_with(text, "not "), numbered;
	const char *line = text, *behind;
	struct ktap_test *test;
	long number;
	char *end;

	text += not_ok ? 4 : 0;
	if (!starts_with(text, "ok") || !ends_word(text[2]))
		return false;
	behind = skip_blanks(text + 2);
	number = strtol(behind, &end, 10);
	numbered = isdigit((unsigned char)*behind) && ends_word(*end);
	if (!not_ok && !numbered && !may_be_parent(innermost(ktap), indent))
		return false;
	test = parse_description(ktap, !not_ok, numbered ? skip_blanks(end) : behind);
	if (!test)
		return true;
	if (ktap->doubt && test->status == KTAP_PASS)
		complain(ktap, "\"%.200s\" may be a \"not ok\" that another line cut", line);
	ktap->doubt = 0;
	test->number = numbered ? number : 0;
	test->numbered = numbered;
	add_result(ktap, indent, test);
	return true;
}

/* No more of this document follows, and nothing in it is missing. */
static bool take_bail_out(struct ktap *ktap, const char *text)
{
	bool cut = ktap->cut;

	if (strncasecmp(text, "Bail out!", 9) != 0)
		return false;
	complain(ktap, "%.400s", text);
	ktap->cut = true;
	level_at(ktap, 0);
	end_level_document(ktap, ktap->levels);
	ktap->cut = cut;
	return true;
}

/* What announces subtests: "# Subtest: NAME", and kselftest's "# selftests: DIR: PROGRAM". */
static void take_comment(struct ktap *ktap, unsigned indent, unsigned hashes, const char *text)
{
	static const char subtest[] = "Subtest: ";
	struct ktap_level *level = innermost(ktap);

	text = skip_blanks(text + 1);
	if (starts_with(text, "selftests: ")) {
		if (ktap->hashes == hashes)
			ktap->hashes++;
	} else if (starts_with(text, subtest)) {
		text += sizeof(subtest) - 1;
	} else {
		return;
	}
	free(ktap->subtest.name);
	ktap->subtest.name = copy_text(text, strlen(text));
	ktap->subtest.indent = indent;
	if (level->indent == indent && level->doc.ktap)
		name_kunit_suite(ktap, level);
}

/* True: this line counts. */
static bool take_text(struct ktap *ktap, unsigned indent, unsigned hashes, const char *text)
{
	if (take_version(ktap, indent, text)) {
		ktap->hashes = hashes;
		return true;
	}
	return hashes <= ktap->hashes &&
	       (take_plan(ktap, indent, text) || take_bail_out(ktap, text));
}

/* Other programs and the kernel print to the same console, and not always whole lines. */
static void look_for_pieces(struct ktap *ktap, const char *text)
{
	static const char not_ok[] = "not ok ";
	const char *p = text;
	bool stamped;

	if (starts_with(text, "not")) {
		const char *rest = skip_blanks(text + 3);

		kernel_log_message(rest, &stamped);
		if (!*rest || stamped)
			ktap->doubt = DOUBT_LINES + 1;
		else if (ends_word(text[3]))
			ktap->doubt = 2;
	}
	while ((p = strstr(p, not_ok))) {
		p += sizeof(not_ok) - 1;
		if (isdigit((unsigned char)*skip_blanks(p))) {
			complain(ktap, "a result inside another line: \"%.200s\"", text);
			return;
		}
	}
}

/* True: the line is part of the diagnosis that stands between --- and ... after a result. */
static bool take_yaml(struct ktap *ktap, unsigned indent, const char *text)
{
	if (ktap->yaml.open) {
		ktap->yaml.open = indent != ktap->yaml.indent || strcmp(text, "...") != 0;
		return indent >= ktap->yaml.indent;
	}
	if (!ktap->yaml.possible || indent <= ktap->yaml.indent || strcmp(text, "---") != 0)
		return false;
	ktap->yaml.open = true;
	ktap->yaml.possible = false;
	ktap->yaml.indent = indent;
	return true;
}

/* What a service prints reaches the console behind its name: "test.sh[123]: ". */
static const char *skip_tag(const char *line)
{
	const char *digits = line + strcspn(line, " [");
	const char *end;

	if (digits == line || *digits++ != '[')
		return line;
	end = digits + strspn(digits, "0123456789");
	return end != digits && starts_with(end, "]: ") ? end + 3 : line;
}

void ktap_line(struct ktap *ktap, const char *line)
{
	unsigned indent = 0, hashes = 0;
	const char *text = skip_tag(line);
	bool is_result;

	if (!ktap->depth)
		ktap->depth = 1;
	ktap->doubt -= ktap->doubt > 0;
	/* kselftest puts `# ` before all that a test prints; for us, two columns. */
	for (;; text++) {
		if (*text == '\t')
			indent += 8;
		else if (*text == ' ' || (*text == '#' && text[1] == ' '))
			indent++;
		else
			break;
		if (*text == '#')
			take_comment(ktap, indent - 1, hashes++, text);
	}
	if (take_yaml(ktap, indent, text) || *text == '#')
		return;
	is_result = hashes <= ktap->hashes && take_result(ktap, indent, text);
	if (is_result || take_text(ktap, indent, hashes, text)) {
		ktap->yaml.open = false;
		ktap->yaml.possible = is_result;
		ktap->yaml.indent = indent;
	} else if (hashes <= ktap->hashes) {
		look_for_pieces(ktap, text);
	}
}

void ktap_finish(struct ktap *ktap, bool cut)
{
	if (!ktap->depth)
		return;
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
