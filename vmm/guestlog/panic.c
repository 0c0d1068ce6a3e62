/* SPDX-License-Identifier: Apache-2.0 */
#include "guestlog/panic.h"

#include "base/cleanup.h"

#include <string.h>

#define WORDS(words, from, to) { words, sizeof(words) - 1, from, to }

/* They may follow anything: a prompt, the time, or nothing. None is longer than LINE_KEPT. */
static const struct words {
	const char *text;
	size_t len;
	enum panic_proof from, to;
} table[] = {
	WORDS("Kernel panic - not syncing", PANIC_UNKNOWN, PANIC_TEXT),
	/* Two old logs look like a crash kernel: a false alarm is better than a missed panic. */
	WORDS("Linux version ", PANIC_TEXT, PANIC_SURE),
	WORDS("reboot: Power down", PANIC_TEXT, PANIC_UNKNOWN),
	WORDS("reboot: Restarting system", PANIC_TEXT, PANIC_UNKNOWN),
	/* From any state. */
	WORDS("---[ end Kernel panic", PANIC_SURE, PANIC_SURE),
};

static void see(struct panic_report *report, const struct lines *lines, const struct words *words)
{
	struct machine_panic *panic = &report->panic;

	if (words->to == PANIC_TEXT && !report->len) {
		memcpy(panic->line, words->text, words->len);
		report->len = words->len;
		report->open = lines;
	}
	report->ended |= words->from == PANIC_SURE;
	if (words->from == PANIC_SURE || panic->proof == words->from)
		panic->proof = words->to;
	if (panic->proof == PANIC_UNKNOWN)
		*report = (struct panic_report){ 0 };
}

void panic_look(struct panic_report *report, const struct lines *lines)
{
	const char *end = lines->raw + lines->len;

	if (lines->last == LINES_NEWLINE && report->open == lines)
		report->open = NULL;
	if (lines->last != LINES_CHARACTER)
		return;
	/* Initially all zeroes, so it stays terminated. */
	if (report->open == lines && report->len < PANIC_LINE_MAX - 1)
		report->panic.line[report->len++] = end[-1];
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
		if (lines->len >= table[i].len &&
		    !memcmp(end - table[i].len, table[i].text, table[i].len))
			see(report, lines, &table[i]);
}
