/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a run ends: facts are recorded here, and the first verdict wakes the threads that wait for
 * it, which then act on it. Any thread.
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

	pthread_mutex_t lock; /* a leaf: held only to read or write these */
	bool known;
	struct verdict verdict;
	struct machine_panic reported; /* by a device, in this boot */

	atomic_int guest_status; /* from the port kinglet.status; -1: none */
	atomic_uint progress;   /* completed steps of destroying the machine */
	atomic_uint unfinished; /* pending output: the console, observers */
};

__must_check int ending_init(struct ending *ending);
void ending_destroy(struct ending *ending);

/* The first caller decides; later calls are ignored. `number`: the guest's status, or a signal. */
void ending_decide(struct ending *ending, enum outcome outcome, int number, const char *fmt, ...)
	__printf(4, 5);
/*
 * The same, but also overrides a success: a part of the run could not be done, or not in time.
 */
void ending_fail(struct ending *ending, enum outcome outcome, int number, const char *fmt, ...)
	__printf(4, 5);
/* Guest output for this stream of the host was lost, with an errno. */
void ending_output_lost(struct ending *ending, const char *stream, int error);

bool ending_is_known(struct ending *ending);
/* Whether the verdict is known and not caused by the guest: by a signal, a timeout, or the user. */
bool ending_is_hurried(struct ending *ending);
struct verdict ending_verdict(struct ending *ending);

/* A device reported a panic. */
void ending_set_panic(struct ending *ending, const struct machine_panic *panic);
struct machine_panic ending_panic(struct ending *ending);
/* The guest is reset: clears its status and panic for the next boot. */
void ending_forget_boot(struct ending *ending);

#endif
