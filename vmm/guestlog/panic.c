/* SPDX-License-Identifier: Apache-2.0 */
#include "guestlog/panic.h"

#include "base/cleanup.h"

#include <string.h>

#define WORDS(words, from, to) { words, sizeof(words) - 1, from, to }

/* They may stand after anything: a prompt, the time, or none. None is longer than LINE_KEPT. */
static const struct words {
	const char *text;
	size_t len;
	enum console_panic from, to;
} table[] = {
	WORDS("Kernel panic - not syncing", CONSOLE_PANIC_NONE, CONSOLE_PANIC_TEXT),
	WORDS("---[ end Kernel panic", CONSOLE_PANIC_NONE, CONSOLE_PANIC_END),
	/* Two old logs look the same as a crash kernel: better a false alarm than none. */
	WORDS("Linux version ", CONSOLE_PANIC_TEXT, CONSOLE_PANIC_CRASH),
	WORDS("reboot: Power down", CONSOLE_PANIC_TEXT, CONSOLE_PANIC_NONE),
	WORDS("reboot: Restarting system", CONSOLE_PANIC_TEXT, CONSOLE_PANIC_NONE),
};

static void see(struct panic_report *report, const struct lines *lines, const struct words *words)
{
	if (words->to == CONSOLE_PANIC_TEXT && !report->len) {
		memcpy(report->line, words->text, words->len);
		report->len = words->len;
		report->open = lines;
	}
	if (words->to == CONSOLE_PANIC_END || report->stage == words->from)
		report->stage = words->to;
	if (report->stage == CONSOLE_PANIC_NONE)
		*report = (struct panic_report){ 0 };
}

void panic_look(struct panic_report *report, const struct lines *lines)
{
	const char *end = lines->raw + lines->len;

	if (lines->last == LINES_NEWLINE && report->open == lines)
		report->open = NULL;
	if (lines->last != LINES_CHARACTER)
		return;
	/* It began as zeroes, and so stays terminated. */
	if (report->open == lines && report->len < sizeof(report->line) - 1)
		report->line[report->len++] = end[-1];
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
		if (lines->len >= table[i].len &&
		    !memcmp(end - table[i].len, table[i].text, table[i].len))
			see(report, lines, &table[i]);
}

void console_scan_init(struct console_scan *scan, struct panic_report *report)
{
	*scan = (struct console_scan){ .report = report };
}

void console_scan_feed(struct console_scan *scan, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++) {
		lines_feed(&scan->lines, bytes[i]);
		panic_look(scan->report, &scan->lines);
	}
}
