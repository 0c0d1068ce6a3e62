/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"

/* For people, and for programs that read the line or the report of a test. */
static const struct {
	const char *phrase, *word;
} outcomes[] = {
	[OUTCOME_POWEROFF] = { "power-off", "powered-off" },
	[OUTCOME_REBOOT] = { "reboot", "rebooted" },
	[OUTCOME_HALTED] = { "halt", "halted" },
	[OUTCOME_STATUS] = { "guest status", "guest-status" },
	[OUTCOME_USAGE] = { "wrong option or file", "usage" },
	[OUTCOME_HOST] = { "host error", "host-error" },
	[OUTCOME_PANIC] = { "panic", "panic" },
	[OUTCOME_TRIPLE_FAULT] = { "triple fault", "triple-fault" },
	[OUTCOME_INTERNAL_ERROR] = { "internal error", "internal-error" },
	[OUTCOME_TIMEOUT] = { "timeout", "timeout" },
	[OUTCOME_SIGNAL] = { "signal", "signal" },
	[OUTCOME_QUIT] = { "quit", "quit" },
	[OUTCOME_BUDGET] = { "over budget", "budget" },
	[OUTCOME_OBSERVER] = { "seen on the console", "seen" },
};

const char *outcome_word(enum outcome outcome)
{
	return outcomes[outcome].word;
}

void verdict_format(const struct verdict *verdict, double seconds, char *text, size_t len)
{
	bool detail = verdict->detail[0];
	bool at_start = verdict->outcome == OUTCOME_USAGE || verdict->outcome == OUTCOME_HOST;
	char number[16] = "";

	text[0] = '\0';
	/* Not a failure, but rarely intended. */
	if (verdict->outcome == OUTCOME_REBOOT)
		snprintf(text, len, "guest rebooted after %.2f s", seconds);
	if (!verdict->status || (at_start && !detail))
		return;
	if (verdict->outcome == OUTCOME_STATUS)
		snprintf(number, sizeof(number), " %d", verdict->status);
	else if (verdict->outcome == OUTCOME_SIGNAL)
		snprintf(number, sizeof(number), " %d", verdict->status - 128);
	snprintf(text, len, "%s%s after %.2f s%s%s", outcomes[verdict->outcome].phrase, number,
		 seconds, detail ? ": " : "", verdict->detail);
}
