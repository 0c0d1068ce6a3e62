/* SPDX-License-Identifier: Apache-2.0 */
/* Frames between a pair of queues and a tap queue, in this process. */
#include "internal.h"

#include "base/iov.h"

#include <string.h>

/* --- Receive ---------------------------------------------------------------------------------- */

/*
 * Reads a frame into the window or into pair->frame. False when there is none now. A filtered frame
 * leaves the window unchanged: its buffers are for the next.
 */
static bool rx_read(struct net_pair *pair)
{
	struct window *w = &pair->window;
	bool direct = w->room >= MAX_FRAME;
	const unsigned header = pair->net->header_len;
	const struct iovec aside = { pair->frame, sizeof(pair->frame) };
	const struct iovec *iov = direct ? w->iov : &aside;
	unsigned count = direct ? w->iov_count : 1;
	ssize_t len = readv(pair->tap.fd, iov, (int)count);

	if (len <= 0) {
		if (!len || (errno != EAGAIN && errno != EINTR))
			net_pair_lost(pair, len ? strerror(errno) : "closed");
		return false;
	}
	/* In guest memory it may change: that affects only the driver's own filter. */
	if (!net_rx_wants(pair->net, iov, count, header, len > header ? (size_t)len - header : 0))
		return true;
	if (direct)
		net_window_push(pair, (size_t)len);
	else
		pair->frame_len = (size_t)len;
	return true;
}

/* Copies the waiting frame into the window. False when it has to wait for more buffers. */
static bool rx_place_frame(struct net_pair *pair)
{
	struct window *w = &pair->window;

	if (pair->frame_len <= w->room) {
		iov_write(w->iov, w->iov_count, 0, pair->frame, pair->frame_len);
		net_window_push(pair, pair->frame_len);
	} else if (w->full) {
		/* It can never fit into the driver's buffers. */
		pair->net->stats.rx_dropped++;
	} else {
		return false;
	}
	pair->frame_len = 0;
	return true;
}

static void tap_serve_rx(struct net_pair *pair)
{
	struct virtq *q = pair->rx;
	int ret = 0;

	pair->rx_starved = false;
	virtq_disable_kicks(q);
	for (unsigned i = 0; i < TURN_FRAMES && pair->polled; i++) {
		ret = net_window_fill(pair, MAX_FRAME);
		if (ret < 0)
			break;
		if (pair->window.count && !pair->frame_len && !rx_read(pair))
			break;
		if (pair->window.count && (!pair->frame_len || rx_place_frame(pair)))
			continue;
		/* Out of buffers, unless some were added meanwhile. */
		if (!virtq_enable_kicks(q)) {
			pair->rx_starved = true;
			break;
		}
	}
	virtq_notify(q);
	if (ret < 0)
		virtio_broken(&pair->net->dev, "receive queue: broken ring or buffer");
	else if (pair->frame_len && !pair->rx_starved)
		eventfd_signal(q->kick_fd); /* there may be no event from the tap */
	net_pair_poll(pair);
}

/* --- Transmit --------------------------------------------------------------------------------- */

/* Sends a frame or drops it. False when the tap has no room now. */
static bool tx_send(struct net_pair *pair, const struct virtq_chain *chain)
{
	struct virtio_net_stats *stats = &pair->net->stats;

	if (chain->out_len < pair->net->header_len + ETH_HLEN || chain->out_len > MAX_FRAME ||
	    chain->out_count > IOV_MAX) {
		stats->tx_dropped++;
		return true;
	}
	if (writev(pair->tap.fd, chain->iov, (int)chain->out_count) >= 0) {
		stats->tx_frames++;
		return true;
	}
	if (errno == EAGAIN && pair->polled)
		return false;
	/* A header that the kernel refuses, or an interface that is down: dropped. */
	stats->tx_dropped++;
	return true;
}

static void tap_serve_tx(struct net_pair *pair)
{
	struct net *net = pair->net;
	struct virtq *q = pair->tx;
	unsigned budget = TURN_FRAMES;
	int ret;

	if (pair->tx_blocked)
		return;
	virtq_disable_kicks(q);
	while ((ret = virtq_pop(q, &net->chain)) > 0) {
		if (!tx_send(pair, &net->chain)) {
			virtq_unpop(q, net->chain.head);
			pair->tx_blocked = true;
			break;
		}
		virtq_push(q, net->chain.head, 0);
		if (!--budget)
			break;
	}
	if (pair->tx_blocked) {
		virtq_notify(q);
		net_pair_poll(pair);
	} else {
		virtio_end_turn(q, ret, "transmit queue: broken ring");
	}
}

static void tap_forget(struct net_pair *pair)
{
	pair->frame_len = 0;
}

static void tap_hung_up(struct net_pair *pair)
{
	net_pair_lost(pair, "the interface was removed");
}

const struct net_carrier net_tap_carrier = {
	.serve_rx = tap_serve_rx,
	.serve_tx = tap_serve_tx,
	.forget = tap_forget,
	.hung_up = tap_hung_up,
};
