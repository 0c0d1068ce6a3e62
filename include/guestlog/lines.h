/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One console of a guest as lines of text: without escape sequences and control characters, valid
 * UTF-8 whatever the guest prints. Bounded memory, constant work a byte. The caller serialises.
 */
#ifndef KINGLET_GUESTLOG_LINES_H
#define KINGLET_GUESTLOG_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length of a line, and what is kept of one that goes on after its end: see `raw`. */
enum { LINE_MAX_LEN = 1024, LINE_KEPT = 64 };

/* What a byte was. */
enum lines_byte { LINES_HIDDEN, LINES_CHARACTER, LINES_NEWLINE };

/* All zeroes at the start. */
struct lines {
	unsigned escape;      /* which kind of escape sequence this is */
	enum lines_byte last; /* the last byte that was fed */
	bool grown;	      /* since lines_partial() */
	bool returned;	      /* to the start of the line */
	/*
	 * The last characters since a newline: the line so far from `start` on, and before it up to
	 * LINE_KEPT of the one that it goes on from.
	 */
	size_t start, len;
	char raw[LINE_KEPT + LINE_MAX_LEN];
	char text[LINE_MAX_LEN + 64]; /* what was handed out last */
};

/*
 * One byte of the stream. Returns the line that it ends, or NULL. A carriage return, too, ends a
 * line when text follows it, as after a progress bar. A line of LINE_MAX_LEN bytes ends there.
 * Valid until the next call.
 */
const char *lines_feed(struct lines *lines, uint8_t c);

/* The line so far, when it has grown since it was last asked for; else NULL. As above. */
const char *lines_partial(struct lines *lines);

/* What was left without a newline, as a line; NULL when there is nothing. */
const char *lines_end(struct lines *lines);

#endif
