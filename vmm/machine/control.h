/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ends a run from outside the guest: signals, the timeout, and the limit of an orderly stop.
 *
 * It runs on the main thread, while the machine's thread builds the machine, serves its devices and
 * takes it down. It takes only the ending's lock, which is never held during other work; so no
 * guest, disk or pipe reader can delay it. Of a machine that is stuck, vm.c's abandon() sees to
 * what would outlive the process.
 *
 * Private to vmm/machine.
 */
#ifndef KINGLET_MACHINE_CONTROL_H
#define KINGLET_MACHINE_CONTROL_H

#include "requests.h"
#include "verdict.h"

struct control_options {
	uint64_t timeout_ns, started_ns; /* as in struct machine_config */
	bool reports;			 /* SIGUSR1 is a request */
	struct ending *ending;		 /* all borrowed */
	struct requests *requests;
	struct loop *loop; /* the machine's: stopped when there is a verdict */
};

struct control {
	struct control_options options;
	struct loop loop;
	struct loop_event signals; /* signalfd, owned */
	struct loop_event ended;   /* the ending's eventfd */
	struct loop_timer timeout; /* the user's */
	struct loop_timer limit;   /* of the current step: finding the vCPUs, then the stop */
	bool stopping;
	bool gave_up;	   /* the stop took too long */
	atomic_bool built; /* set by the machine's thread: the machine takes requests */
	atomic_bool gone;  /* the machine */
	unsigned progress; /* of the stop, when the limit was set */
	pthread_t machine;
	void (*run)(void *owner);
	void *owner;
};

/*
 * Blocks the signals that end a run, and those with a request, for this thread and those that it
 * starts: they stay blocked. Signals that the parent set to be ignored stay ignored. Negative
 * errno.
 */
__must_check int control_init(struct control *control, const struct control_options *options);
void control_destroy(struct control *control);

/*
 * Calls run() on a new thread, the machine's, and waits until it has returned: then true. False: it
 * did not return in time, and the thread still runs. A thread that cannot be started ends the run.
 */
bool control_run(struct control *control, void (*run)(void *owner), void *owner);

#endif
