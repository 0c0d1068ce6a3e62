/* SPDX-License-Identifier: Apache-2.0 */
/* A private copy of a file, for a run that must leave the file as it is. Any thread; blocks. */
#ifndef KINGLET_HOST_IMAGE_COPY_H
#define KINGLET_HOST_IMAGE_COPY_H

#include "base/cleanup.h"

#include <stdint.h>

/*
 * A file without a name, in $TMPDIR or /var/tmp, with the first `size` bytes of `fd`, a regular
 * file or a block device. It shares the file's blocks where the file system can (FICLONE), else only
 * data are copied, not holes. Returns its fd, which the caller owns; or a negative errno: those of
 * open(2) with O_TMPFILE or mkostemp(3), -ENOSPC.
 */
__must_check int image_copy(int fd, uint64_t size);

#endif
