/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a run ends: facts are recorded here, and the first verdict wakes who waits for it. What is to
 * be done then is for others. Any thread.
 *
 * Private to vmm/machine.
 */
#ifndef KINGLET_MACHINE_VERDICT_H
#define KINGLET_MACHINE_VERDICT_H

#include "machine/machine.h"

#include <pthread.h>
#include <stdatomic.h>

struct ending {
	int known_fd; /* eventfd, owned: readable when there is a verdict */

	pthread_mutex_t lock; /* a leaf: held for no longer than it takes to read or write these */
	bool known;
	struct verdict verdict;
	struct machine_panic reported; /* by a device, in this boot */

	atomic_int guest_status; /* what the guest wrote to the port kinglet.status; -1: nothing */
	atomic_uint progress;   /* of taking the machine down: steps so far */
	atomic_uint unfinished; /* what has still to be written: the console, observers */
};

__must_check int ending_init(struct ending *ending);
void ending_destroy(struct ending *ending);

/* The first caller decides; later calls are ignored. `number`: the guest's status, or a signal. */
void ending_decide(struct ending *ending, enum outcome outcome, int number, const char *fmt, ...)
	__printf(4, 5);
/*
 * The same, also over an end that would count as success: something that the run was to do could
 * not be done, or not in time.
 */
void ending_fail(struct ending *ending, enum outcome outcome, int number, const char *fmt, ...)
	__printf(4, 5);
/* What the guest wrote to this stream of the host is lost, for an errno. */
void ending_output_lost(struct ending *ending, const char *stream, int error);

bool ending_is_known(struct ending *ending);
/* It is known, and not by the guest's doing: by a signal, its time, or the user. */
bool ending_is_hurried(struct ending *ending);
struct verdict ending_verdict(struct ending *ending);

/* What a device reports of a panic. */
void ending_set_panic(struct ending *ending, const struct machine_panic *panic);
struct machine_panic ending_panic(struct ending *ending);
/* The guest is reset: its status and panic are not of the next boot. */
void ending_forget_boot(struct ending *ending);

#endif
