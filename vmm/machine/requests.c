/* SPDX-License-Identifier: Apache-2.0 */
#include "requests.h"

#include <stddef.h>

enum { OF_GUEST = 1u << REQUEST_POWER_OFF | 1u << REQUEST_RESET };

void requests_post(struct requests *requests, enum request request)
{
	/* Must not be followed by an earlier stop request. */
	if (request == REQUEST_CONTINUE)
		atomic_fetch_and(&requests->pending, ~(1u << REQUEST_SUSPEND));
	atomic_fetch_or(&requests->pending, 1u << request);
	eventfd_signal(requests->event.fd);
}

bool requests_has(const struct requests *requests, enum request request)
{
	return atomic_load(&requests->pending) & 1u << request;
}

void requests_forget_guest(struct requests *requests)
{
	atomic_fetch_and(&requests->pending, ~(unsigned)OF_GUEST);
	requests->guest_waits = false;
}

/*
 * What the guest requested from devices before it went down is in eventfds that the loop may not
 * have read yet: an exit status on its port, for example. So the loop makes another turn, and
 * whatever ends the run there takes precedence.
 */
static unsigned take(struct requests *requests)
{
	unsigned taken = atomic_exchange(&requests->pending, 0), guests = taken & OF_GUEST;

	if (guests && !requests->guest_waits) {
		requests->guest_waits = true;
		atomic_fetch_or(&requests->pending, guests);
		eventfd_signal(requests->event.fd);
		return taken & ~guests;
	}
	if (guests)
		requests->guest_waits = false;
	return taken;
}

static void requested(struct loop_event *event, uint32_t events)
{
	struct requests *requests = container_of(event, struct requests, event);
	unsigned taken;

	(void)events;
	eventfd_drain(event->fd);
	taken = take(requests);
	for (unsigned i = 0; i < REQUESTS; i++)
		if (taken & 1u << i)
			requests->serve(requests->owner, i);
}

int requests_init(struct requests *requests, struct loop *loop,
		  void (*serve)(void *owner, enum request request), void *owner)
{
	*requests = (struct requests){ .event.fn = requested, .serve = serve, .owner = owner };
	return loop_eventfd_add(loop, &requests->event);
}

void requests_destroy(struct requests *requests, struct loop *loop)
{
	loop_eventfd_remove(loop, &requests->event);
}
