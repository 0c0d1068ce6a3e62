/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest prints on its consoles, read once: an observer of the machine that looks for a
 * kernel's panic and hands lines to those that listen. After a panic the run goes on until the
 * kernel has printed the rest or gone down, so that the log is whole.
 */
#ifndef KINGLET_GUESTLOG_GUEST_LOG_H
#define KINGLET_GUESTLOG_GUEST_LOG_H

#include "guestlog/lines.h"
#include "guestlog/panic.h"

enum { GUEST_LOG_LISTENERS = 4 };

struct line_listener {
	/*
	 * A line, which is good until this returns. `whole` false: so far it has no newline, a
	 * prompt perhaps; it is told again when it is whole. Returns, and is called, as console()
	 * of struct machine_observer_ops; what a line shows goes before a panic.
	 */
	bool (*line)(void *owner, enum guest_stream stream, const char *line, bool whole,
		     struct verdict *end);
	void *owner; /* borrowed */
};

/* All zeroes at the start. */
struct guest_log {
	struct lines lines[GUEST_STREAMS];
	struct panic_report report;
	struct line_listener listeners[GUEST_LOG_LISTENERS];
	unsigned listener_count;
};

/* Its owner is the log. */
extern const struct machine_observer_ops guest_log_ops;

/* Before the run; at most GUEST_LOG_LISTENERS times. They are told in this order. */
void guest_log_listen(struct guest_log *log, struct line_listener listener);

/* Tells of lines without a newline that have grown since the last call. As tick() of an observer. */
bool guest_log_tick(struct guest_log *log, struct verdict *end);

/* The run is over: what has no newline is a whole line, too. */
void guest_log_finish(struct guest_log *log);

#endif
