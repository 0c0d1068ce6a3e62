/* SPDX-License-Identifier: Apache-2.0 */
#include "host/input.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

static bool polls(int fd, short events)
{
	struct pollfd ready = { .fd = fd, .events = events };

	return poll(&ready, 1, 0) == 1;
}

/*
 * Pipes and terminals. Not files, whose position is shared; nor a pty's master, which would open
 * another pty. A FIFO that all writers have closed does not report the end to a new reader; without
 * writers, reading the old one does not block.
 */
static int reopen(int fd, mode_t mode)
{
	char path[32];
	int own, number;

	if (!S_ISFIFO(mode) && (!isatty(fd) || !ioctl(fd, TIOCGPTN, &number)))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	own = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	/* In this order: a writer that closes later is seen. */
	if (own >= 0 && polls(fd, 0))
		close_fd(&own);
	return own;
}

int input_open(struct input *input, int fd)
{
	struct stat st;

	*input = (struct input){ .fd = -1 };
	if (fstat(fd, &st))
		return -errno;
	input->fd = reopen(fd, st.st_mode);
	if (input->fd >= 0)
		return 0;
	input->socket = S_ISSOCK(st.st_mode);
	input->shared = !input->socket;
	input->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return input->fd < 0 ? -errno : 0;
}

ssize_t input_read(const struct input *input, void *data, size_t len)
{
	ssize_t n;

	if (input->shared && !polls(input->fd, POLLIN))
		return -EAGAIN;
	do
		n = input->socket ? recv(input->fd, data, len, MSG_DONTWAIT) :
				    read(input->fd, data, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int input_watch(struct input *input, struct loop *loop, struct loop_event *event, bool on)
{
	int ret = 0;

	if (input->always_ready || on == input->watched)
		return 0;
	/* Not loop_modify() to no events: a hang-up would still be reported, for ever. */
	if (on)
		ret = loop_add(loop, event, EPOLLIN);
	else
		loop_remove(loop, event);
	input->always_ready = ret == -EPERM;
	input->watched = on && !ret;
	return input->always_ready ? 0 : ret;
}
