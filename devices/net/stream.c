/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames between a pair of queues and a program, by a UNIX stream socket: each is its length, 4
 * bytes in network order, and the Ethernet frame, without a header of virtio (passt(1), "--fd";
 * qemu(1), "-netdev stream"). The program is as untrusted as the guest.
 *
 * Both directions are batched. Frames arrive in a buffer, many by one call, and wait there for the
 * driver's buffers; while a whole one waits, the socket is not read, so that the program waits, too.
 * Frames that the socket has no room for stay in the ring. Only the rest of one that it took in part
 * is copied, since it has to be sent whatever the driver does.
 */
#include "stream.h"

#include "base/iov.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

/* --- Receive ---------------------------------------------------------------------------------- */

static void stream_lost(struct net_pair *pair, const char *reason)
{
	struct net_stream *stream = pair->stream;

	if (reason && !stream->told)
		log_error("%s: passt %s: link down", pair->net->dev.name, reason);
	stream->told |= reason != NULL;
	/*
	 * Where it closed the socket, it is about to end, and its end tells why: a signal would
	 * become its exit status, even now.
	 */
	if (reason && stream->child.pid)
		kill(stream->child.pid, SIGKILL);
	net_pair_lost(pair, NULL);
}

/* 1: the next frame is there, of *len bytes; 0: not yet; -EPROTO: it is too long. */
static int next_frame(const struct net_stream *stream, size_t *len)
{
	size_t have = stream->in_end - stream->in_at;
	uint32_t prefix;

	if (have < sizeof(prefix))
		return 0;
	memcpy(&prefix, stream->in + stream->in_at, sizeof(prefix));
	*len = ntohl(prefix);
	if (*len > STREAM_FRAME_MAX)
		return -EPROTO;
	return have - sizeof(prefix) >= *len;
}

/* Reads what there is. False when there is nothing now. */
static bool rx_read(struct net_pair *pair)
{
	struct net_stream *stream = pair->stream;
	ssize_t len;

	/* Room for the rest of any frame. */
	if (stream->in_at == stream->in_end || stream->in_at > STREAM_BUFFER / 2) {
		stream->in_end -= stream->in_at;
		memmove(stream->in, stream->in + stream->in_at, stream->in_end);
		stream->in_at = 0;
	}
	len = recv(pair->tap.fd, stream->in + stream->in_end, STREAM_BUFFER - stream->in_end,
		   MSG_DONTWAIT);
	if (len > 0) {
		stream->in_end += (size_t)len;
		return true;
	}
	if (!len || (errno != EAGAIN && errno != EINTR))
		stream_lost(pair, NULL);
	return false;
}

/* 1: the frame is the driver's, or dropped; 0: it waits for more buffers; -EPROTO: a broken ring. */
static int rx_place(struct net_pair *pair, size_t len)
{
	static const uint8_t no_offloads[sizeof(struct virtio_net_hdr_v1)];
	struct net_stream *stream = pair->stream;
	const size_t header = pair->net->header_len;
	struct window *w = &pair->window;
	const struct iovec frame = { stream->in + stream->in_at + STREAM_PREFIX, len };
	int ret;

	if (net_rx_wants(pair->net, &frame, 1, 0, len)) {
		ret = net_window_fill(pair, header + len);
		if (ret < 0)
			return ret;
		if (w->room >= header + len) {
			iov_write(w->iov, w->iov_count, 0, no_offloads, header);
			iov_write(w->iov, w->iov_count, header, frame.iov_base, len);
			net_window_push(pair, header + len);
		} else if (w->full) {
			pair->net->stats.rx_dropped++;
		} else {
			return 0;
		}
	}
	stream->in_at += STREAM_PREFIX + len;
	return 1;
}

static void stream_serve_rx(struct net_pair *pair)
{
	struct virtq *q = pair->rx;
	size_t len = 0;
	int ret = 0;

	pair->rx_starved = false;
	virtq_disable_kicks(q);
	for (unsigned i = 0; i < TURN_FRAMES && pair->polled && ret >= 0; i++) {
		ret = next_frame(pair->stream, &len);
		if (ret < 0) {
			stream_lost(pair, "sent a frame that is too long");
			ret = 0;
		} else if (!ret) {
			if (!rx_read(pair))
				break;
		} else {
			ret = rx_place(pair, len);
			/* Out of buffers, unless some were added meanwhile. */
			if (!ret && !virtq_enable_kicks(q)) {
				pair->rx_starved = true;
				break;
			}
		}
	}
	virtq_notify(q);
	if (ret < 0)
		virtio_broken(&pair->net->dev, "receive queue: broken ring or buffer");
	else if (!pair->rx_starved && pair->polled && next_frame(pair->stream, &len))
		eventfd_signal(q->kick_fd); /* there may be no event from the socket */
	net_pair_poll(pair);
}

/* --- Transmit --------------------------------------------------------------------------------- */

static bool batch_has_room(const struct stream_batch *batch, const struct virtq_chain *chain)
{
	return batch->frames < TURN_FRAMES && batch->bytes < STREAM_BATCH &&
	       chain->out_count < ARRAY_SIZE(batch->iov) - batch->iovs;
}

static void batch_add(struct stream_batch *batch, const struct virtq_chain *chain, size_t header)
{
	const struct iovec *iov = chain->iov;
	unsigned count = chain->out_count;
	size_t len = chain->out_len - header;
	uint32_t *prefix = &batch->prefixes[batch->frames];

	*prefix = htonl((uint32_t)len);
	batch->iov[batch->iovs++] = (struct iovec){ prefix, sizeof(*prefix) };
	for (; header >= iov->iov_len; count--)
		header -= (iov++)->iov_len;
	memcpy(&batch->iov[batch->iovs], iov, count * sizeof(*iov));
	batch->iov[batch->iovs].iov_base = (char *)iov->iov_base + header;
	batch->iov[batch->iovs].iov_len -= header;
	batch->iovs += count;
	batch->heads[batch->frames] = chain->head;
	batch->lens[batch->frames++] = STREAM_PREFIX + (uint32_t)len;
	batch->bytes += STREAM_PREFIX + len;
}

/*
 * Takes frames from the ring until the batch is full, and 1 is returned, or as virtq_pop(). The
 * driver may have 64 KiB in one frame, and a frame in a thousand pieces.
 */
static int tx_gather(struct net_pair *pair, unsigned *budget)
{
	struct net *net = pair->net;
	struct virtq_chain *chain = &net->chain;
	int ret = 0;

	for (; *budget && (ret = virtq_pop(pair->tx, chain)) > 0; --*budget) {
		if (chain->out_len < net->header_len + ETH_HLEN ||
		    chain->out_len - net->header_len > STREAM_FRAME_MAX ||
		    chain->out_count >= ARRAY_SIZE(pair->stream->batch.iov)) {
			net->stats.tx_dropped++;
			virtq_push(pair->tx, chain->head, 0);
			continue;
		}
		if (!batch_has_room(&pair->stream->batch, chain)) {
			virtq_unpop(pair->tx, chain->head);
			return 1;
		}
		batch_add(&pair->stream->batch, chain, net->header_len);
	}
	return *budget ? ret : 1;
}

/* The socket has taken `sent` bytes of the batch. False: that was not all. */
static bool batch_sent(struct net_pair *pair, size_t sent)
{
	struct net_stream *stream = pair->stream;
	struct stream_batch *batch = &stream->batch;
	size_t end = 0;
	unsigned i = 0;

	for (; i < batch->frames && end < sent; i++) {
		end += batch->lens[i];
		virtq_push(pair->tx, batch->heads[i], 0);
	}
	pair->net->stats.tx_frames += i;
	/* The last of these, in part. */
	stream->out_at = 0;
	stream->out_end = iov_read(batch->iov, batch->iovs, sent, stream->out, end - sent);
	for (unsigned left = batch->frames; left > i; left--)
		virtq_unpop(pair->tx, batch->heads[left - 1]);
	return i == batch->frames && !stream->out_end;
}

/* Sends the batch, and empties it. False: the socket has no room for all of it now. */
static bool tx_flush(struct net_pair *pair)
{
	struct stream_batch *batch = &pair->stream->batch;
	struct msghdr message = { .msg_iov = batch->iov, .msg_iovlen = batch->iovs };
	bool all = true;
	ssize_t sent = -1;

	if (batch->frames) {
		if (pair->polled)
			sent = sendmsg(pair->tap.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (!pair->polled || (sent < 0 && errno != EAGAIN)) {
			/* The program is gone: dropped. */
			sent = (ssize_t)batch->bytes;
			pair->net->stats.tx_frames -= batch->frames;
			pair->net->stats.tx_dropped += batch->frames;
		}
		all = batch_sent(pair, sent < 0 ? 0 : (size_t)sent);
	}
	batch->frames = batch->iovs = 0;
	batch->bytes = 0;
	return all;
}

/* The rest of a frame that was sent in part. False: the socket has no room for it now. */
static bool tx_rest(struct net_pair *pair)
{
	struct net_stream *stream = pair->stream;
	ssize_t sent;

	if (stream->out_at == stream->out_end || !pair->polled)
		return true;
	sent = send(pair->tap.fd, stream->out + stream->out_at, stream->out_end - stream->out_at,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent < 0)
		return errno != EAGAIN;
	stream->out_at += (size_t)sent;
	return stream->out_at == stream->out_end;
}

static void stream_serve_tx(struct net_pair *pair)
{
	struct virtq *q = pair->tx;
	unsigned budget = TURN_FRAMES;
	bool sent;
	int ret = 1;

	if (pair->tx_blocked)
		return;
	virtq_disable_kicks(q);
	for (sent = tx_rest(pair); sent && ret > 0 && budget; sent = tx_flush(pair))
		ret = tx_gather(pair, &budget);
	if (sent) {
		virtio_end_turn(q, ret, "transmit queue: broken ring");
		return;
	}
	pair->tx_blocked = true;
	virtq_notify(q);
	net_pair_poll(pair);
}

/* --- Life ------------------------------------------------------------------------------------- */

static void stream_forget(struct net_pair *pair)
{
	size_t len;

	while (next_frame(pair->stream, &len) > 0)
		pair->stream->in_at += STREAM_PREFIX + len;
}

static void stream_hung_up(struct net_pair *pair)
{
	stream_lost(pair, NULL);
}

static void child_ended(struct child *child, const char *how)
{
	struct net_stream *stream = container_of(child, struct net_stream, child);
	struct net_pair *pair = stream->pair;
	struct virtio_dev *dev = &pair->net->dev;
	char reason[300];

	pthread_mutex_lock(&dev->lock);
	virtio_count(&dev->loop_wakeups);
	snprintf(reason, sizeof(reason), "has ended (%s)", how);
	stream_lost(pair, reason);
	pthread_mutex_unlock(&dev->lock);
}

int net_stream_new(struct net_pair *pair)
{
	pair->stream = calloc(1, sizeof(*pair->stream));
	if (!pair->stream)
		return -ENOMEM;
	pair->stream->pair = pair;
	return 0;
}

int net_stream_watch(struct net_stream *stream, const struct child *child)
{
	stream->child = *child;
	stream->child.ended = child_ended;
	return child_watch(&stream->child, stream->pair->net->dev.loop);
}

void net_stream_free(struct net_stream *stream)
{
	if (stream && stream->child.pid)
		child_stop(&stream->child);
	free(stream);
}

const struct net_carrier net_stream_carrier = {
	.serve_rx = stream_serve_rx,
	.serve_tx = stream_serve_tx,
	.forget = stream_forget,
	.hung_up = stream_hung_up,
};
