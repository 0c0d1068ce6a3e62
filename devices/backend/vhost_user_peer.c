/* SPDX-License-Identifier: Apache-2.0 */
#include "vhost_user_peer.h"

#include <poll.h>

static const uint64_t protocol_known =
	1ULL << VHOST_USER_PROTOCOL_F_MQ | 1ULL << VHOST_USER_PROTOCOL_F_LOG_SHMFD |
	1ULL << VHOST_USER_PROTOCOL_F_REPLY_ACK | 1ULL << VHOST_USER_PROTOCOL_F_BACKEND_REQ |
	1ULL << VHOST_USER_PROTOCOL_F_CONFIG | 1ULL << VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD |
	1ULL << VHOST_USER_PROTOCOL_F_RESET_DEVICE |
	1ULL << VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS |
	1ULL << VHOST_USER_PROTOCOL_F_STATUS;

void peer_set_deadline(struct vhost_user_peer *peer, uint64_t ns)
{
	peer->deadline = sys_now_ns() + ns;
}

void peer_disconnect(struct vhost_user_peer *peer)
{
	close_fd(&peer->fd);
}

bool peer_hung_up(const struct vhost_user_peer *peer)
{
	struct pollfd waited = { .fd = peer->fd, .events = POLLRDHUP };

	return poll(&waited, 1, 0) > 0;
}

/* Whatever goes wrong, later answers would be taken for those of other requests. */
static int fail(struct vhost_user_peer *peer, int ret)
{
	if (ret)
		peer_disconnect(peer);
	return ret;
}

static int send(struct vhost_user_peer *peer, const struct vhost_user_exchange *exchange,
		struct vhost_user_message *message, uint32_t flags)
{
	if (peer->fd < 0)
		return -ENOTCONN;
	message->header = (struct vhost_user_header){ exchange->request,
						      VHOST_USER_VERSION | flags, exchange->size };
	return vhost_user_send(peer->fd, message, exchange->fds, exchange->count, peer->deadline);
}

static int receive(struct vhost_user_peer *peer, const struct vhost_user_exchange *exchange,
		   struct vhost_user_message *message, uint32_t at_least)
{
	int ret = vhost_user_receive(peer->fd, message, exchange->fd, peer->deadline);
	const uint32_t known = VHOST_USER_VERSION | VHOST_USER_REPLY;

	if (ret)
		return ret;
	if (message->header.request == exchange->request &&
	    (message->header.flags & known) == known && message->header.size >= at_least)
		return 0;
	if (exchange->fd)
		close_fd(exchange->fd);
	return -EPROTO;
}

int peer_ask(struct vhost_user_peer *peer, const struct vhost_user_exchange *exchange,
	     struct vhost_user_message *message)
{
	int ret = send(peer, exchange, message, 0);

	if (!ret)
		ret = receive(peer, exchange, message, exchange->at_least);
	return fail(peer, ret);
}

int peer_tell(struct vhost_user_peer *peer, const struct vhost_user_exchange *exchange,
	      struct vhost_user_message *message)
{
	bool confirms = peer_has(peer, VHOST_USER_PROTOCOL_F_REPLY_ACK);
	int ret = send(peer, exchange, message, confirms ? VHOST_USER_NEED_REPLY : 0);

	if (!ret && confirms)
		ret = receive(peer, exchange, message, sizeof(message->body.number));
	if (ret || !confirms)
		return fail(peer, ret);
	return message->body.number ? -EREMOTEIO : 0;
}

static int ask_number(struct vhost_user_peer *peer, uint32_t request, uint64_t *number)
{
	const struct vhost_user_exchange exchange = {
		.request = request, .at_least = sizeof(*number)
	};
	struct vhost_user_message message;
	int ret = peer_ask(peer, &exchange, &message);

	if (!ret)
		*number = message.body.number;
	return ret;
}

/* SET_PROTOCOL_FEATURES is confirmed only after it. */
static int agree(struct vhost_user_peer *peer)
{
	const struct vhost_user_exchange exchange = {
		.request = VHOST_USER_SET_PROTOCOL_FEATURES, .size = sizeof(uint64_t)
	};
	struct vhost_user_message message;
	uint64_t offered;
	int ret = ask_number(peer, VHOST_USER_GET_PROTOCOL_FEATURES, &offered);

	if (ret)
		return ret;
	message.body.number = offered & protocol_known;
	ret = peer_tell(peer, &exchange, &message);
	peer->protocol = offered & protocol_known;
	if (!ret && peer_has(peer, VHOST_USER_PROTOCOL_F_MQ))
		ret = ask_number(peer, VHOST_USER_GET_QUEUE_NUM, &peer->queues);
	if (!ret && peer_has(peer, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS))
		ret = ask_number(peer, VHOST_USER_GET_MAX_MEM_SLOTS, &peer->slots);
	return ret;
}

int peer_meet(struct vhost_user_peer *peer, int fd)
{
	const struct vhost_user_exchange own = { .request = VHOST_USER_SET_OWNER };
	struct vhost_user_message message;
	int ret;

	if (fd < 0)
		return fd;
	peer_disconnect(peer);
	peer->protocol = peer->queues = 0;
	peer->fd = fd;
	ret = ask_number(peer, VHOST_USER_GET_FEATURES, &peer->features);
	if (!ret && peer->features >> VHOST_USER_F_PROTOCOL_FEATURES & 1)
		ret = agree(peer);
	if (!ret)
		ret = peer_tell(peer, &own, &message);
	return fail(peer, ret);
}
