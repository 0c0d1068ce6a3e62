/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of virtio-net between a pair of queues and a tap queue, in this process. */
#include "internal.h"

#include "base/iov.h"
#include "base/le.h"

#include <string.h>

/* Frames per turn of a queue, so that it does not delay others. */
enum { TURN_FRAMES = 64 };

/* Polls the tap for the directions that can be served now. */
static void pair_poll(struct net_pair *pair)
{
	uint32_t events = (pair->rx_starved ? 0 : EPOLLIN) |
			  (pair->tx_blocked ? (uint32_t)EPOLLOUT : 0);

	if (!pair->polled || events == pair->poll_events)
		return;
	if (loop_modify(pair->net->dev.loop, &pair->event, events)) {
		virtio_broken(&pair->net->dev, "tap cannot be polled");
		return;
	}
	pair->poll_events = events;
}

static void pair_unpoll(struct net_pair *pair)
{
	loop_remove(pair->net->dev.loop, &pair->event);
	pair->polled = false;
}

static void pair_lost_tap(struct net_pair *pair, const char *reason)
{
	pair_unpoll(pair);
	/*
	 * A frame that waits for room can no longer be sent: the queue is served again, which
	 * returns it.
	 */
	if (pair->tx_blocked)
		eventfd_signal(pair->tx->kick_fd);
	pair->tx_blocked = false;
	net_tap_is_gone(pair->net, reason);
}

/* --- Receive ---------------------------------------------------------------------------------- */

static bool window_add(struct window *w, const struct virtq_chain *chain)
{
	if (chain->in_count > WINDOW_IOV - w->iov_count)
		return false;
	memcpy(&w->iov[w->iov_count], &chain->iov[chain->out_count],
	       chain->in_count * sizeof(w->iov[0]));
	w->iov_count += chain->in_count;
	w->room += chain->in_len;
	w->buffers[w->count++] = (struct rx_buffer){
		.head = chain->head,
		.iov_count = (uint16_t)chain->in_count,
		.len = chain->in_len,
	};
	return true;
}

/* Takes buffers until any frame fits, the ring is empty, or the window is full. */
static int window_fill(struct net_pair *pair)
{
	struct net *net = pair->net;
	struct window *w = &pair->window;
	/* §5.1.6.4: without merging each frame has one buffer. */
	unsigned limit = virtio_has(&net->dev, VIRTIO_NET_F_MRG_RXBUF) ? WINDOW_CHAINS : 1;

	w->full = w->count == limit;
	while (w->room < MAX_FRAME && !w->full) {
		int ret = virtq_pop(pair->rx, &net->chain);

		if (ret <= 0)
			return ret;
		/* §5.1.6.3.1: a buffer holds at least the header. */
		if (net->chain.in_len < net->header_len || net->chain.in_count > WINDOW_IOV)
			return -EPROTO;
		if (!window_add(w, &net->chain)) {
			virtq_unpop(pair->rx, net->chain.head);
			w->full = true;
			break;
		}
		w->full = w->count == limit;
	}
	return 0;
}

/* Returns the buffers to the ring, last one first. */
static void window_return(struct net_pair *pair)
{
	struct window *w = &pair->window;

	while (w->count)
		virtq_unpop(pair->rx, w->buffers[--w->count].head);
	w->iov_count = 0;
	w->room = 0;
}

/* The first `len` bytes of the window are a frame: passes them to the driver. It fits. */
static void window_push(struct net_pair *pair, size_t len)
{
	struct window *w = &pair->window;
	struct virtq_used used[WINDOW_CHAINS];
	unsigned count = 0, iovs = 0;
	uint8_t num_buffers[2];

	while (len) {
		const struct rx_buffer *buffer = &w->buffers[count];
		uint32_t written = len < buffer->len ? (uint32_t)len : (uint32_t)buffer->len;

		used[count++] = (struct virtq_used){ .head = buffer->head, .written = written };
		iovs += buffer->iov_count;
		w->room -= buffer->len;
		len -= written;
	}
	/* The tap does not set this field of its header. */
	put_le16(num_buffers, (uint16_t)count);
	if (pair->net->header_len == sizeof(struct virtio_net_hdr_v1))
		iov_write(w->iov, w->iov_count, offsetof(struct virtio_net_hdr_v1, num_buffers),
			  num_buffers, sizeof(num_buffers));
	virtq_push_many(pair->rx, used, count);
	pair->net->stats.rx_frames++;

	w->count -= count;
	memmove(w->buffers, w->buffers + count, w->count * sizeof(w->buffers[0]));
	w->iov_count -= iovs;
	memmove(w->iov, w->iov + iovs, w->iov_count * sizeof(w->iov[0]));
}

/*
 * A frame of `len` bytes begins in these pieces, which may include guest memory: if the driver
 * changes it meanwhile, that only affects its own filter.
 */
static bool rx_wants(struct net_pair *pair, const struct iovec *iov, unsigned count, size_t len)
{
	struct net *net = pair->net;
	uint8_t head[NET_FILTER_HEAD] = { 0 };

	if (len < net->header_len + ETH_HLEN) {
		net->stats.rx_dropped++;
		return false;
	}
	if (len > net->header_len + sizeof(head))
		len = net->header_len + sizeof(head);
	iov_read(iov, count, net->header_len, head, len - net->header_len);
	if (net_filter_accepts(&net->filter, net->mac, head))
		return true;
	net->stats.rx_filtered++;
	return false;
}

/*
 * Reads a frame into the window or into pair->frame. False when there is none now. A filtered frame
 * leaves the window unchanged: its buffers are for the next.
 */
static bool rx_read(struct net_pair *pair)
{
	struct window *w = &pair->window;
	bool direct = w->room >= MAX_FRAME;
	const struct iovec aside = { pair->frame, sizeof(pair->frame) };
	const struct iovec *iov = direct ? w->iov : &aside;
	unsigned count = direct ? w->iov_count : 1;
	ssize_t len = readv(pair->tap.fd, iov, (int)count);

	if (len <= 0) {
		if (!len || (errno != EAGAIN && errno != EINTR))
			pair_lost_tap(pair, len ? strerror(errno) : "closed");
		return false;
	}
	if (!rx_wants(pair, iov, count, (size_t)len))
		return true;
	if (direct)
		window_push(pair, (size_t)len);
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
		window_push(pair, pair->frame_len);
	} else if (w->full) {
		/* It can never fit into the driver's buffers. */
		pair->net->stats.rx_dropped++;
	} else {
		return false;
	}
	pair->frame_len = 0;
	return true;
}

void net_serve_rx(struct net_pair *pair)
{
	struct virtq *q = pair->rx;
	int ret = 0;

	pair->rx_starved = false;
	virtq_disable_kicks(q);
	for (unsigned i = 0; i < TURN_FRAMES && pair->polled; i++) {
		ret = window_fill(pair);
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
	pair_poll(pair);
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

void net_serve_tx(struct net_pair *pair)
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
		pair_poll(pair);
	} else {
		virtio_end_turn(q, ret, "transmit queue: broken ring");
	}
}

static void tap_serve(struct net_pair *pair, uint32_t events)
{
	if (events & (EPOLLERR | EPOLLHUP)) {
		pair_lost_tap(pair, "the interface was removed");
		return;
	}
	if (events & EPOLLOUT && pair->tx_blocked) {
		pair->tx_blocked = false;
		net_serve_tx(pair);
		pair_poll(pair);
	}
	if (events & EPOLLIN)
		net_serve_rx(pair);
}

static void tap_ready(struct loop_event *event, uint32_t events)
{
	struct net_pair *pair = container_of(event, struct net_pair, event);
	struct virtio_dev *dev = &pair->net->dev;

	pthread_mutex_lock(&dev->lock);
	virtio_count(&dev->loop_wakeups);
	/* Otherwise the device was stopped after the event. */
	if (pair->polled)
		tap_serve(pair, events);
	pthread_mutex_unlock(&dev->lock);
}

/* --- Life ------------------------------------------------------------------------------------- */

void net_pair_init(struct net_pair *pair, struct net *net, struct tap *tap)
{
	pair->net = net;
	pair->tap = *tap;
	pair->event = (struct loop_event){ .fd = tap->fd, .fn = tap_ready };
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
	window_return(pair);
}

void net_pair_forget(struct net_pair *pair)
{
	pair->frame_len = 0;
}
