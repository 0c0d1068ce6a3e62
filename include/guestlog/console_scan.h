/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches a guest's consoles for a Linux kernel panic.
 *
 * One scanner a stream, fed with all of it in order, in pieces of any size; those of one guest
 * share what they know. Escape sequences and control characters between the words do not matter.
 * Bounded memory, constant work a byte.
 *
 * A line is only text: a program that prints an old log shows its panic again. What follows tells
 * (Linux 6.1, kernel/panic.c and kernel/reboot.c). With panic=0 or panic=N the kernel's last line
 * is "---[ end Kernel panic"; with a negative one it resets the machine without another word; a
 * crash kernel, if one is loaded, boots instead. A panicked kernel never powers off, and it never
 * prints "reboot: …", as one does that goes down in order: then the text was old.
 */
#ifndef KINGLET_GUESTLOG_CONSOLE_SCAN_H
#define KINGLET_GUESTLOG_CONSOLE_SCAN_H

#include "guestlog/lines.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONSOLE_SCAN_WINDOW = 64, CONSOLE_SCAN_LINE = 160 };

enum console_panic {
	CONSOLE_PANIC_NONE,
	CONSOLE_PANIC_TEXT,  /* "Kernel panic - not syncing": true if the guest resets next */
	CONSOLE_PANIC_CRASH, /* true: another kernel's banner came next */
	CONSOLE_PANIC_END,   /* true, and the kernel has written its last line */
};

/* All zeroes at the start, and when the machine is reset. */
struct panic_report {
	enum console_panic stage;
	size_t len;
	/* The first panic's, from "Kernel panic" on as far as it has come; terminated. */
	char line[CONSOLE_SCAN_LINE];
};

struct console_scan {
	struct panic_report *report; /* borrowed */
	struct console_filter filter;
	char window[CONSOLE_SCAN_WINDOW]; /* the last visible characters of this line */
	size_t window_len;
	bool collecting; /* the rest of the panic's line */
};

void console_scan_init(struct console_scan *scan, struct panic_report *report);

/* The caller serialises, for all that share a report. */
void console_scan_feed(struct console_scan *scan, const void *data, size_t len);

#endif
