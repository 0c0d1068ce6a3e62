/* SPDX-License-Identifier: Apache-2.0 */
/* Requests from other threads to the machine's thread. Private to vmm/machine. */
#ifndef KINGLET_MACHINE_REQUESTS_H
#define KINGLET_MACHINE_REQUESTS_H

#include "core/loop.h"

#include <stdatomic.h>

/* Handled in this order. */
enum request {
	REQUEST_POWER_OFF, /* the guest */
	REQUEST_RESET,	   /* the guest */
	REQUEST_SAVE, /* config->snapshot; the guest, or an observer */
	REQUEST_ANSWER, /* the rest of it on the guest's port kinglet.snapshot */
	REQUEST_RESIZE,
	REQUEST_SUSPEND,
	REQUEST_CONTINUE,
	REQUEST_REPORT,
	REQUEST_ASK,	/* see asks.h */
	REQUEST_LOCATE, /* timeout: where are the vCPUs? */
	REQUESTS,
};

struct requests {
	struct loop_event event; /* eventfd, owned: there are requests */
	atomic_uint pending;	 /* bit n: enum request n */
	bool guest_waits; /* the loop has made a turn since the guest's request */
	void (*serve)(void *owner, enum request request);
	void *owner;
};

/* The loop calls serve(). Negative errno. */
__must_check int requests_init(struct requests *requests, struct loop *loop,
			       void (*serve)(void *owner, enum request request), void *owner);
void requests_destroy(struct requests *requests, struct loop *loop);

/* Any thread. Requests of the guest are handled after its earlier requests to devices. */
void requests_post(struct requests *requests, enum request request);

/* Whether this request waits to be handled. Loop thread. */
bool requests_has(const struct requests *requests, enum request request);

/*
 * Drops requests that the guest made before its vCPUs stopped, which are not for the next boot:
 * Linux pulses the reset line ten times. Loop thread.
 */
void requests_forget_guest(struct requests *requests);

#endif
