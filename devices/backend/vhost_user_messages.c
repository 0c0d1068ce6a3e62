/* SPDX-License-Identifier: Apache-2.0 */
/* vhost's requests as messages to a daemon, and the messages that only daemons know. */
#include "vhost_internal.h"
#include "vhost_user_internal.h"

#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { DRAIN_POLL_NS = 1000000 };

static int tell(struct vhost_user *user, uint32_t request, uint32_t size,
		struct vhost_user_message *message)
{
	return peer_tell(&user->peer,
			 &(struct vhost_user_exchange){ .request = request, .size = size }, message);
}

static int set_features(struct vhost_user *user, uint32_t request, void *arg)
{
	const uint64_t own = 1ULL << VHOST_USER_F_PROTOCOL_FEATURES;
	struct vhost_user_message message = {
		.body.number = *(const uint64_t *)arg | (user->peer.features & own)
	};

	return tell(user, request, sizeof(message.body.number), &message);
}

/* This one has an answer in any case. */
static int set_log(struct vhost_user *user, uint32_t request, void *arg)
{
	const struct vhost_log_base *base = arg;
	struct vhost_user_message message = { .body.log.size = base->len };

	return peer_ask(&user->peer, &(struct vhost_user_exchange){ .request = request,
								    .size = sizeof(message.body.log),
								    .fds = &base->fd,
								    .count = 1 }, &message);
}

static int set_state(struct vhost_user *user, uint32_t request, void *arg)
{
	struct vhost_user_message message = { .body.state = *(struct vhost_vring_state *)arg };

	return tell(user, request, sizeof(message.body.state), &message);
}

/* A driver that has not zeroed its ring begins with a lag, which then stays. */
static int set_addresses(struct vhost_user *user, uint32_t request, void *arg)
{
	struct vhost_user_message message = { .body.address = *(struct vhost_vring_addr *)arg };
	struct vhost_ring *ring = &user->vhost.rings[message.body.address.index];
	uint16_t avail, used;

	if (!ring->q->running && !vhost_read_indices(&user->vhost, message.body.address.index, &avail, &used))
		ring->lag = (uint16_t)(ring->q->state.last_avail - used);
	return tell(user, request, sizeof(message.body.address), &message);
}

/* A ring gives its descriptors back when it stops, by GET_VRING_BASE. */
static int set_file(struct vhost_user *user, uint32_t request, void *arg)
{
	const struct vhost_vring_file *file = arg;
	struct vhost_user_message message = { .body.number = file->index };

	if (file->fd == VHOST_FILE_UNBIND)
		return 0;
	return peer_tell(&user->peer,
			 &(struct vhost_user_exchange){ .request = request,
							.size = sizeof(message.body.number),
							.fds = &file->fd,
							.count = 1 }, &message);
}

/* Where the next daemon goes on with a ring that the last one has left. */
static int find_rest(const struct vhost_user *user, struct vhost_vring_state *state, bool recorded)
{
	uint16_t avail, used;
	int ret = vhost_read_indices(&user->vhost, state->index, &avail, &used);

	if (!ret && avail != used && !user->options.in_order && !recorded)
		ret = -EBUSY;
	state->num = ret ? 0 : used;
	return ret;
}

bool vhost_user_rests(const struct vhost_user *user, bool recorded)
{
	for (unsigned i = 0; i < user->vhost.ring_count; i++) {
		struct vhost_vring_state state = { .index = i };

		if (user->vhost.rings[i].q->state.enabled && find_rest(user, &state, recorded))
			return false;
	}
	return true;
}

/*
 * A daemon may answer while requests that it has taken are still in flight. It uses them later, and
 * that can only be seen in the ring: the call eventfd has another reader.
 */
static int drain(struct vhost_user *user, unsigned index, uint16_t taken)
{
	const struct timespec pause = { .tv_nsec = DRAIN_POLL_NS };
	const uint16_t lag = user->vhost.rings[index].lag;
	uint16_t avail, used;

	while (!vhost_read_indices(&user->vhost, index, &avail, &used) && (uint16_t)(taken - used) != lag) {
		if (sys_now_ns() >= user->peer.deadline) {
			/* Its memory goes with the connection. */
			peer_disconnect(&user->peer);
			return -ETIMEDOUT;
		}
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int get_base(struct vhost_user *user, uint32_t request, void *arg)
{
	struct vhost_vring_state *state = arg;
	struct vhost_user_message message = { .body.state.index = state->index };
	const struct vhost_user_exchange exchange = { .request = request,
						      .size = sizeof(message.body.state),
						      .at_least = sizeof(message.body.state) };
	int ret = peer_ask(&user->peer, &exchange, &message);

	if (ret == -ENOTCONN || ret == -ECONNRESET || ret == -EPIPE) {
		ret = find_rest(user, state, user->inflight_fd >= 0);
		return virtio_resumes(user->vhost.dev) ? ret : 0;
	}
	if (ret)
		return ret;
	state->num = message.body.state.num & 0xffff;
	return user->options.in_order ? 0 : drain(user, state->index, (uint16_t)state->num);
}

static const struct translation {
	unsigned long request; /* of linux/vhost.h */
	uint32_t message;
	int (*translate)(struct vhost_user *user, uint32_t message, void *arg);
} translations[] = {
	{ VHOST_SET_FEATURES, VHOST_USER_SET_FEATURES, set_features },
	{ VHOST_SET_MEM_TABLE, VHOST_USER_SET_MEM_TABLE, vhost_user_set_memory },
	{ VHOST_SET_LOG_BASE, VHOST_USER_SET_LOG_BASE, set_log },
	{ VHOST_SET_VRING_NUM, VHOST_USER_SET_VRING_NUM, set_state },
	{ VHOST_SET_VRING_BASE, VHOST_USER_SET_VRING_BASE, set_state },
	{ VHOST_SET_VRING_ADDR, VHOST_USER_SET_VRING_ADDR, set_addresses },
	{ VHOST_SET_VRING_ERR, VHOST_USER_SET_VRING_ERR, set_file },
	{ VHOST_SET_VRING_CALL, VHOST_USER_SET_VRING_CALL, set_file },
	{ VHOST_SET_VRING_KICK, VHOST_USER_SET_VRING_KICK, set_file },
	{ VHOST_GET_VRING_BASE, VHOST_USER_GET_VRING_BASE, get_base },
};

/* A loss that is noticed here is dealt with by the loop, as one that shows there first. */
bool vhost_user_check_loss(struct vhost_user *user)
{
	bool lost = user->peer.fd < 0 && user->vhost.started;

	if (lost)
		loop_timer_set(&user->retry, 1);
	return lost;
}

int vhost_user_request(struct vhost *vhost, const struct sys_site *site, unsigned long request,
		       void *arg)
{
	struct vhost_user *user = user_of(vhost);
	int ret;

	(void)site;
	for (unsigned i = 0; i < ARRAY_SIZE(translations); i++) {
		const struct translation *known = &translations[i];

		if (known->request != request)
			continue;
		sys_note(vhost->sys, SYS_TOPIC_QUEUE, user->peer.fd, "%s: message %s to %s",
			 vhost->kind->ops.name, vhost_user_name(known->message), user->options.path);
		ret = known->translate(user, known->message, arg);
		vhost_user_check_loss(user);
		return ret;
	}
	return -ENOTTY;
}

int vhost_user_tell_ring(struct vhost_user *user, uint32_t request, unsigned index, unsigned number)
{
	struct vhost_vring_state state = { index, number };

	return set_state(user, request, &state);
}

int vhost_user_say_live(struct vhost_user *user)
{
	struct vhost_user_message message = {
		.body.number = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			       VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK
	};
	const struct vhost_user_exchange exchange = { .request = VHOST_USER_GET_STATUS,
						      .at_least = sizeof(message.body.number) };
	const uint64_t asked = VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_NEEDS_RESET;
	int ret;

	if (!peer_has(&user->peer, VHOST_USER_PROTOCOL_F_STATUS))
		return 0;
	ret = tell(user, VHOST_USER_SET_STATUS, sizeof(message.body.number), &message);
	if (!ret)
		ret = peer_ask(&user->peer, &exchange, &message);
	if (ret)
		return ret;
	return (message.body.number & asked) == VIRTIO_CONFIG_S_FEATURES_OK ? 0 : -EREMOTEIO;
}

void vhost_user_say_reset(struct vhost_user *user)
{
	struct vhost_user_message message = { .body.number = 0 };

	if (peer_has(&user->peer, VHOST_USER_PROTOCOL_F_STATUS))
		(void)!tell(user, VHOST_USER_SET_STATUS, sizeof(message.body.number), &message);
	else if (peer_has(&user->peer, VHOST_USER_PROTOCOL_F_RESET_DEVICE))
		(void)!tell(user, VHOST_USER_RESET_DEVICE, 0, &message);
}

static int new_inflight(struct vhost_user *user)
{
	const struct vhost *vhost = &user->vhost;
	struct vhost_user_message message = {
		.body.inflight = { .queues = (uint16_t)vhost->ring_count,
				   .queue_size = vhost->rings[0].q->max_size },
	};
	const struct vhost_user_exchange exchange = { .request = VHOST_USER_GET_INFLIGHT_FD,
						      .size = VHOST_USER_INFLIGHT,
						      .at_least = VHOST_USER_INFLIGHT,
						      .fd = &user->inflight_fd };
	int ret = peer_ask(&user->peer, &exchange, &message);

	if (ret)
		return ret;
	user->inflight = message.body.inflight;
	return user->inflight_fd < 0 ? -EPROTO : 0;
}

int vhost_user_share_inflight(struct vhost_user *user)
{
	struct vhost_user_message message;
	int ret = 0;

	if (!peer_has(&user->peer, VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD))
		return 0;
	if (user->inflight_fd < 0)
		ret = new_inflight(user);
	if (ret)
		return ret;
	message.body.inflight = user->inflight;
	return peer_tell(&user->peer,
			 &(struct vhost_user_exchange){ .request = VHOST_USER_SET_INFLIGHT_FD,
							.size = VHOST_USER_INFLIGHT,
							.fds = &user->inflight_fd,
							.count = 1 }, &message);
}

int vhost_user_get_config(struct vhost_user *user)
{
	const uint32_t len = user->options.config_len, size = VHOST_USER_CONFIG_HEADER + len;
	struct vhost_user_message message = { .body.config.size = len };
	const struct vhost_user_exchange exchange = { .request = VHOST_USER_GET_CONFIG,
						      .size = size, .at_least = size };
	int ret;

	if (!len)
		return 0;
	ret = peer_ask(&user->peer, &exchange, &message);
	if (ret)
		return ret;
	ret = memcmp(user->config, message.body.config.data, len) != 0;
	memcpy(user->config, message.body.config.data, len);
	return ret;
}

void vhost_user_write_config(struct vhost *vhost, unsigned off, const void *buf, unsigned len)
{
	struct vhost_user *user = user_of(vhost);
	struct vhost_user_message message = { .body.config = { .offset = off, .size = len } };

	if (!peer_has(&user->peer, VHOST_USER_PROTOCOL_F_CONFIG))
		return;
	peer_set_deadline(&user->peer, user->options.patience_ns);
	memcpy(message.body.config.data, buf, len);
	if (!tell(user, VHOST_USER_SET_CONFIG, VHOST_USER_CONFIG_HEADER + len, &message))
		memcpy(user->config + off, buf, len);
	vhost_user_check_loss(user);
}

int vhost_user_serve_request(struct vhost_user *user)
{
	struct vhost_user_message message;
	bool known, answered;
	int ret;

	if (recv(user->requests.fd, &message, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN)
		return 0;
	ret = vhost_user_receive(user->requests.fd, &message, NULL, user->peer.deadline);
	if (ret)
		return ret;
	known = message.header.request == VHOST_USER_BACKEND_CONFIG_CHANGE;
	answered = message.header.flags & VHOST_USER_NEED_REPLY;
	ret = known ? vhost_user_get_config(user) : 0;
	if (ret < 0)
		return ret;
	if (ret)
		virtio_config_changed(user->vhost.dev);
	message.header.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	message.header.size = sizeof(message.body.number);
	message.body.number = !known;
	return answered ? vhost_user_send(user->requests.fd, &message, NULL, 0,
					  user->peer.deadline) : 0;
}
