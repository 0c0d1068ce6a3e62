/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last lines of a guest's consoles, which tell how it came to an end. The caller serialises.
 */
#ifndef KINGLET_GUESTLOG_TAIL_H
#define KINGLET_GUESTLOG_TAIL_H

enum { TAIL_LINES = 100 };

/* All zeroes at the start. */
struct tail {
	char *lines[TAIL_LINES]; /* a ring; owned */
	unsigned count;			 /* all that there were */
};

void tail_destroy(struct tail *tail);

/* Keeps a copy; without memory an empty line. */
void tail_add(struct tail *tail, const char *line);

/* Line `index` of those that are kept, the oldest first; NULL after the last. Borrowed. */
const char *tail_line(const struct tail *tail, unsigned index);

#endif
