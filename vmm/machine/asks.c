/* SPDX-License-Identifier: Apache-2.0 */
#include "asks.h"

#include <stddef.h>

static void append(struct asks *asks, struct ask_list *list, struct machine_ask *ask)
{
	ask->next = NULL;
	pthread_mutex_lock(&asks->lock);
	if (list->first)
		list->last->next = ask;
	else
		list->first = ask;
	list->last = ask;
	pthread_mutex_unlock(&asks->lock);
}

static struct machine_ask *take(struct asks *asks, struct ask_list *list)
{
	struct machine_ask *ask;

	pthread_mutex_lock(&asks->lock);
	ask = list->first;
	if (ask)
		list->first = ask->next;
	pthread_mutex_unlock(&asks->lock);
	return ask;
}

void asks_add(struct asks *asks, struct machine_ask *ask)
{
	append(asks, &asks->asked, ask);
}

void asks_serve(struct asks *asks)
{
	struct machine_ask *ask;

	while ((ask = take(asks, &asks->asked))) {
		ask->run(ask);
		append(asks, &asks->answered, ask);
		eventfd_signal(asks->answer.fd);
	}
}

static void answered(struct loop_event *event, uint32_t events)
{
	struct asks *asks = container_of(event, struct asks, answer);
	struct machine_ask *ask;

	(void)events;
	eventfd_drain(event->fd);
	while ((ask = take(asks, &asks->answered)))
		ask->answered(ask);
}

int asks_init(struct asks *asks, struct loop *control)
{
	*asks = (struct asks){ .answer.fn = answered };
	pthread_mutex_init(&asks->lock, NULL);
	return loop_eventfd_add(control, &asks->answer);
}

void asks_destroy(struct asks *asks, struct loop *control)
{
	loop_eventfd_remove(control, &asks->answer);
	pthread_mutex_destroy(&asks->lock);
}
