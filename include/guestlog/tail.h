/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last lines of a guest's consoles, which show how it ended. The caller serialises.
 */
#ifndef KINGLET_GUESTLOG_TAIL_H
#define KINGLET_GUESTLOG_TAIL_H

enum { TAIL_LINES = 100 };

/* Initially all zeroes. */
struct tail {
	char *lines[TAIL_LINES]; /* a ring; owned */
	unsigned count;			 /* of all lines so far */
};

void tail_destroy(struct tail *tail);

/* Keeps a copy; an empty line if out of memory. */
void tail_add(struct tail *tail, const char *line);

/* Line `index` of the kept ones, oldest first; NULL after the last. Borrowed. */
const char *tail_line(const struct tail *tail, unsigned index);

#endif
