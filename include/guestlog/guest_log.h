/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest prints on its consoles, read once: an observer of the machine that hands the lines
 * to those that listen, in the order in which they asked to.
 */
#ifndef KINGLET_GUESTLOG_GUEST_LOG_H
#define KINGLET_GUESTLOG_GUEST_LOG_H

#include "guestlog/lines.h"
#include "machine/observer.h"

enum { GUEST_LOG_LISTENERS = 4 };

struct line_listener {
	/*
	 * A line, which is good until this returns. `whole` false: so far it has no newline, a
	 * prompt perhaps; told at a tick since which it has grown, and again when it is whole.
	 * Returns, and is called, as console() of struct machine_observer_ops.
	 */
	bool (*line)(void *owner, enum guest_stream stream, const char *line, bool whole,
		     struct verdict *end);
	void *owner; /* borrowed */
};

/* All zeroes at the start. */
struct guest_log {
	struct lines lines[GUEST_STREAMS];
	struct line_listener listeners[GUEST_LOG_LISTENERS];
	unsigned listener_count;
};

/* Its owner is the log. */
extern const struct machine_observer_ops guest_log_ops;

/* Before the run; at most GUEST_LOG_LISTENERS times. */
void guest_log_listen(struct guest_log *log, struct line_listener listener);

/* The run is over: what has no newline is a whole line, too. */
void guest_log_finish(struct guest_log *log);

#endif
