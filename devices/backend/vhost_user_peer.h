/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vhost-user daemon at the other end of a connection: what it can, and how it is asked. Nothing
 * waits longer for it than `deadline`. One that is late, answers something else or hangs up is
 * disconnected at once; requests to it fail with -ENOTCONN from then on.
 */
#ifndef KINGLET_BACKEND_VHOST_USER_PEER_H
#define KINGLET_BACKEND_VHOST_USER_PEER_H

#include "core/sys.h"
#include "vhost_user_proto.h"

#include <stdbool.h>

struct vhost_user_peer {
	int fd; /* owned; -1: not connected */
	uint64_t deadline; /* CLOCK_MONOTONIC, ns */
	uint64_t features; /* with VHOST_USER_F_PROTOCOL_FEATURES */
	uint64_t protocol; /* VHOST_USER_PROTOCOL_F_* that are in use */
	uint64_t queues;   /* that it has at most; 0: it does not say */
	uint64_t slots;	   /* regions of memory that it takes one by one */
};

static inline bool peer_has(const struct vhost_user_peer *peer, unsigned protocol_feature)
{
	return peer->protocol >> protocol_feature & 1;
}

/* How long a daemon may take for all that follows. */
void peer_set_deadline(struct vhost_user_peer *peer, uint64_t ns);

/*
 * By a connected, non-blocking socket, which is its own even if that fails, finds out what it can,
 * and becomes its owner. A negative fd is returned as it is; errors of peer_ask(), after which it is
 * not connected.
 */
__must_check int peer_meet(struct vhost_user_peer *peer, int fd);

/* Idempotent. */
void peer_disconnect(struct vhost_user_peer *peer);

/* The daemon has closed the connection. */
bool peer_hung_up(const struct vhost_user_peer *peer);

/*
 * A message of this request, with a body of `size` bytes, is sent with its descriptors, and becomes
 * the answer, whose body has at least `at_least` bytes. With `fd`, one that comes with it is the
 * caller's; without one it is -1. -ETIMEDOUT, -ECONNRESET, -EPIPE; -EPROTO: it is no answer;
 * -ENOTCONN.
 */
struct vhost_user_exchange {
	uint32_t request, size, at_least;
	const int *fds;
	unsigned count;
	int *fd;
};
__must_check int peer_ask(struct vhost_user_peer *peer, const struct vhost_user_exchange *exchange,
			  struct vhost_user_message *message);

/*
 * The same without an answer; but where it can, the daemon confirms. -EREMOTEIO: it refuses; it is
 * still connected then.
 */
__must_check int peer_tell(struct vhost_user_peer *peer, const struct vhost_user_exchange *exchange,
			   struct vhost_user_message *message);

#endif
