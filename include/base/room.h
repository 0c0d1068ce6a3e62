/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting, but not for long, for a reader. */
#ifndef KINGLET_BASE_ROOM_H
#define KINGLET_BASE_ROOM_H

#include <stdbool.h>

/*
 * What a thread waits at most, in milliseconds, for a reader that is merely slow. One that has let
 * it pass is not waited for again until it reads.
 */
enum { ROOM_PATIENCE_MS = 200 };

/*
 * Whether fd takes something, or fails at once, within so many milliseconds. No signal cuts this
 * short: a vCPU that is kicked meanwhile keeps what it has to say. Any thread, any signal handler.
 */
bool room_wait(int fd, unsigned ms);

#endif
