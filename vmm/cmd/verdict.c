/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"

static const char *const outcome_names[] = {
	[OUTCOME_POWEROFF] = "power-off",
	[OUTCOME_REBOOT] = "reboot",
	[OUTCOME_HALTED] = "halt",
	[OUTCOME_STATUS] = "guest status",
	[OUTCOME_USAGE] = "wrong option or file",
	[OUTCOME_HOST] = "host error",
	[OUTCOME_PANIC] = "panic",
	[OUTCOME_TRIPLE_FAULT] = "triple fault",
	[OUTCOME_INTERNAL_ERROR] = "internal error",
	[OUTCOME_TIMEOUT] = "timeout",
	[OUTCOME_SIGNAL] = "signal",
	[OUTCOME_QUIT] = "quit",
	[OUTCOME_BUDGET] = "over budget",
	[OUTCOME_OBSERVER] = "seen on the console",
};

void verdict_format(const struct verdict *verdict, double seconds, char *text, size_t len)
{
	bool detail = verdict->detail[0];
	bool at_start = verdict->outcome == OUTCOME_USAGE || verdict->outcome == OUTCOME_HOST;
	char number[16] = "";

	text[0] = '\0';
	/* No failure, but seldom what was wanted. */
	if (verdict->outcome == OUTCOME_REBOOT)
		snprintf(text, len, "guest rebooted after %.2f s", seconds);
	if (!verdict->status || (at_start && !detail))
		return;
	if (verdict->outcome == OUTCOME_STATUS)
		snprintf(number, sizeof(number), " %d", verdict->status);
	else if (verdict->outcome == OUTCOME_SIGNAL)
		snprintf(number, sizeof(number), " %d", verdict->status - 128);
	snprintf(text, len, "%s%s after %.2f s%s%s", outcome_names[verdict->outcome], number,
		 seconds, detail ? ": " : "", verdict->detail);
}
