/* SPDX-License-Identifier: Apache-2.0 */
#include "vhost_user_proto.h"

#include "base/unix_socket.h"
#include "core/sys.h"

#include <poll.h>
#include <string.h>

enum { NS_PER_MS = 1000000 };
_Static_assert((int)VHOST_USER_MAX_REGIONS <= (int)UNIX_MAX_FDS, "each region has a descriptor");

const char *vhost_user_name(uint32_t request)
{
	static const char *const names[] = {
		[VHOST_USER_GET_FEATURES] = "GET_FEATURES",
		[VHOST_USER_SET_FEATURES] = "SET_FEATURES",
		[VHOST_USER_SET_OWNER] = "SET_OWNER",
		[VHOST_USER_SET_MEM_TABLE] = "SET_MEM_TABLE",
		[VHOST_USER_SET_LOG_BASE] = "SET_LOG_BASE",
		[VHOST_USER_SET_VRING_NUM] = "SET_VRING_NUM",
		[VHOST_USER_SET_VRING_ADDR] = "SET_VRING_ADDR",
		[VHOST_USER_SET_VRING_BASE] = "SET_VRING_BASE",
		[VHOST_USER_GET_VRING_BASE] = "GET_VRING_BASE",
		[VHOST_USER_SET_VRING_KICK] = "SET_VRING_KICK",
		[VHOST_USER_SET_VRING_CALL] = "SET_VRING_CALL",
		[VHOST_USER_SET_VRING_ERR] = "SET_VRING_ERR",
		[VHOST_USER_GET_PROTOCOL_FEATURES] = "GET_PROTOCOL_FEATURES",
		[VHOST_USER_SET_PROTOCOL_FEATURES] = "SET_PROTOCOL_FEATURES",
		[VHOST_USER_GET_QUEUE_NUM] = "GET_QUEUE_NUM",
		[VHOST_USER_SET_VRING_ENABLE] = "SET_VRING_ENABLE",
		[VHOST_USER_SET_BACKEND_REQ_FD] = "SET_BACKEND_REQ_FD",
		[VHOST_USER_GET_CONFIG] = "GET_CONFIG",
		[VHOST_USER_SET_CONFIG] = "SET_CONFIG",
		[VHOST_USER_GET_INFLIGHT_FD] = "GET_INFLIGHT_FD",
		[VHOST_USER_SET_INFLIGHT_FD] = "SET_INFLIGHT_FD",
		[VHOST_USER_RESET_DEVICE] = "RESET_DEVICE",
		[VHOST_USER_GET_MAX_MEM_SLOTS] = "GET_MAX_MEM_SLOTS",
		[VHOST_USER_ADD_MEM_REG] = "ADD_MEM_REG",
		[VHOST_USER_REM_MEM_REG] = "REM_MEM_REG",
		[VHOST_USER_SET_STATUS] = "SET_STATUS",
		[VHOST_USER_GET_STATUS] = "GET_STATUS",
	};

	return request < ARRAY_SIZE(names) && names[request] ? names[request] : "?";
}

/* Until the socket is ready for `events`. */
static int await(int sock, short events, uint64_t deadline)
{
	struct pollfd waited = { .fd = sock, .events = events };
	uint64_t now = sys_now_ns();
	int ret = 0;

	if (now < deadline)
		ret = poll(&waited, 1, (int)((deadline - now + NS_PER_MS - 1) / NS_PER_MS));
	if (ret < 0)
		return errno == EINTR ? 0 : -errno;
	return ret || now < deadline ? 0 : -ETIMEDOUT;
}

int vhost_user_send(int sock, const struct vhost_user_message *message, const int *fds,
		    unsigned count, uint64_t deadline)
{
	const char *at = (const char *)&message->header;
	size_t len = sizeof(message->header) + message->header.size;

	if (count > UNIX_MAX_FDS)
		return -EINVAL;
	while (len) {
		ssize_t n = unix_send(sock, at, len, fds, count);

		if (n >= 0) {
			at += n;
			len -= (size_t)n;
			/* The descriptors went with its first byte. */
			count = 0;
			continue;
		}
		if (n == -EAGAIN)
			n = await(sock, POLLOUT, deadline);
		if (n && n != -EINTR)
			return (int)n;
	}
	return 0;
}

/* Keeps the first, if it is wanted and the first at all. */
static void take_fds(const struct msghdr *msg, int *fd)
{
	const struct cmsghdr *control = CMSG_FIRSTHDR(msg);
	unsigned count;

	if (!control || control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
		return;
	count = (unsigned)((control->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	for (unsigned i = 0; i < count; i++) {
		int taken;

		memcpy(&taken, CMSG_DATA(control) + i * sizeof(int), sizeof(int));
		if (fd && *fd < 0)
			*fd = taken;
		else
			close(taken);
	}
}

static int receive_exactly(int sock, void *buf, size_t len, int *fd, uint64_t deadline)
{
	char *at = buf;

	while (len) {
		union {
			struct cmsghdr header;
			char room[CMSG_SPACE(UNIX_MAX_FDS * sizeof(int))];
		} control;
		struct iovec iov = { .iov_base = at, .iov_len = len };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
				      .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		int ret = 0;

		if (n > 0) {
			take_fds(&msg, fd);
			at += n;
			len -= (size_t)n;
		} else if (!n) {
			return -ECONNRESET;
		} else {
			ret = errno == EAGAIN ? await(sock, POLLIN, deadline) : -errno;
		}
		if (ret && ret != -EINTR)
			return ret;
	}
	return 0;
}

int vhost_user_receive(int sock, struct vhost_user_message *message, int *fd, uint64_t deadline)
{
	int ret;

	if (fd)
		*fd = -1;
	ret = receive_exactly(sock, &message->header, sizeof(message->header), fd, deadline);
	if (!ret && message->header.size > sizeof(message->body))
		ret = -EMSGSIZE;
	if (!ret)
		ret = receive_exactly(sock, &message->body, message->header.size, fd, deadline);
	if (ret && fd)
		close_fd(fd);
	return ret;
}
