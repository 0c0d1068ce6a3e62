/* SPDX-License-Identifier: Apache-2.0 */
/* UNIX sockets, unix(7): a path as their address, and descriptors that go with data. Any thread. */
#ifndef KINGLET_BASE_UNIX_SOCKET_H
#define KINGLET_BASE_UNIX_SOCKET_H

#include "base/cleanup.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Descriptors in one call. */
enum { UNIX_MAX_FDS = 8 };

/* -ENAMETOOLONG. */
__must_check int unix_address(struct sockaddr_un *address, const char *path);

/*
 * A stream socket that is connected to the one at `path`; flags as SOCK_NONBLOCK. -ENAMETOOLONG,
 * errno of socket(2) or connect(2).
 */
__must_check int unix_connect(const char *path, int flags);

/*
 * Sends what the socket has room for, without waiting and without SIGPIPE; the `count` descriptors,
 * borrowed, at most UNIX_MAX_FDS, go with the first byte. Returns the number of bytes, or negative
 * errno of sendmsg(2).
 */
__must_check ssize_t unix_send(int sock, const void *data, size_t len, const int *fds,
			       unsigned count);

#endif
