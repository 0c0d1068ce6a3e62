/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole VM: builds it from a config, runs it until it ends, and destroys it.
 */
#ifndef KINGLET_MACHINE_MACHINE_H
#define KINGLET_MACHINE_MACHINE_H

#include "core/sys.h"
#include "machine/config.h"

/*
 * How a run ended. The numbers are the exit statuses of README's table, except for OUTCOME_STATUS.
 */
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
	OUTCOME_OBSERVER,	/* n: an observer ended the run */
	OUTCOME_BUDGET,		/* 1: successful, but exceeded --budget */
};

struct verdict {
	enum outcome outcome;
	int status;	  /* exit status of the process */
	char detail[200]; /* one line of text; may be empty */
};

/*
 * -EINVAL after one logged line when the parts of the config conflict on any host. machine_run()
 * also checks this.
 */
__must_check int machine_check(const struct machine_config *config);

/*
 * Whether such a machine can be moved to another process by a live migration; else why not, in one
 * line that names the option. What the host's kernel lacks is found when it moves.
 */
bool machine_can_move(const struct machine_config *config, char *why, size_t len);

/*
 * Builds the machine, runs it until its verdict is known, and destroys it. In any case everything
 * opened is closed, and the terminal restored. Main thread, which meanwhile handles signals and
 * config->timeout_ns; a separate thread builds the machine and serves the devices.
 *
 * Signals that would end the process end the run in an orderly way, unless they are ignored. After
 * the verdict the stop may take two seconds; after a guest that ended by itself, two seconds
 * without progress. Otherwise false is returned: threads still use the config and what it points
 * to, so the process must print its last messages and end by _exit(2). What would outlive it has
 * been removed.
 *
 * Afterwards the process still ignores SIGPIPE, has its limit of open files raised to the maximum,
 * and has those signals blocked: a second one must not end it before its verdict is printed.
 */
__must_check bool machine_run(const struct machine_config *config, struct sys *sys,
			      struct verdict *verdict);

#endif
