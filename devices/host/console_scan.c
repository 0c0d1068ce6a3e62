/* SPDX-License-Identifier: Apache-2.0 */
#include "host/console_scan.h"

#include <string.h>

static const char panic_text[] = "Kernel panic - not syncing";
static const char panic_end_text[] = "---[ end Kernel panic";

void console_scan_init(struct console_scan *scan,
		       void (*event)(void *owner, enum console_event event), void *owner)
{
	*scan = (struct console_scan){ .event = event, .owner = owner };
}

const char *console_scan_panic(const struct console_scan *scan)
{
	return scan->line_len ? scan->line : NULL;
}

static bool window_ends_with(const struct console_scan *scan, const char *text, size_t len)
{
	return scan->window_len >= len && !memcmp(scan->window + scan->window_len - len, text, len);
}

static void end_line(struct console_scan *scan)
{
	scan->window_len = 0;
	if (scan->collecting) {
		scan->collecting = false;
		scan->event(scan->owner, CONSOLE_PANIC);
	}
}

static void visible(struct console_scan *scan, char c)
{
	enum { KEEP = CONSOLE_SCAN_WINDOW / 2 };

	_Static_assert(sizeof(panic_text) <= KEEP && sizeof(panic_end_text) <= KEEP,
		       "a text may lie across the moving of the window");
	if (scan->window_len == sizeof(scan->window)) {
		memmove(scan->window, scan->window + sizeof(scan->window) - KEEP, KEEP);
		scan->window_len = KEEP;
	}
	scan->window[scan->window_len++] = c;

	if (scan->collecting) {
		scan->line[scan->line_len++] = c;
		/* The array began as zeroes: it stays terminated. */
		if (scan->line_len == sizeof(scan->line) - 1)
			end_line(scan);
	} else if (window_ends_with(scan, panic_text, sizeof(panic_text) - 1)) {
		if (!scan->line_len) {
			memcpy(scan->line, panic_text, sizeof(panic_text));
			scan->line_len = sizeof(panic_text) - 1;
			scan->collecting = true;
		}
	} else if (window_ends_with(scan, panic_end_text, sizeof(panic_end_text) - 1)) {
		scan->event(scan->owner, CONSOLE_PANIC_END);
	}
}

void console_scan_feed(struct console_scan *scan, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++) {
		uint8_t c = bytes[i];

		if (console_filter_byte(&scan->filter, c))
			visible(scan, (char)c);
		else if (c == '\n')
			end_line(scan);
	}
}
