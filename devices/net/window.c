/* SPDX-License-Identifier: Apache-2.0 */
/* The receive buffers of a pair that are taken from the ring, and frames in them. */
#include "internal.h"

#include "base/iov.h"
#include "base/le.h"

#include <string.h>

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

int net_window_fill(struct net_pair *pair, size_t room)
{
	struct net *net = pair->net;
	struct window *w = &pair->window;
	/* §5.1.6.4: without merging each frame has one buffer. */
	unsigned limit = virtio_has(&net->dev, VIRTIO_NET_F_MRG_RXBUF) ? WINDOW_CHAINS : 1;

	w->full = w->count == limit;
	while (w->room < room && !w->full) {
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

void net_window_return(struct net_pair *pair)
{
	struct window *w = &pair->window;

	while (w->count)
		virtq_unpop(pair->rx, w->buffers[--w->count].head);
	w->iov_count = 0;
	w->room = 0;
}

void net_window_push(struct net_pair *pair, size_t len)
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
	/* Neither a tap nor a stream sets this field of the header. */
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

bool net_rx_wants(struct net *net, const struct iovec *iov, unsigned count, size_t offset,
		  size_t len)
{
	uint8_t head[NET_FILTER_HEAD] = { 0 };

	if (len < ETH_HLEN) {
		net->stats.rx_dropped++;
		return false;
	}
	iov_read(iov, count, offset, head, len < sizeof(head) ? len : sizeof(head));
	if (net_filter_accepts(&net->filter, net->mac, head))
		return true;
	net->stats.rx_filtered++;
	return false;
}
