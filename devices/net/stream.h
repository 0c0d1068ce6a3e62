/* SPDX-License-Identifier: Apache-2.0 */
/* A pair of queues whose frames a program carries, by a stream socket in place of the tap's fd. */
#ifndef KINGLET_NET_STREAM_H
#define KINGLET_NET_STREAM_H

#include "internal.h"
#include "host/child.h"

enum {
	STREAM_PREFIX = 4,
	/* As long as an MTU of 65535 and two VLAN tags make it. */
	STREAM_FRAME_MAX = ETH_HLEN + 2 * 4 + 65535,
	/* What arrives by one call; at least two frames. */
	STREAM_BUFFER = 256 << 10,
	/* What is sent by one call: about what a socket takes. */
	STREAM_BATCH = 256 << 10,
};

/* Frames that were taken from the transmit queue, and have not been sent. Empty between turns. */
struct stream_batch {
	unsigned frames, iovs;
	size_t bytes;
	uint16_t heads[TURN_FRAMES];
	uint32_t lens[TURN_FRAMES]; /* with the prefix, */
	uint32_t prefixes[TURN_FRAMES];
	struct iovec iov[IOV_MAX];
};

struct net_stream {
	struct net_pair *pair;
	struct child child; /* at the other end; pid 0: it has ended, or there is none */
	bool told;	    /* why the link is down */
	size_t in_at, in_end;	/* received, not yet taken */
	size_t out_at, out_end; /* the rest of a frame that has to be sent next */
	struct stream_batch batch;
	uint8_t out[STREAM_PREFIX + STREAM_FRAME_MAX];
	uint8_t in[STREAM_BUFFER];
};
_Static_assert(STREAM_BUFFER / 2 >= STREAM_PREFIX + STREAM_FRAME_MAX, "room for any frame");

/* Makes pair->stream. -ENOMEM. */
__must_check int net_stream_new(struct net_pair *pair);
/*
 * The program at the other end: its end takes the link down, and it is ended with the device. Takes
 * *child over, also on failure. Errors of child_watch().
 */
__must_check int net_stream_watch(struct net_stream *stream, const struct child *child);
/* Ends the program, too. NULL: none. */
void net_stream_free(struct net_stream *stream);

#endif
