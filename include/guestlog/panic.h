/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds a Linux kernel panic in what a guest prints on its consoles.
 *
 * A line is only text: a program that prints an old log shows its panic again. What follows tells
 * (Linux 6.1, kernel/panic.c and kernel/reboot.c). With panic=0 or panic=N the kernel's last line
 * is "---[ end Kernel panic"; with a negative one it resets the machine without another word; a
 * crash kernel, if one is loaded, boots instead. A panicked kernel never powers off, and it never
 * prints "reboot: …", as one does that goes down in order: then the text was old.
 *
 * Bounded memory, constant work a byte. The caller serialises, for all consoles of a guest.
 */
#ifndef KINGLET_GUESTLOG_PANIC_H
#define KINGLET_GUESTLOG_PANIC_H

#include "guestlog/lines.h"

enum { PANIC_LINE_LEN = 160 };

enum console_panic {
	CONSOLE_PANIC_NONE,
	CONSOLE_PANIC_TEXT,  /* "Kernel panic - not syncing": true if the guest resets next */
	CONSOLE_PANIC_CRASH, /* true: another kernel's banner came next */
	CONSOLE_PANIC_END,   /* true, and the kernel has written its last line */
};

/* All zeroes at the start, and when the machine is reset. */
struct panic_report {
	enum console_panic stage;
	const struct lines *open; /* the console whose line goes on; borrowed, or NULL */
	size_t len;
	/* The first panic's, from "Kernel panic" on as far as it has come; terminated. */
	char line[PANIC_LINE_LEN];
};

/* Looks at the byte that was fed last: after each one, for each console of the guest. */
void panic_look(struct panic_report *report, const struct lines *lines);

struct console_scan {
	struct panic_report *report; /* borrowed */
	struct lines lines;
};

void console_scan_init(struct console_scan *scan, struct panic_report *report);
void console_scan_feed(struct console_scan *scan, const void *data, size_t len);

#endif
