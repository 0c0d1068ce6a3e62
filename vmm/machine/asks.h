/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that the main thread has the machine's thread run, each with an answer. Neither thread
 * waits for the other. Private to vmm/machine.
 */
#ifndef KINGLET_MACHINE_ASKS_H
#define KINGLET_MACHINE_ASKS_H

#include "core/loop.h"
#include "machine/observer.h"

#include <pthread.h>

struct ask_list {
	struct machine_ask *first, *last;
};

struct asks {
	pthread_mutex_t lock; /* of the lists; a leaf: held for a few stores */
	struct ask_list asked, answered;
	struct loop_event answer; /* eventfd, owned: there are answers */
};

/* The answers are given in this loop, the main thread's. Negative errno. */
__must_check int asks_init(struct asks *asks, struct loop *control);
/* Those without an answer never get one. */
void asks_destroy(struct asks *asks, struct loop *control);

/* Main thread; asks_serve() must follow on the machine's. */
void asks_add(struct asks *asks, struct machine_ask *ask);
/* Runs what was asked, in order. Machine's thread. */
void asks_serve(struct asks *asks);

#endif
