/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The observer that looks for a Linux kernel panic in what a guest prints. The run goes on until
 * the kernel has printed the rest or gone down, so that the log is whole.
 */
#ifndef KINGLET_GUESTLOG_PANIC_WATCH_H
#define KINGLET_GUESTLOG_PANIC_WATCH_H

#include "guestlog/panic.h"
#include "machine/observer.h"

/* The machine calls with it as its owner; nothing else looks into it meanwhile. */
struct panic_watch {
	struct console_scan scans[GUEST_STREAMS];
	struct panic_report report; /* what they know of one */
};

void panic_watch_init(struct panic_watch *watch);

extern const struct machine_observer_ops panic_watch_ops;

#endif
