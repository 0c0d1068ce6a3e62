/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic on numbers that a guest or a file chose. Pure functions, any thread.
 */
#ifndef KINGLET_BASE_CHECKED_H
#define KINGLET_BASE_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

/* True when [off, off + len) lies inside [0, size); never wraps. A zero len at off == size fits. */
static inline bool range_fits(uint64_t off, uint64_t len, uint64_t size)
{
	return len <= size && off <= size - len;
}

/* True when [a, a + alen) and [b, b + blen) share a byte. Neither range may wrap. */
static inline bool ranges_overlap(uint64_t a, uint64_t alen, uint64_t b, uint64_t blen)
{
	return alen && blen && a <= b + (blen - 1) && b <= a + (alen - 1);
}

/* Rounds up to a power of two `align`; the caller ensures that it cannot wrap. */
static inline uint64_t align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) & ~(align - 1);
}

static inline bool is_power_of_two(uint64_t value)
{
	return value && !(value & (value - 1));
}

#endif
