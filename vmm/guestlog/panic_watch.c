/* SPDX-License-Identifier: Apache-2.0 */
#include "guestlog/panic_watch.h"

#include "machine/machine.h"

#include <stdio.h>

void panic_watch_init(struct panic_watch *watch)
{
	watch->report = (struct panic_report){ 0 };
	for (unsigned i = 0; i < GUEST_STREAMS; i++)
		console_scan_init(&watch->scans[i], &watch->report);
}

static bool see_console(void *owner, enum guest_stream stream, const uint8_t *data, size_t len,
			struct verdict *end)
{
	struct panic_watch *watch = owner;

	console_scan_feed(&watch->scans[stream], data, len);
	if (watch->report.stage != CONSOLE_PANIC_END)
		return false;
	end->outcome = OUTCOME_PANIC;
	snprintf(end->detail, sizeof(end->detail), "%s",
		 watch->report.len ? watch->report.line : "the guest reported a panic");
	return true;
}

static void tell(void *owner, struct machine_panic *panic)
{
	static const enum panic_proof proofs[] = {
		[CONSOLE_PANIC_NONE] = PANIC_UNKNOWN,
		[CONSOLE_PANIC_TEXT] = PANIC_TEXT,
		[CONSOLE_PANIC_CRASH] = PANIC_SURE,
		[CONSOLE_PANIC_END] = PANIC_SURE,
	};
	const struct panic_watch *watch = owner;

	panic->proof = proofs[watch->report.stage];
	snprintf(panic->line, sizeof(panic->line), "%s", watch->report.line);
}

/* A boot knows nothing of the one before. */
static void restarting(void *owner)
{
	panic_watch_init(owner);
}

const struct machine_observer_ops panic_watch_ops = {
	.console = see_console,
	.panic = tell,
	.restarting = restarting,
};
