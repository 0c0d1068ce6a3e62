/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies between a flat buffer and a list of pieces of memory. Any thread.
 */
#ifndef KINGLET_BASE_IOV_H
#define KINGLET_BASE_IOV_H

#include <stddef.h>
#include <sys/uio.h>

/*
 * Copies up to `len` bytes, starting `offset` bytes into the list. Returns the bytes copied: fewer
 * than `len` when the list ends before.
 */
size_t iov_read(const struct iovec *iov, unsigned count, size_t offset, void *buf, size_t len);
size_t iov_write(const struct iovec *iov, unsigned count, size_t offset, const void *buf,
		 size_t len);

#endif
