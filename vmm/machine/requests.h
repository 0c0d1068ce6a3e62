/* SPDX-License-Identifier: Apache-2.0 */
/* What other threads ask of the machine's. Private to vmm/machine. */
#ifndef KINGLET_MACHINE_REQUESTS_H
#define KINGLET_MACHINE_REQUESTS_H

#include "core/loop.h"

#include <stdatomic.h>

/* Served in this order. */
enum request {
	REQUEST_POWER_OFF, /* the guest */
	REQUEST_RESET,	   /* the guest */
	REQUEST_RESIZE,
	REQUEST_SUSPEND,
	REQUEST_CONTINUE,
	REQUEST_REPORT,
	REQUEST_LOCATE, /* time is up: where are the vCPUs? */
	REQUESTS,
};

struct requests {
	struct loop_event event; /* eventfd, owned: there are requests */
	atomic_uint pending;	 /* bit n: enum request n */
	bool guest_waits; /* the loop has gone round once since the guest asked to go down */
	void (*serve)(void *owner, enum request request);
	void *owner;
};

/* serve() is called by the loop. Negative errno. */
__must_check int requests_init(struct requests *requests, struct loop *loop,
			       void (*serve)(void *owner, enum request request), void *owner);
void requests_destroy(struct requests *requests, struct loop *loop);

/* Any thread. What the guest asks is done after what it had asked of devices before. */
void requests_post(struct requests *requests, enum request request);

/*
 * What the guest asked for until its vCPUs stopped is not for the next boot: Linux pulses the reset
 * line ten times. Loop thread.
 */
void requests_forget_guest(struct requests *requests);

#endif
