/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ends a run from outside the guest: signals, the timeout, and the limit of an orderly stop.
 *
 * It runs on the main thread, while the machine's thread builds the machine, serves its devices and
 * takes it down. It takes no lock but the verdict's, which is never held while anything else is
 * done; so nothing that a guest, a disk or the reader of a pipe does can delay it.
 *
 * Private to vmm/machine.
 */
#ifndef KINGLET_MACHINE_CONTROL_H
#define KINGLET_MACHINE_CONTROL_H

#include "core/loop.h"

#include <pthread.h>
#include <stdatomic.h>

struct vm;

struct control {
	struct loop loop;
	struct loop_event signals; /* signalfd, owned */
	struct loop_event ended;   /* eventfd, owned: there is a verdict */
	struct loop_timer timeout; /* the user's */
	struct loop_timer limit;   /* of what is under way: finding the vCPUs, then the stop */
	bool stopping;
	bool gave_up; /* the stop took too long */
	atomic_bool gone; /* the machine */
	unsigned progress; /* of the stop, when the limit was set */
	pthread_t machine;
};

/*
 * Blocks the signals that end a run, and those that ask for something, for this thread and those
 * that it starts: they stay blocked. What the parent has us ignore stays ignored. Logs on failure.
 */
__must_check int control_init(struct vm *vm);
void control_destroy(struct vm *vm);

/*
 * Runs vm_main() on a thread of its own until the machine is gone: then true. False: it did not go
 * in time, and its thread is still there. A thread that cannot be started ends the run.
 */
bool control_run(struct vm *vm);

/* There is a verdict. Any thread. */
void control_ended(struct vm *vm);

#endif
