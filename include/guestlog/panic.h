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
#include "machine/observer.h"

/* All zeroes at the start, and when the machine is reset. */
struct panic_report {
	/* Sure when another kernel's banner came next. The line is the first panic's, so far. */
	struct machine_panic panic;
	bool ended;		  /* sure, too: the kernel has written its last line */
	const struct lines *open; /* the console where the panic's line goes on; borrowed, or NULL */
	size_t len;		  /* of the line */
};

/* Looks at the byte that was fed last: after each one, for each console of the guest. */
void panic_look(struct panic_report *report, const struct lines *lines);

#endif
