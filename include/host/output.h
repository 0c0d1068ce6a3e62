/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing to standard output or error without ever blocking, and without making it non-blocking for
 * others that share it. Any thread, one at a time.
 */
#ifndef KINGLET_HOST_OUTPUT_H
#define KINGLET_HOST_OUTPUT_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct output {
	int fd; /* owned: a separate open file description where possible */
	bool nonblocking;
};

/* fd is borrowed. 0, -EBADF when it is closed, or another negative errno; then output->fd is -1. */
__must_check int output_open(struct output *output, int fd);

/*
 * The number of bytes written, or a negative errno: -EAGAIN when there is no room now, -EPIPE when
 * the reader has closed any kind of stream. The caller ignores SIGPIPE.
 */
__must_check ssize_t output_write(const struct output *output, const void *data, size_t len);

static inline void output_close(struct output *output)
{
	close_fd(&output->fd);
}

#endif
