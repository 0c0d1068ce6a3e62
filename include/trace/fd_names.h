/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The purpose of each file descriptor, in words, for narration: "vCPU 0", "kick of queue 1 of
 * virtio-net 0 at 00:03.0". Names are copies, so they outlive what they refer to; a reused number
 * gets the new name. Any thread.
 */
#ifndef KINGLET_TRACE_FD_NAMES_H
#define KINGLET_TRACE_FD_NAMES_H

#include "base/text.h"

#include <pthread.h>
#include <stdbool.h>

enum { FD_NAME_LEN = 64 };

struct fd_names {
	pthread_mutex_t lock;
	char (*names)[FD_NAME_LEN]; /* by number; empty: no name; owned */
	int count;
};

__must_check int fd_names_init(struct fd_names *names);
void fd_names_destroy(struct fd_names *names);

/* If out of memory, the fd stays a number. */
void fd_names_set(struct fd_names *names, int fd, const char *fmt, ...) __printf(3, 4);

/* Appends the bare name, "" for an fd without one. */
void fd_names_add_bare(struct fd_names *names, int fd, struct text *out);
/* Appends "fd 17 (vCPU 0)", or "fd 17". */
void fd_names_add(struct fd_names *names, int fd, struct text *out);

#endif
