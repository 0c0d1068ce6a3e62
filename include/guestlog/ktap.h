/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Test results in a guest's console: TAP 12 to 14 (testanything.org) and KTAP 1
 * (Documentation/dev-tools/ktap.rst), as KUnit, kselftest and the producers of other languages
 * print them: nested by indentation or, in kselftest's way, after `# `.
 *
 * What counts. A console has other lines, too, and a lost failure is worse than a false one:
 *  - `TAP version N`, `KTAP version N` and a plan, `1..N`, begin a document. So do `not ok` and
 *    `ok 1`, each as words; any other `ok` outside a document counts only if a plan follows that
 *    it meets. In a document whose results have numbers, an `ok` without one is noise.
 *  - A document has a plan, before or after its results, which are as many, and whose numbers are
 *    1 to N, each once. Only KTAP may leave the plan out: elsewhere, results may be missing then,
 *    which is a failure where none of them is.
 *  - Documents follow one another: a version, a plan, or a result after a plan that stands last or
 *    a number 1 after all that were planned begins the next.
 *  - Subtests belong to the next result that is less indented. What fails under one that is
 *    skipped or expected to fail is expected, too; under any other it is a failure.
 *  - After `# ` come only comments, but under kselftest's `# selftests: ` and `# TAP version`.
 *  - `Bail out!` is a failure wherever it stands. So is `not ok N` inside a line, and an `ok`
 *    after a line that is or may be a `not` which printk cut off.
 *
 * Memory is bounded: KTAP_TESTS_MAX results, KTAP_DEPTH_MAX levels; more than that is a failure.
 * So is the work for a line, but for the last line of a document, which looks at each result
 * again. The caller serialises.
 */
#ifndef KINGLET_GUESTLOG_KTAP_H
#define KINGLET_GUESTLOG_KTAP_H

#include <stdbool.h>
#include <stddef.h>

enum { KTAP_TESTS_MAX = 20000, KTAP_DEPTH_MAX = 8, KTAP_PROBLEMS_MAX = 16, KTAP_REMARKS_MAX = 1000 };

/* KTAP_TODO: a failure that is expected (TODO, XFAIL). */
enum ktap_status { KTAP_PASS, KTAP_FAIL, KTAP_SKIP, KTAP_TODO };

struct ktap_test {
	char *name;   /* owned, never NULL */
	char *reason; /* what follows #, without SKIP, TODO and the like; owned, or NULL */
	/*
	 * Of one that failed: its YAML, or else the comments before it (KTAP's) or after it (TAP's),
	 * each line ended by a newline; owned, or NULL.
	 */
	char *diagnosis;
	enum ktap_status status;
	long number;   /* counted on where the line has none */
	bool numbered; /* it has one */
	struct ktap_test *children; /* its subtests, owned */
	struct ktap_test *next;
};

struct ktap_tests {
	struct ktap_test *first, *last;
};

/* All zeroes at its start. */
struct ktap_document {
	struct ktap_tests tests, orphans; /* orphans: subtests without a result of their own */
	long plan, seen, number; /* number: the last one */
	bool planned, plan_last; /* plan_last: there were results before it */
	bool sure;		 /* more than an `ok` says that it is one */
	bool failed;		 /* one of its results */
	bool ktap;
	bool numbered, disordered; /* its results; disordered: not 1, 2, 3 … */
};

struct ktap_level {
	unsigned indent;	/* columns */
	char *name;		/* of `# Subtest: NAME`; owned, or NULL */
	struct ktap_tests done; /* of the documents before this one */
	struct ktap_document doc;
};

/* All zeroes at the start. */
struct ktap {
	struct ktap_level levels[KTAP_DEPTH_MAX]; /* the outermost, in column 0, first */
	unsigned depth;
	unsigned hashes; /* so many `# ` are nesting */
	unsigned doubt;	 /* so many lines may have lost a `not ` */
	struct {
		bool open, possible; /* possible: the last that counted was a result */
		unsigned indent;     /* of its first line, or of that result */
	} yaml;
	struct {
		char lines[KTAP_REMARKS_MAX]; /* since the last line that counts */
		size_t len;
		bool yaml;
		struct ktap_test *failed; /* this line, perhaps; borrowed */
	} remarks;
	struct {
		char *name; /* owned, or NULL */
		unsigned indent;
	} subtest; /* announced, and not begun */
	struct ktap_tests tests; /* after ktap_finish() */
	unsigned count;		 /* all nodes */
	bool truncated, cut;
	/* What is wrong with the form, in words: a failure. Owned. */
	char *problems[KTAP_PROBLEMS_MAX];
	unsigned problem_count;
	bool unplanned; /* results without a plan: not seen if some are missing */
};

struct ktap_counts {
	unsigned passed, failed, skipped, todo;
};

/* All zeroes at the start; ktap_destroy() leaves it so. */
void ktap_destroy(struct ktap *ktap);

/* One line of the console, without what printk puts before it (guestlog/messages.h). */
void ktap_line(struct ktap *ktap, const char *line);

/* Nothing follows: what is still open is incomplete. `cut`: which is our doing, and no failure. */
void ktap_finish(struct ktap *ktap, bool cut);

/*
 * Counts the tests that have no subtests, and one that failed although its subtests did not.
 * After ktap_finish().
 */
struct ktap_counts ktap_count(const struct ktap *ktap);

#endif
