/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of `kinglet test`: options, the observer that decides, results, reports. Once the guest
 * has ended, the result is a JSON object: the process that ran the guest writes it to a pipe, and
 * the supervising process prints and collects it.
 */
#ifndef KINGLET_CMD_TEST_SUITE_H
#define KINGLET_CMD_TEST_SUITE_H

#include "suite_json.h"

#include "cmd/restored.h"
#include "guestlog/guest_log.h"
#include "guestlog/ktap.h"
#include "guestlog/messages.h"
#include "guestlog/symbols.h"
#include "guestlog/tail.h"
#include "machine/machine.h"

#include <regex.h>
#include <stdio.h>

enum {
	TEST_MAX_PATTERNS = 32,
	TEST_MAX_JOBS = 256,
	JUDGE_MAX_VCPUS = 64,
	SHOWN_TAIL_LINES = 20,	/* printed when a test fails, and all lines from a complaint on */
	/* The status of a test that failed without a failure of the machine. */
	EXIT_TEST_FAILED = 1,
};

/* --- Options (suite_options.c) ---------------------------------------------------------------- */

struct test_options {
	struct run_options run;
	const char *from; /* a snapshot's folder, or NULL */
	struct snapshot *shared; /* that of a list's command line, borrowed; or NULL */
	struct restored restored;
	const char *expect[TEST_MAX_PATTERNS], *reject[TEST_MAX_PATTERNS];
	unsigned expect_count, reject_count;
	enum kernel_complaint fail_on; /* the mildest; above KERNEL_OOPS: none */
	unsigned retries;
	bool expect_reboot;
	const char *symbols; /* file, or NULL */
	bool verbose;
	const char *report, *junit; /* files, or NULL */
	const char *list;	    /* file, or NULL: one test */
	unsigned jobs;
};

extern const struct option_list test_option_list, suite_option_list;

/* struct command's `finish`. */
__must_check int test_options_finish(struct common_options *options, int argc, char **argv);

/* One test, and its results. */
struct test_case {
	char *name;		      /* owned; "" for the only test */
	struct test_options *options; /* owned when it is not the command's own */
	bool owns_options;
	cJSON *attempts; /* array of results, owned */
};

struct suite {
	struct test_case *cases; /* owned */
	unsigned count;
	struct snapshot *shared; /* owned: --from of a list's command line; or NULL */
};

/*
 * The command's single test, or those of --list, where each line adds to the options of the command
 * line. 0, or -EINVAL after one logged line with the line of the list; -ENOMEM; errors of
 * snapshot_open().
 */
__must_check int suite_load(struct suite *suite, struct test_options *options);
void suite_destroy(struct suite *suite);

/*
 * Splits a line into words at blanks, in place: '…' is literal, in "…" and outside quotes a
 * backslash escapes the next character; # at the start of a word begins a comment. Returns their
 * number; -EINVAL for a quote that is not closed, -E2BIG for more than max.
 */
__must_check int suite_split_line(char *line, char **words, int max);

/* --- The observer of one run (suite_judge.c) -------------------------------------------------- */

struct judge_pattern {
	regex_t regex;
	const char *source; /* borrowed */
	char *line;	    /* the first one that it matched; owned, or NULL */
};

struct judge_patterns {
	struct judge_pattern list[TEST_MAX_PATTERNS];
	unsigned count, matched;
};

struct judge_vcpu {
	unsigned id;
	struct arch_vcpu_state state;
};

enum judge_end {
	JUDGE_OPEN,
	JUDGE_EXPECTED,
	JUDGE_REJECTED,
	JUDGE_COMPLAINT,
	JUDGE_BOOT_FAILED,
};

/* Filled while the machine runs, under its lock; read afterwards. */
struct judge {
	const struct test_options *options; /* borrowed */
	struct guest_log log;
	struct ktap ktap[GUEST_STREAMS];
	struct judge_patterns expect, reject;
	enum judge_end end;
	bool stamped; /* this guest's printk prints the time */
	unsigned complaints[KERNEL_OOPS + 1];
	char *complaint; /* the first relevant one; owned, or NULL */
	enum kernel_complaint complaint_kind;
	unsigned patience;  /* ticks left to wait for the rest of the complaint */
	char *boot_failure; /* why it failed; owned, or NULL */
	struct tail tail;   /* for the report */
	/*
	 * Line numbers from 1: the last warning, and the start of the failure's messages; 0: none.
	 */
	unsigned warned, trouble;
	struct judge_vcpu *vcpus; /* owned */
	unsigned vcpu_count;
};

/* Its owner is the judge; the judge's log is an observer, too. */
extern const struct machine_observer_ops judge_ops;

/* 0, or -EINVAL after one logged line about an invalid regular expression of the options. */
__must_check int judge_init(struct judge *judge, const struct test_options *options);
void judge_destroy(struct judge *judge);
/* The guest has ended: handles the text after its last newline. */
void judge_finish(struct judge *judge);

/* --- Results (suite_result.c) ----------------------------------------------------------------- */

/* The result of one run for the report; NULL if out of memory. */
cJSON *result_of_run(struct judge *judge, const struct verdict *verdict, double seconds,
		      const struct symbols *symbols);
/* The same for a process that died without a result. */
cJSON *result_of_death(const char *detail, double seconds);
bool result_passed(const cJSON *result);
/* Whether the test failed, not the host or the user: another attempt makes sense. */
bool result_may_be_retried(const cJSON *result);

/* --- The report (suite_report.c) -------------------------------------------------------------- */

/* By the last attempt of each case; flaky: passed, but not at first; missing: not run. */
struct suite_counts {
	unsigned passed, flaky, failed, missing;
};
struct suite_counts suite_count(const struct suite *suite);

/* The whole report, of the cases run so far. NULL if out of memory. */
cJSON *report_of_suite(const struct suite *suite, const struct common_options *options,
		       double seconds);

/* --- Output ----------------------------------------------------------------------------------- */

/* The line of one test, and details of a failure (suite_print.c). */
void print_result(FILE *out, const char *name, const cJSON *attempts);
/* The same report as JUnit XML (suite_junit.c). */
void junit_print(FILE *out, const cJSON *report);

/* --- Running (suite_run.c) -------------------------------------------------------------------- */

/*
 * Runs every case in a separate process, `jobs` at a time, and prints each result when available.
 * Returns 0, or 128 + n if signal n arrived before all results; a negative errno after one logged
 * line. *seconds: the total time.
 */
__must_check int suite_run(struct suite *suite, unsigned jobs, double *seconds);

#endif
