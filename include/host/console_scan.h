/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches a guest's console output for a Linux kernel panic.
 *
 * One scanner a stream, fed with all of it in order, in pieces of any size. Escape sequences and
 * control characters between the words do not matter. Bounded memory, constant work a byte.
 *
 * A line is only text: `dmesg` shows an old panic's again. CONSOLE_PANIC says that it was printed;
 * CONSOLE_PANIC_END that the kernel has written its last line and will now wait or reboot.
 */
#ifndef KINGLET_HOST_CONSOLE_SCAN_H
#define KINGLET_HOST_CONSOLE_SCAN_H

#include "host/console_lines.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONSOLE_SCAN_WINDOW = 64, CONSOLE_SCAN_LINE = 160 };

enum console_event {
	CONSOLE_PANIC,     /* "Kernel panic - not syncing", once; its line is complete */
	CONSOLE_PANIC_END, /* "---[ end Kernel panic" */
};

struct console_scan {
	/* Called from inside console_scan_feed(). */
	void (*event)(void *owner, enum console_event event);
	void *owner;                      /* borrowed */
	struct console_filter filter;
	char window[CONSOLE_SCAN_WINDOW]; /* the last visible characters of this line */
	size_t window_len;
	bool collecting; /* the rest of the panic's line */
	size_t line_len;
	char line[CONSOLE_SCAN_LINE];
};

void console_scan_init(struct console_scan *scan,
		       void (*event)(void *owner, enum console_event event), void *owner);

/* The caller serialises. */
void console_scan_feed(struct console_scan *scan, const void *data, size_t len);

/*
 * The first panic's line from "Kernel panic" on, cut at CONSOLE_SCAN_LINE - 1 characters, or NULL.
 * Also before CONSOLE_PANIC, as far as it has come. Borrowed: valid until the next feed.
 */
const char *console_scan_panic(const struct console_scan *scan);

#endif
