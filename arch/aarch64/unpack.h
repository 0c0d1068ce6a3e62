/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Part of a kernel file as a stream of bytes: uncompressed, or decompressed by zlib or libzstd.
 * Private to arch/aarch64. Machine's thread.
 */
#ifndef KINGLET_AARCH64_UNPACK_H
#define KINGLET_AARCH64_UNPACK_H

#include "arch/boot_file.h"

struct unpack_ops;

struct unpack {
	const struct unpack_ops *ops;
	const struct boot_file *file; /* borrowed */
	uint64_t off, left;	      /* of the unread rest of the file's part */
	void *state;		      /* the library's, owned */
	uint8_t *input;		      /* buffer, owned */
	size_t input_at, input_len;
	bool ended; /* the compressed data */
};

/*
 * Starts at [off, off + len) of the file; detects the compression by its magic. Logs on failure:
 * -ENOEXEC, -ENOMEM. Pair with unpack_close() in any case.
 */
__must_check int unpack_open(struct unpack *unpack, const struct boot_file *file, uint64_t off,
			     uint64_t len);
void unpack_close(struct unpack *unpack);

/*
 * Reads `len` bytes, or up to the end of the stream: *got is the number. Logs on failure: -ENOEXEC
 * for damaged data, and errors of read(2).
 */
__must_check int unpack_read(struct unpack *unpack, void *buf, uint64_t len, uint64_t *got);

#endif
