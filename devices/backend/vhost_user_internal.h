/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of vhost_user*.c. */
#ifndef KINGLET_BACKEND_VHOST_USER_PRIVATE_H
#define KINGLET_BACKEND_VHOST_USER_PRIVATE_H

#include "backend/vhost_user.h"
#include "vhost_user_peer.h"

struct vhost_user {
	struct vhost vhost; /* first: vhost_free() */
	struct vhost_user_options options;
	struct vhost_user_peer peer;
	struct loop_event hangup;   /* of the peer's fd */
	struct loop_event requests; /* of the daemon to us: a socket, owned; fd -1: none */
	struct loop_timer retry;
	bool waiting; /* the driver wants it to run, and the daemon has gone */
	unsigned unused; /* rings from this one on are disabled; 0: none is */
	unsigned losses; /* that were logged */
	struct vhost_user_memory told; /* regions that the daemon has, of those told one by one */
	struct vhost_user_inflight inflight;
	int inflight_fd; /* owned; -1: none. The daemon's memory, which is never mapped here */
	uint8_t config[VHOST_USER_MAX_CONFIG];
};

static inline struct vhost_user *user_of(struct vhost *vhost)
{
	return container_of(vhost, struct vhost_user, vhost);
}

/* vhost_ops.request: it becomes a message. */
__must_check int vhost_user_request(struct vhost *vhost, const struct sys_site *site,
				    unsigned long request, void *arg);

/* After messages to a device that runs: whether they have lost the daemon; the loop looks next. */
bool vhost_user_check_loss(struct vhost_user *user);

/*
 * VHOST_SET_MEM_TABLE. -EBADF: RAM is private; -ENOSPC: it has more regions than the daemon has slots;
 * errors of peer_tell().
 */
__must_check int vhost_user_set_memory(struct vhost_user *user, uint32_t request, void *arg);

/* A message about ring `index` with a number. */
__must_check int vhost_user_tell_ring(struct vhost_user *user, uint32_t request, unsigned index,
				      unsigned number);

/*
 * The device's status is DRIVER_OK, if the daemon wants to hear of it. -EREMOTEIO: it does not agree
 * to the features, or needs a reset; errors of peer_ask().
 */
__must_check int vhost_user_say_live(struct vhost_user *user);
/* The same for 0: by the status, else by RESET_DEVICE, or not at all. */
void vhost_user_say_reset(struct vhost_user *user);

/*
 * Before a start: the daemon gets the inflight region, which is made by it if there is none. 0
 * without that protocol feature. -EPROTO: it made none; errors of peer_ask().
 */
__must_check int vhost_user_share_inflight(struct vhost_user *user);

/* GET_CONFIG, into user->config: 1 if it has changed, 0, or errors of peer_ask(). */
__must_check int vhost_user_get_config(struct vhost_user *user);

/*
 * Whether a new daemon could go on with all rings: nothing is in flight, or in the order of the ring,
 * or it is `recorded` in an inflight region that the new one gets.
 */
bool vhost_user_rests(const struct vhost_user *user, bool recorded);

/*
 * Reads a request of the daemon, if there is one, and answers one that it may make. Negative errno:
 * it keeps to no rule, or has gone.
 */
__must_check int vhost_user_serve_request(struct vhost_user *user);

#endif
