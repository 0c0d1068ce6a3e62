/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock that keeps two users of one image apart: an open file description lock (fcntl(2)) over
 * the whole file, released with the last copy of the fd. Any thread.
 */
#ifndef KINGLET_HOST_FILE_LOCK_H
#define KINGLET_HOST_FILE_LOCK_H

#include "base/cleanup.h"

#include <stdbool.h>

/* Exclusive for writers, shared for readers. Never waits: -EBUSY when another user has it. */
__must_check int file_lock(int fd, bool readonly);
void file_unlock(int fd);

#endif
