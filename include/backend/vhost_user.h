/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues run by a daemon, another process that has guest RAM mapped: vhost-user (QEMU's
 * docs/interop/vhost-user.rst). The messages on its UNIX socket are vhost's requests, with
 * descriptors for addresses; the rest is as with the kernel (backend/vhost.h).
 *
 *   open      connect → GET_FEATURES → protocol features → GET_QUEUE_NUM → SET_OWNER → GET_CONFIG
 *   start     inflight region → SET_FEATURES → SET_MEM_TABLE or ADD_MEM_REG (RAM's memfd) → per ring
 *             NUM, BASE, ADDR, ERR, CALL, KICK → SET_VRING_ENABLE
 *   stop      per ring GET_VRING_BASE, and until all that it took is used → RESET_DEVICE
 *   lost      the rings wait. At times: connect, as at open; then as at start, at the used index;
 *             what was in flight is in the inflight region, which outlives the daemon
 *
 * The daemon is hostile: it can do to guest RAM what it likes, and nothing else. What it sends is
 * limited and checked; all that waits for it has a deadline. One that breaks the protocol, is late
 * or comes back as another device is not asked again before the driver resets the device, which
 * needs it from then on.
 *
 * Locking as in backend/vhost.h.
 */
#ifndef KINGLET_BACKEND_VHOST_USER_H
#define KINGLET_BACKEND_VHOST_USER_H

#include "backend/vhost.h"

struct vhost_user_options {
	const char *name;	/* of what asks, for messages before it is bound */
	const char *path;	/* of the daemon's socket; outlives it */
	unsigned queues;	/* that the daemon must serve, pairs of a network card; 0: any */
	unsigned config_len;	/* bytes of configuration space to get from it, at most 256; 0: none */
	/*
	 * It uses buffers in the order in which they were made available, so that a new daemon can
	 * go on at the used index (a network card's). Else it can without an inflight region only
	 * when nothing was in flight.
	 */
	bool in_order;
	/* Seconds between attempts to reach one that has ended. 0: a fifth of what it may take. */
	unsigned reconnect;
	/*
	 * There will be no other daemon: what is said of the device, which then needs a reset, when
	 * this one has ended. NULL: one may come.
	 */
	const char *final;
	/* With `final`: its socket, connected and non-blocking, borrowed; `path` only names it. */
	int fd;
	/*
	 * What it may take for a start or a change; a fifth of it for an end; with `final` four
	 * times as much for the first answer, since it has only just been started. 0: 5 s.
	 */
	uint64_t patience_ns;
};

/*
 * Connects to the daemon, and gets what the options want. Machine's thread. Logs on failure.
 * -ENOENT: there is no socket; -ECONNREFUSED: no daemon listens; -ECONNRESET: it ended; -EOPNOTSUPP: it lacks what the options want; -ETIMEDOUT, -EPROTO: it is not one.
 */
__must_check int vhost_user_open(struct vhost **out, struct sys *sys,
				 const struct vhost_user_options *options);

/* Of one that is not bound. */
void vhost_user_close(struct vhost *vhost);

/* What a driver may be offered of the daemon's features: its device's, and those of split rings. */
uint64_t vhost_user_features(const struct vhost *vhost);

/* How many queues the daemon serves at most; 0: it does not say. */
unsigned vhost_user_queues(const struct vhost *vhost);

/* The configuration space as last got, config_len bytes: borrowed. */
const uint8_t *vhost_user_config(const struct vhost *vhost);

/* A driver's write to it, inside config_len, is passed on. A daemon that refuses is ignored. */
void vhost_user_write_config(struct vhost *vhost, unsigned off, const void *buf, unsigned len);

/*
 * The first `count` rings of a network card carry frames, the others none; without a call all do.
 * Under the device's lock. -EREMOTEIO: the daemon refuses. One that is away or goes away hears of it
 * when it starts again.
 */
__must_check int vhost_user_use_rings(struct vhost *vhost, unsigned count);

/*
 * Whether a stopped one can go on in another process: false while the daemon is away with requests
 * in flight, which only this process has a record of.
 */
bool vhost_user_may_move(const struct vhost *vhost);

/* vhost_bind(), and its loop watches the connection from now on. */
__must_check int vhost_user_bind(struct vhost *vhost, struct virtio_dev *dev, unsigned first,
				 unsigned count);

#endif
