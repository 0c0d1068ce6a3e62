/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One console of a guest as lines of text: without escape sequences and control characters, valid
 * UTF-8 whatever the guest prints. Bounded memory, constant work per byte. The caller serialises.
 */
#ifndef KINGLET_GUESTLOG_LINES_H
#define KINGLET_GUESTLOG_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length of a line, and what is kept of one that continues after its end: see `raw`. */
enum { LINE_MAX_LEN = 1024, LINE_KEPT = 64 };

/* The class of a byte. */
enum lines_byte { LINES_HIDDEN, LINES_CHARACTER, LINES_NEWLINE };

/* All zeroes at the start. */
struct lines {
	unsigned escape;      /* state of the current escape sequence */
	enum lines_byte last; /* the last byte that was fed */
	bool grown;	      /* since lines_partial() */
	bool returned;	      /* to the start of the line */
	/*
	 * The last characters since a newline: the line so far, from `start`, and before it up to
	 * LINE_KEPT of the line that it continues.
	 */
	size_t start, len;
	char raw[LINE_KEPT + LINE_MAX_LEN];
	char text[LINE_MAX_LEN + 64]; /* the last line returned */
};

/*
 * One byte of the stream. Returns the line that it ends, or NULL. A carriage return followed by
 * text also ends a line, as with a progress bar. A line ends at LINE_MAX_LEN bytes. Valid until the
 * next call.
 */
const char *lines_feed(struct lines *lines, uint8_t c);

/* The line so far, if it has grown since the last call; else NULL. As above. */
const char *lines_partial(struct lines *lines);

/* The rest without a newline, as a line; NULL if there is none. */
const char *lines_end(struct lines *lines);

#endif
