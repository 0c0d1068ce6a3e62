/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole VM: builds it from a config, runs it to its end, takes it down.
 */
#ifndef KINGLET_MACHINE_MACHINE_H
#define KINGLET_MACHINE_MACHINE_H

#include "core/sys.h"
#include "machine/config.h"

/* How a run ended. The numbers are the exit statuses of README's table, but for OUTCOME_STATUS. */
enum outcome {
	OUTCOME_POWEROFF,	/* 0: powered off, or rebooted with --on-reboot=exit */
	OUTCOME_REBOOT,		/* 0 */
	OUTCOME_HALTED,		/* 0: HLT with nothing that could wake the vCPU */
	OUTCOME_STATUS,		/* n: the guest set it */
	OUTCOME_USAGE,		/* 100 */
	OUTCOME_HOST,		/* 101 */
	OUTCOME_PANIC,		/* 102 */
	OUTCOME_TRIPLE_FAULT,	/* 103 */
	OUTCOME_INTERNAL_ERROR, /* 104 */
	OUTCOME_TIMEOUT,	/* 124 */
	OUTCOME_SIGNAL,		/* 128 + n */
	OUTCOME_QUIT,		/* 0: Ctrl-A x */
	OUTCOME_OBSERVER,	/* n: an observer had seen enough */
	OUTCOME_BUDGET,		/* 1: all went well, but not in the time of --budget */
};

struct verdict {
	enum outcome outcome;
	int status;	  /* exit status of the process */
	char detail[200]; /* one line for people; may be empty */
};

/*
 * -EINVAL after one logged line when these parts do not fit together on any host. machine_run()
 * looks, too.
 */
__must_check int machine_check(const struct machine_config *config);

/*
 * Builds the machine, runs it until its verdict is known, and destroys it. Everything that was
 * opened is closed, the terminal restored, whatever happens. Main thread, which meanwhile serves
 * signals and config->timeout_ns; a thread of its own builds the machine and serves the devices.
 *
 * Signals that would end the process end the run in order, unless they are ignored. From the
 * verdict on, that has two seconds; after a guest that ended by itself, two without progress. When
 * they are over, false is returned: threads are left that use the config and what it points to, so
 * that the process says its last words and ends by _exit(2). What would outlive it is seen to.
 *
 * Afterwards the process still ignores SIGPIPE, may still open as many files as it is allowed at
 * most, and has those signals blocked: a second one must not end it before its verdict is said.
 */
__must_check bool machine_run(const struct machine_config *config, struct sys *sys,
			      struct verdict *verdict);

#endif
