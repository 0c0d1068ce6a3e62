/* SPDX-License-Identifier: Apache-2.0 */
#include "base/unix_socket.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

int unix_address(struct sockaddr_un *address, const char *path)
{
	const size_t room = sizeof(address->sun_path);

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return snprintf(address->sun_path, room, "%s", path) < (int)room ? 0 : -ENAMETOOLONG;
}

int unix_connect(const char *path, int flags)
{
	struct sockaddr_un address;
	_cleanup_close_ int fd = -1;
	int ret = unix_address(&address, path);

	if (ret)
		return ret;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		return -errno;
	return steal_fd(&fd);
}

ssize_t unix_send(int sock, const void *data, size_t len, const int *fds, unsigned count)
{
	const size_t fds_len = count * sizeof(*fds);
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(UNIX_MAX_FDS * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)data, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (count) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(fds_len);
		control.header = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(fds_len)
		};
		memcpy(CMSG_DATA(&control.header), fds, fds_len);
	}
	n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}
