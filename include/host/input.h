/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading standard input without ever blocking, and without making it non-blocking for others that
 * share it: another process may have read what epoll reported. Any thread, one at a time.
 */
#ifndef KINGLET_HOST_INPUT_H
#define KINGLET_HOST_INPUT_H

#include "core/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct input {
	int fd;	     /* owned: an open file description of our own where that can be had */
	bool socket; /* recv(2) can be told not to wait */
	bool shared; /* neither of them: a look first */
	bool watched;	   /* in a loop */
	bool always_ready; /* a file: epoll refuses it, reads never block */
};

/* fd is borrowed. 0 or a negative errno; then input->fd is -1. */
__must_check int input_open(struct input *input, int fd);

/* The number of bytes read, 0 at the end, or a negative errno; -EAGAIN when none are available. */
__must_check ssize_t input_read(const struct input *input, void *data, size_t len);

/*
 * Has the loop watch it by this event, whose fd it is, or no longer. A file is never watched:
 * input->always_ready then. Errors of loop_add().
 */
__must_check int input_watch(struct input *input, struct loop *loop, struct loop_event *event,
			     bool on);

static inline void input_close(struct input *input)
{
	close_fd(&input->fd);
}

#endif
