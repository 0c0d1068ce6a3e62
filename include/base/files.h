/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing in full, over any number of short calls. Any thread; blocks if the fd blocks.
 */
#ifndef KINGLET_BASE_FILES_H
#define KINGLET_BASE_FILES_H

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Negative errno of write(2), after any number of bytes. */
__must_check int write_all(int fd, const void *data, size_t len);

/* -ENODATA when the file is too short, or negative errno of pread(2). */
__must_check int pread_exactly(int fd, void *buf, size_t len, uint64_t off);

/*
 * Calls work() for each run of data [at, end) of a file that begins before `size`, in rising order,
 * but not for its holes (a block device has none); `end` may be beyond. Returns what work() does if
 * that is not 0; negative errno of lseek(2), whose offset it moves.
 */
__must_check int file_for_data(int fd, uint64_t size,
			       int (*work)(void *owner, uint64_t at, uint64_t end), void *owner);

/* "root.img (4.0 GiB)", "/dev/sda (block device)": for people. */
void file_describe(FILE *out, const char *path);

#endif
