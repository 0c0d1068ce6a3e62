/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Test results in a guest's console: TAP 13 and 14 (testanything.org) and KTAP 1
 * (Documentation/dev-tools/ktap.rst), as KUnit and kselftest print them: nested by indentation or,
 * in kselftest's way, behind `# `. Other lines between them do not matter.
 *
 * Results count from the first version line or plan on. Memory is bounded: KTAP_TESTS_MAX results,
 * KTAP_DEPTH_MAX levels; `truncated` says that there was more. The caller serialises.
 */
#ifndef KINGLET_HOST_KTAP_H
#define KINGLET_HOST_KTAP_H

#include <stdbool.h>
#include <stddef.h>

enum { KTAP_TESTS_MAX = 20000, KTAP_DEPTH_MAX = 8, KTAP_PROBLEMS_MAX = 16 };

/* KTAP_TODO: a failure that is expected (TODO, XFAIL). */
enum ktap_status { KTAP_PASS, KTAP_FAIL, KTAP_SKIP, KTAP_TODO };

struct ktap_test {
	char *name;   /* owned, never NULL */
	char *reason; /* what stands behind SKIP, TODO and the like; owned, or NULL */
	enum ktap_status status;
	struct ktap_test *children; /* its subtests, owned */
	struct ktap_test *next;
};

struct ktap_tests {
	struct ktap_test *first, *last;
};

struct ktap_level {
	unsigned indent; /* columns */
	long plan;	 /* -1: none was seen */
	long seen;	 /* results since the plan or version line */
	char *name;	 /* of `# Subtest: NAME`; owned, or NULL */
	struct ktap_tests tests;
};

struct ktap {
	struct ktap_level levels[KTAP_DEPTH_MAX]; /* outermost first */
	unsigned depth;
	struct ktap_tests tests; /* finished ones of the outermost level */
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

/* One line of the console, without what printk puts before it (host/kernel_log.h). */
void ktap_line(struct ktap *ktap, const char *line);

/* Nothing follows: what is still open is incomplete. `cut`: which is our doing, and no failure. */
void ktap_finish(struct ktap *ktap, bool cut);

/*
 * Counts the tests that have no subtests, and one that failed although its subtests did not.
 * After ktap_finish().
 */
struct ktap_counts ktap_count(const struct ktap *ktap);

#endif
