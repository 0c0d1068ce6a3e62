/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds a Linux kernel panic in the output of a guest's consoles.
 *
 * A line is only text: a program that prints an old log shows its panic again. What follows decides
 * (Linux 6.1, kernel/panic.c and kernel/reboot.c). With panic=0 or panic=N the kernel's last line
 * is "---[ end Kernel panic"; with a negative one it resets the machine without another message; a
 * crash kernel, if one is loaded, boots instead. A panicked kernel never powers off, and never
 * prints "reboot: …" as in an orderly shutdown: then the text was old.
 *
 * Bounded memory, constant work per byte. The caller serialises, for all consoles of a guest.
 */
#ifndef KINGLET_GUESTLOG_PANIC_H
#define KINGLET_GUESTLOG_PANIC_H

#include "guestlog/lines.h"
#include "machine/observer.h"

/* All zeroes initially, and when the machine is reset. */
struct panic_report {
	/*
	 * PANIC_SURE when another kernel's banner followed. The line is that of the first panic, so
	 * far.
	 */
	struct machine_panic panic;
	bool ended;		  /* also sure: the kernel has printed its last line */
	const struct lines *open; /* console of the panic's line; borrowed, or NULL */
	size_t len;		  /* of the line */
};

/* Examines the last byte fed: to be called after each one, for each console of the guest. */
void panic_look(struct panic_report *report, const struct lines *lines);

#endif
