/* SPDX-License-Identifier: Apache-2.0 */
#include "guestlog/console_scan.h"

#include "base/cleanup.h"

#include <string.h>

static const char panic_text[] = "Kernel panic - not syncing";

void console_scan_init(struct console_scan *scan, struct panic_report *report)
{
	*scan = (struct console_scan){ .report = report };
}

static void reach(struct panic_report *report, enum console_panic stage)
{
	if (report->stage < stage)
		report->stage = stage;
}

static void see_panic(struct console_scan *scan)
{
	struct panic_report *report = scan->report;

	reach(report, CONSOLE_PANIC_TEXT);
	if (!report->len) {
		memcpy(report->line, panic_text, sizeof(panic_text));
		report->len = sizeof(panic_text) - 1;
		scan->collecting = true;
	}
}

static void see_panic_end(struct console_scan *scan)
{
	reach(scan->report, CONSOLE_PANIC_END);
}

/* Two old logs look the same as a crash kernel: better a false alarm than none. */
static void see_banner(struct console_scan *scan)
{
	if (scan->report->stage == CONSOLE_PANIC_TEXT)
		scan->report->stage = CONSOLE_PANIC_CRASH;
}

static void see_orderly_end(struct console_scan *scan)
{
	if (scan->report->stage == CONSOLE_PANIC_TEXT)
		*scan->report = (struct panic_report){ 0 };
}

#define WORDS(words, function) { words, sizeof(words) - 1, function }

/* They may stand behind anything: a prompt, the time, or none. */
static const struct {
	const char *text;
	size_t len;
	void (*see)(struct console_scan *scan);
} words[] = {
	WORDS(panic_text, see_panic),
	WORDS("---[ end Kernel panic", see_panic_end),
	WORDS("Linux version ", see_banner),
	WORDS("reboot: Power down", see_orderly_end),
	WORDS("reboot: Restarting system", see_orderly_end),
};

static void look(struct console_scan *scan)
{
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
		if (scan->window_len >= words[i].len &&
		    !memcmp(scan->window + scan->window_len - words[i].len, words[i].text,
			    words[i].len))
			words[i].see(scan);
}

static void visible(struct console_scan *scan, char c)
{
	enum { KEEP = CONSOLE_SCAN_WINDOW / 2 };
	struct panic_report *report = scan->report;

	/* Longer than any of the words, which may lie across this move. */
	if (scan->window_len == sizeof(scan->window)) {
		memmove(scan->window, scan->window + sizeof(scan->window) - KEEP, KEEP);
		scan->window_len = KEEP;
	}
	scan->window[scan->window_len++] = c;
	/* It began as zeroes, and so stays terminated; without a beginning it was an old one. */
	if (scan->collecting && report->len && report->len < sizeof(report->line) - 1)
		report->line[report->len++] = c;
	look(scan);
}

void console_scan_feed(struct console_scan *scan, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++) {
		uint8_t c = bytes[i];

		if (console_filter_byte(&scan->filter, c)) {
			visible(scan, (char)c);
		} else if (c == '\n') {
			scan->window_len = 0;
			scan->collecting = false;
		}
	}
}
