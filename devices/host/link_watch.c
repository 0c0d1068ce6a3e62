/* SPDX-License-Identifier: Apache-2.0 */
#include "host/link_watch.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

/* Messages per turn of the loop: an interface that flaps must not delay other events. */
enum { TURN_MESSAGES = 32 };

/*
 * The beginning of a message has all that is needed, so recvfrom(2) may truncate the rest. The
 * kernel puts each of these messages into a separate datagram.
 */
struct message {
	struct nlmsghdr header;
	union {
		struct ifinfomsg link;
		int error; /* of NLMSG_ERROR */
	};
};

/* The kernel drops what this filter does not accept; BPF reads numbers as big-endian. */
static int set_filter(int fd, unsigned ifindex)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(NLMSG_ERROR), 2, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct message, link.ifi_index)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(ifindex), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(code), .filter = code };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

/* The filter comes first: messages about other interfaces must not get into the socket. */
static int open_socket(unsigned ifindex)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
					NETLINK_ROUTE);
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };

	if (fd < 0 || set_filter(fd, ifindex) ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)))
		return -errno;
	return steal_fd(&fd);
}

/* The answer is a message like the unsolicited ones, or an error. */
static int ask(const struct link_watch *watch)
{
	struct message request = {
		.header = { .nlmsg_len = sizeof(request), .nlmsg_type = RTM_GETLINK,
			    .nlmsg_flags = NLM_F_REQUEST },
		.link = { .ifi_family = AF_UNSPEC, .ifi_index = (int)watch->ifindex },
	};

	return send(watch->event.fd, &request, sizeof(request), 0) < 0 ? -errno : 0;
}

/* The state according to the first `len` bytes of a message; unchanged if they have none. */
static enum link_state state_told(const struct link_watch *watch, const struct message *m,
				  size_t len)
{
	if (len < sizeof(m->header))
		return watch->state;
	if (m->header.nlmsg_type == NLMSG_ERROR)
		return len >= sizeof(m->header) + sizeof(m->error) && m->error == -ENODEV ?
			       LINK_GONE : watch->state;
	/* A bridge also reports its ports: a port that leaves it is not removed. */
	if (len < sizeof(*m) || m->link.ifi_family != AF_UNSPEC ||
	    m->link.ifi_index != (int)watch->ifindex)
		return watch->state;
	switch (m->header.nlmsg_type) {
	case RTM_NEWLINK:
		return m->link.ifi_flags & IFF_LOWER_UP ? LINK_UP : LINK_DOWN;
	case RTM_DELLINK:
		return LINK_GONE;
	default:
		return watch->state;
	}
}

/* Reads a message and returns the state that it reports. False when there is none now. */
static bool next_state(struct link_watch *watch, enum link_state *state)
{
	struct sockaddr_nl from = {};
	socklen_t from_len = sizeof(from);
	struct message message;
	ssize_t len = recvfrom(watch->event.fd, &message, sizeof(message), 0,
			       (struct sockaddr *)&from, &from_len);

	*state = watch->state;
	if (len < 0 && errno == ENOBUFS) {
		watch->stale = true;
		return true;
	}
	if (len < 0)
		return errno == EINTR;
	/* Root may send to this socket; only messages from the kernel count. */
	if (!from.nl_pid)
		*state = state_told(watch, &message, (size_t)len);
	return true;
}

/* Each change is reported, because a link that was down in between has changed, too. */
static void drain(struct link_watch *watch, void (*tell)(struct link_watch *watch))
{
	bool more = true;

	for (unsigned i = 0; i < TURN_MESSAGES && more && watch->state != LINK_GONE; i++) {
		enum link_state state;

		more = next_state(watch, &state);
		if (state == watch->state)
			continue;
		watch->state = state;
		if (tell)
			tell(watch);
	}
	if (watch->state == LINK_GONE)
		/* Another interface may get its number. */
		link_watch_stop(watch);
	else if (watch->stale)
		/* Now there is room for the answer. On failure it is retried next time. */
		watch->stale = ask(watch) != 0;
}

static void link_event(struct loop_event *event, uint32_t events)
{
	struct link_watch *watch = container_of(event, struct link_watch, event);

	(void)events;
	drain(watch, watch->changed);
}

int link_watch_start(struct link_watch *watch, struct loop *loop, unsigned ifindex)
{
	int ret = open_socket(ifindex);

	watch->event = (struct loop_event){ .fd = ret, .fn = link_event };
	if (ret < 0) {
		watch->event.fd = -1;
		return ret;
	}
	watch->loop = loop;
	watch->ifindex = ifindex;
	watch->state = LINK_UP;
	watch->stale = false;
	ret = loop_add(loop, &watch->event, EPOLLIN);
	if (!ret)
		ret = ask(watch);
	if (ret) {
		link_watch_stop(watch);
		return ret;
	}
	/* The kernel answers before send(2) returns. */
	drain(watch, NULL);
	return 0;
}

void link_watch_stop(struct link_watch *watch)
{
	if (watch->event.fd < 0)
		return;
	loop_remove(watch->loop, &watch->event);
	close_fd(&watch->event.fd);
}
