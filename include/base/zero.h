/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KINGLET_BASE_ZERO_H
#define KINGLET_BASE_ZERO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Whether `len` bytes, at least one, are all zero. The C library compares wide vectors. */
static inline bool is_zero(const uint8_t *data, size_t len)
{
	return !data[0] && memcmp(data, data + 1, len - 1) == 0;
}

#endif
