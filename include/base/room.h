/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting a bounded time for a reader. */
#ifndef KINGLET_BASE_ROOM_H
#define KINGLET_BASE_ROOM_H

#include <stdbool.h>

/*
 * The longest time, in milliseconds, that a thread waits for a slow reader. After that it does not
 * wait again until the reader has read.
 */
enum { ROOM_PATIENCE_MS = 200 };

/*
 * Whether fd becomes writable, or fails, within `ms` milliseconds. Signals do not interrupt it: a
 * vCPU that is kicked meanwhile does not lose its output. Any thread, any signal handler.
 */
bool room_wait(int fd, unsigned ms);

#endif
