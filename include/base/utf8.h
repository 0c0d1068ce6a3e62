/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Untrusted text, made safe for terminals, JSON and XML. Pure functions, any thread.
 */
#ifndef KINGLET_BASE_UTF8_H
#define KINGLET_BASE_UTF8_H

#include <stddef.h>

/*
 * Copies text as well-formed UTF-8 (RFC 3629): tabs become spaces, other control characters and
 * U+FFFE and U+FFFF, which XML 1.0 cannot represent, and each byte of a malformed sequence become
 * U+FFFD. Writes at most size - 1 bytes, whole characters only, and a NUL. Returns the bytes
 * written without it. `size` is at least 1; the buffers do not overlap.
 */
size_t utf8_clean(char *out, size_t size, const void *in, size_t len);

#endif
