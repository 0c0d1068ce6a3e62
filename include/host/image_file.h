/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of a raw image, and the lock that keeps two users of one apart: an open file description
 * lock (fcntl(2)) over the whole file, released with the last copy of the fd. `what` begins
 * messages: "disk", "scsi". Any thread.
 */
#ifndef KINGLET_HOST_IMAGE_FILE_H
#define KINGLET_HOST_IMAGE_FILE_H

#include "base/cleanup.h"

#include <stdbool.h>

struct image_options;
struct stat;

/*
 * Opens it: a block device, or a regular file of whole sectors and of no other format than raw
 * (unless that is allowed). The fd, which the caller owns, and *st of it; or, after one line, as
 * image_open().
 */
__must_check int image_file_open(const char *what, const struct image_options *options,
				 struct stat *st);

/*
 * Exclusive for writers, shared for readers. Never waits: -EBUSY when another user has it. Where
 * there are no locks, that is a warning.
 */
__must_check int image_file_lock(const char *what, const char *path, int fd, bool readonly);
void image_file_unlock(int fd);

#endif
