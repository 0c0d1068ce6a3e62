/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Test results in a guest's console: TAP 12 to 14 (testanything.org) and KTAP 1
 * (Documentation/dev-tools/ktap.rst), as printed by KUnit, kselftest and TAP producers of other
 * languages: nested by indentation or, as in kselftest, after `# `.
 *
 * What counts. A console also has other lines, and a missed failure is worse than a false one:
 *  - `TAP version N`, `KTAP version N` and a plan, `1..N`, begin a document. So do `not ok` and
 *    `ok 1`, each as words; any other `ok` outside a document counts only if a matching plan
 *    follows. In a document whose results have numbers, an `ok` without one is noise.
 *  - A document has a plan, before or after its results; the number of results matches, and their
 *    numbers are 1 to N, each once. Only KTAP may omit the plan: elsewhere, results may then be
 *    missing, which is a failure even if none failed.
 *  - Documents follow one another: a version, a plan, a result after a final plan, or a number 1
 *    after all planned results begins the next.
 *  - Subtests belong to the next less indented result. A failure under one that is skipped or
 *    expected to fail is expected, too; under any other it is a failure.
 *  - After `# ` there are only comments, except under kselftest's `# selftests: ` and `# TAP
 *    version`.
 *  - `Bail out!` is always a failure. So is `not ok N` inside a line, and an `ok` after a line that
 *    is or may be a `not` cut off by printk.
 *
 * Memory is bounded: KTAP_TESTS_MAX results, KTAP_DEPTH_MAX levels; more than that is a failure.
 * The work per line is bounded too, except for the last line of a document, which checks each
 * result again. The caller serialises.
 */
#ifndef KINGLET_GUESTLOG_KTAP_H
#define KINGLET_GUESTLOG_KTAP_H

#include <stdbool.h>
#include <stddef.h>

enum { KTAP_TESTS_MAX = 20000, KTAP_DEPTH_MAX = 8, KTAP_PROBLEMS_MAX = 16, KTAP_REMARKS_MAX = 1000 };

/* KTAP_TODO: an expected failure (TODO, XFAIL). */
enum ktap_status { KTAP_PASS, KTAP_FAIL, KTAP_SKIP, KTAP_TODO };

struct ktap_test {
	char *name;   /* owned, never NULL */
	char *reason; /* what follows #, without SKIP, TODO and the like; owned, or NULL */
	/*
	 * Of a failed test: its YAML, or else the comments before it (KTAP) or after it (TAP), each
	 * line ended by a newline; owned, or NULL.
	 */
	char *diagnosis;
	enum ktap_status status;
	long number;   /* counted if the line has none */
	bool numbered; /* it has one */
	struct ktap_test *children; /* its subtests, owned */
	struct ktap_test *next;
};

struct ktap_tests {
	struct ktap_test *first, *last;
};

/* All zeroes at its start. */
struct ktap_document {
	struct ktap_tests tests, orphans; /* orphans: subtests whose parent has no result */
	long plan, seen, number; /* number: the last one */
	bool planned, plan_last; /* plan_last: it came after results */
	bool sure;		 /* not recognised by an `ok` alone */
	bool failed;		 /* one of its results */
	bool ktap;
	bool numbered, disordered; /* of its results; disordered: not 1, 2, 3 … */
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
	unsigned hashes; /* number of `# ` that are nesting */
	unsigned doubt;	 /* number of lines that may have lost a `not ` */
	struct {
		bool open, possible; /* possible: the last relevant line was a result */
		unsigned indent;     /* of its first line, or of that result */
	} yaml;
	struct {
		char lines[KTAP_REMARKS_MAX]; /* since the last relevant line */
		size_t len;
		bool yaml;
		struct ktap_test *failed; /* may get these lines; borrowed */
	} remarks;
	struct {
		char *name; /* owned, or NULL */
		unsigned indent;
	} subtest; /* announced, not begun yet */
	struct ktap_tests tests; /* after ktap_finish() */
	unsigned count;		 /* all nodes */
	bool truncated, cut;
	/* Format errors, in words: failures. Owned. */
	char *problems[KTAP_PROBLEMS_MAX];
	unsigned problem_count;
	bool unplanned; /* results without a plan: missing ones go unnoticed */
};

struct ktap_counts {
	unsigned passed, failed, skipped, todo;
};

/* Initially all zeroes; ktap_destroy() restores that. */
void ktap_destroy(struct ktap *ktap);

/* One line of the console, without printk's prefix (guestlog/messages.h). */
void ktap_line(struct ktap *ktap, const char *line);

/*
 * Nothing follows: what is still open is incomplete. `cut`: because we ended the run, so not a
 * failure.
 */
void ktap_finish(struct ktap *ktap, bool cut);

/*
 * Counts the tests without subtests, and those that failed although their subtests did not. After
 * ktap_finish().
 */
struct ktap_counts ktap_count(const struct ktap *ktap);

#endif
