/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output of a guest's consoles, read once: an observer of the machine that detects a kernel panic
 * and passes lines to listeners. After a panic the run continues until the kernel has printed the
 * rest or gone down, so that the log is complete.
 */
#ifndef KINGLET_GUESTLOG_GUEST_LOG_H
#define KINGLET_GUESTLOG_GUEST_LOG_H

#include "guestlog/lines.h"
#include "guestlog/panic.h"

enum { GUEST_LOG_LISTENERS = 5 };

struct line_listener {
	/*
	 * A line, valid during the call. `whole` false: it has no newline yet, for example a
	 * prompt; it is passed again when complete. Called like console() of struct
	 * machine_observer_ops, with the same result; the result of a line takes precedence over a
	 * panic.
	 */
	bool (*line)(void *owner, enum guest_stream stream, const char *line, bool whole,
		     struct verdict *end);
	void *owner; /* borrowed */
};

/* Initially all zeroes. */
struct guest_log {
	struct lines lines[GUEST_STREAMS];
	struct panic_report report;
	struct line_listener listeners[GUEST_LOG_LISTENERS];
	unsigned listener_count;
};

/* Its owner is the log. */
extern const struct machine_observer_ops guest_log_ops;

/* Before the run; at most GUEST_LOG_LISTENERS times. They are called in this order. */
void guest_log_listen(struct guest_log *log, struct line_listener listener);

/* Passes incomplete lines that have grown since the last call. Like tick() of an observer. */
bool guest_log_tick(struct guest_log *log, struct verdict *end);

/* The run is over: passes incomplete lines as complete ones. */
void guest_log_finish(struct guest_log *log);

#endif
