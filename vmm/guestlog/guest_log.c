/* SPDX-License-Identifier: Apache-2.0 */
#include "guestlog/guest_log.h"

#include "machine/machine.h"

#include <stdio.h>

/* `line` NULL: there is none. */
static bool tell(struct guest_log *log, enum guest_stream stream, const char *line, bool whole,
		 struct verdict *end)
{
	bool enough = false;

	for (unsigned i = 0; line && i < log->listener_count; i++) {
		const struct line_listener *listener = &log->listeners[i];

		enough |= listener->line(listener->owner, stream, line, whole, end);
	}
	return enough;
}

static bool see_console(void *owner, enum guest_stream stream, const uint8_t *data, size_t len,
			struct verdict *end)
{
	struct guest_log *log = owner;
	struct lines *lines = &log->lines[stream];
	bool enough = false;

	for (size_t i = 0; i < len; i++) {
		uint8_t c = *(const volatile uint8_t *)&data[i];
		const char *line = lines_feed(lines, c);

		panic_look(&log->report, lines);
		enough |= tell(log, stream, line, true, end);
	}
	if (enough || !log->report.ended)
		return enough;
	end->outcome = OUTCOME_PANIC;
	snprintf(end->detail, sizeof(end->detail), "%s",
		 log->report.len ? log->report.panic.line : "the guest reported a panic");
	return true;
}

static void tell_panic(void *owner, struct machine_panic *panic)
{
	const struct guest_log *log = owner;

	*panic = log->report.panic;
}

/* Clears the state of the previous boot. */
static void forget_boot(void *owner)
{
	struct guest_log *log = owner;

	log->report = (struct panic_report){ 0 };
}

const struct machine_observer_ops guest_log_ops = {
	.console = see_console,
	.panic = tell_panic,
	.restarting = forget_boot,
};

bool guest_log_tick(struct guest_log *log, struct verdict *end)
{
	bool enough = false;

	for (unsigned i = 0; i < GUEST_STREAMS; i++)
		enough |= tell(log, i, lines_partial(&log->lines[i]), false, end);
	return enough;
}

void guest_log_listen(struct guest_log *log, struct line_listener listener)
{
	log->listeners[log->listener_count++] = listener;
}

void guest_log_finish(struct guest_log *log)
{
	struct verdict ignored;

	for (unsigned i = 0; i < GUEST_STREAMS; i++)
		tell(log, i, lines_end(&log->lines[i]), true, &ignored);
}
