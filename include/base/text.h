/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text built piece by piece in a buffer of fixed size, truncated if it does not fit. One thread at
 * a time. Also conversions from and to text: pure functions, any thread.
 */
#ifndef KINGLET_BASE_TEXT_H
#define KINGLET_BASE_TEXT_H

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

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

/* The value of a hex digit of either case; 16: not a digit. */
unsigned hex_digit(char c);

/* The byte written as two hex digits; -1 if there are not two. */
int hex_byte(const char *text);

/* FNV-1a, 64 bits: the same for the same text or bytes on every machine. */
uint64_t text_hash(const char *text);
uint64_t bytes_hash(const void *data, size_t len);

/*
 * Escapes for text or an attribute value of XML and HTML; `text` may be NULL. Control characters,
 * which XML 1.0 cannot have, become `?`.
 */
void text_print_xml(FILE *out, const char *text);

#endif
