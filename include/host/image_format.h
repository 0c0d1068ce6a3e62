/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disk images of other formats than raw. Any thread.
 */
#ifndef KINGLET_HOST_IMAGE_FORMAT_H
#define KINGLET_HOST_IMAGE_FORMAT_H

#include "base/cleanup.h"

/*
 * Refuses a file that begins, or for VHD ends, as an image of another format: -EINVAL after one
 * line `WHAT PATH: …` with the command that converts it. A guest may write such bytes into its own
 * raw disk: for that case users set `format=raw`, which the caller checks before. 0 for anything
 * else, also for a file that cannot be read.
 */
__must_check int image_refuse_foreign(const char *what, const char *path, int fd);

#endif
