/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last lines of a guest's consoles, for whoever asks how it came to an end. The caller
 * serialises.
 */
#ifndef KINGLET_GUESTLOG_TAIL_H
#define KINGLET_GUESTLOG_TAIL_H

enum { CONSOLE_TAIL_LINES = 100 };

/* All zeroes at the start. */
struct console_tail {
	char *lines[CONSOLE_TAIL_LINES]; /* a ring; owned */
	unsigned count;			 /* all that there were */
};

void console_tail_destroy(struct console_tail *tail);

/* Keeps a copy; without memory an empty line. */
void console_tail_add(struct console_tail *tail, const char *line);

/* Line `index` of those that are kept, the oldest first; NULL behind the last. Borrowed. */
const char *console_tail_line(const struct console_tail *tail, unsigned index);

#endif
