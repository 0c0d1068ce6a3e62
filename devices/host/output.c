/* SPDX-License-Identifier: Apache-2.0 */
#include "host/output.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>

int output_open(struct output *output, int fd)
{
	char path[32];
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	output->fd = -1;
	if (flags < 0 || fstat(fd, &st))
		return -errno;
	output->nonblocking = flags & O_NONBLOCK || S_ISREG(st.st_mode);
	if (!output->nonblocking) {
		/* Sockets cannot be reopened. */
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		output->fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		output->nonblocking = output->fd >= 0;
	}
	if (output->fd < 0)
		output->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return output->fd < 0 ? -errno : 0;
}

/*
 * A pipe without a reader, a socket reset by the other side, a terminal that hung up: the reader
 * has closed, which is not a write error.
 */
static bool reader_left(int fd, int error)
{
	struct stat st;

	return error == EPIPE || error == ECONNRESET ||
	       (error == EIO && !fstat(fd, &st) && S_ISCHR(st.st_mode));
}

ssize_t output_write(const struct output *output, const void *data, size_t len)
{
	struct pollfd ready = { .fd = output->fd, .events = POLLOUT };
	ssize_t n;

	if (!output->nonblocking) {
		/* Ready means room for at least this much (pipe(7), PIPE_BUF). */
		if (poll(&ready, 1, 0) != 1)
			return -EAGAIN;
		if (len > PIPE_BUF)
			len = PIPE_BUF;
	}
	do
		n = write(output->fd, data, len);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return reader_left(output->fd, errno) ? -EPIPE : -errno;
	return n || !len ? n : -EAGAIN;
}
