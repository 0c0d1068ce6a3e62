/* SPDX-License-Identifier: Apache-2.0 */
/* What all pairs have in common, whatever carries their frames: polling, start and stop. */
#include "internal.h"

void net_pair_poll(struct net_pair *pair)
{
	uint32_t events = (pair->rx_starved ? 0 : EPOLLIN) |
			  (pair->tx_blocked ? (uint32_t)EPOLLOUT : 0);

	if (!pair->polled || events == pair->poll_events)
		return;
	if (loop_modify(pair->net->dev.loop, &pair->event, events)) {
		virtio_broken(&pair->net->dev, "its host side cannot be polled");
		return;
	}
	pair->poll_events = events;
}

static void pair_unpoll(struct net_pair *pair)
{
	loop_remove(pair->net->dev.loop, &pair->event);
	pair->polled = false;
}

void net_pair_lost(struct net_pair *pair, const char *reason)
{
	pair_unpoll(pair);
	/*
	 * A frame that waits for room can no longer be sent: the queue is served again, which
	 * returns it.
	 */
	if (pair->tx_blocked)
		eventfd_signal(pair->tx->kick_fd);
	pair->tx_blocked = false;
	net_is_gone(pair->net, reason);
}

static void pair_serve(struct net_pair *pair, uint32_t events)
{
	if (events & (EPOLLERR | EPOLLHUP)) {
		pair->carrier->hung_up(pair);
		return;
	}
	if (events & EPOLLOUT && pair->tx_blocked) {
		pair->tx_blocked = false;
		pair->carrier->serve_tx(pair);
		net_pair_poll(pair);
	}
	if (events & EPOLLIN)
		pair->carrier->serve_rx(pair);
}

static void pair_ready(struct loop_event *event, uint32_t events)
{
	struct net_pair *pair = container_of(event, struct net_pair, event);
	struct virtio_dev *dev = &pair->net->dev;

	pthread_mutex_lock(&dev->lock);
	virtio_count(&dev->loop_wakeups);
	/* Otherwise the device was stopped after the event. */
	if (pair->polled)
		pair_serve(pair, events);
	pthread_mutex_unlock(&dev->lock);
}

void net_pair_init(struct net_pair *pair, struct net *net, struct tap *tap,
		   const struct net_carrier *carrier)
{
	pair->net = net;
	pair->carrier = carrier;
	pair->tap = *tap;
	pair->event = (struct loop_event){ .fd = tap->fd, .fn = pair_ready };
	tap->fd = -1;
}

int net_pair_start(struct net_pair *pair)
{
	int ret = loop_add(pair->net->dev.loop, &pair->event, EPOLLIN);

	if (ret)
		return ret;
	pair->polled = true;
	pair->poll_events = EPOLLIN;
	pair->rx_starved = pair->tx_blocked = false;
	return 0;
}

void net_pair_stop(struct net_pair *pair)
{
	pair_unpoll(pair);
	net_window_return(pair);
}
