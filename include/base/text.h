/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that is put together piece by piece in a buffer of fixed size; what does not fit is cut. One
 * thread at a time.
 */
#ifndef KINGLET_BASE_TEXT_H
#define KINGLET_BASE_TEXT_H

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>

struct text {
	char *buf; /* borrowed; always ends in a NUL */
	size_t size, len;
};

static inline struct text text_of(char *buf, size_t size)
{
	*buf = '\0';
	return (struct text){ .buf = buf, .size = size };
}

static inline void text_add_char(struct text *text, char c)
{
	if (text->len + 1 >= text->size)
		return;
	text->buf[text->len++] = c;
	text->buf[text->len] = '\0';
}

void text_add(struct text *text, const char *fmt, ...) __printf(2, 3);

/* "256 MiB", "4.5 KiB", "17 bytes": binary units, at most one decimal. */
void text_add_bytes(struct text *text, uint64_t bytes);

#endif
