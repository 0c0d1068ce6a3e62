/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's console as lines of text: without escape sequences and control characters, valid UTF-8
 * whatever the guest prints. Bounded memory, constant work a byte. The caller serialises.
 */
#ifndef KINGLET_GUESTLOG_LINES_H
#define KINGLET_GUESTLOG_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- Which bytes are text --------------------------------------------------------------------- */

/* All zeroes at the start. */
struct console_filter {
	unsigned state;
};

/*
 * One byte of the stream. True when it is seen on the screen as a character, or a part of one; a
 * newline is not, but ends every escape sequence, so that one cut short cannot hide what follows.
 */
bool console_filter_byte(struct console_filter *filter, uint8_t c);

/* --- Lines ------------------------------------------------------------------------------------ */

enum { CONSOLE_LINE_MAX = 1024 };

/* All zeroes at the start. */
struct console_lines {
	struct console_filter filter;
	size_t len;
	bool grown;			  /* since console_lines_partial() */
	bool returned;			  /* to the start of the line */
	char raw[CONSOLE_LINE_MAX];	  /* the line so far */
	char text[CONSOLE_LINE_MAX + 64]; /* what was handed out last */
};

/*
 * One byte of the stream. Returns the line that it ends, or NULL. A carriage return, too, ends a
 * line when text follows it, as after a progress bar. A line of CONSOLE_LINE_MAX bytes ends there.
 * Valid until the next call.
 */
const char *console_lines_feed(struct console_lines *lines, uint8_t c);

/* The line so far, when it has grown since it was last asked for; else NULL. As above. */
const char *console_lines_partial(struct console_lines *lines);

/* What was left without a newline, as a line; NULL when there is nothing. */
const char *console_lines_end(struct console_lines *lines);

#endif
