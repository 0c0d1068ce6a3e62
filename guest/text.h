/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings without a C library.
 */
#ifndef KINGLET_GUEST_TEXT_H
#define KINGLET_GUEST_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

size_t length(const char *text);
bool equal(const char *a, const char *b);
bool begins_with(const char *text, const char *start);
bool contains(const char *text, char c);
/* `to` may begin before `from` in the same buffer. */
void copy(char *to, const char *from, size_t len);

/* A line built from pieces; truncated if it does not fit. */
struct text {
	char data[4400];
	size_t len;
};

void text_append(struct text *text, const char *piece);
void text_append_number(struct text *text, unsigned number);
/* "what: name: error"; name may be NULL, error 0. */
void text_describe(struct text *text, const char *what, const char *name, int error);

#endif
