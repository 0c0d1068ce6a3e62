/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Linux says of itself on a console: how its messages begin, and which of them complain. Pure
 * functions, any thread.
 */
#ifndef KINGLET_GUESTLOG_MESSAGES_H
#define KINGLET_GUESTLOG_MESSAGES_H

#include <stdbool.h>

/* From mild to grave. */
enum kernel_complaint {
	KERNEL_FINE,
	KERNEL_WARNING, /* WARN_ON(), lockdep, a stalled or hung task */
	KERNEL_BUG,	/* BUG(), "BUG: …": KASAN, scheduling while atomic, a lockup */
	KERNEL_OOPS,	/* a fault in the kernel */
};

/*
 * The message behind what printk puts before it: "<4>", "[    1.234567] ", "[    T1] ". `stamped`
 * (may be NULL): there was a time. A line of another program comes back as it is.
 */
const char *kernel_log_message(const char *line, bool *stamped);

/* What a message without such a beginning complains of. */
enum kernel_complaint kernel_log_complaint(const char *message);

/* The last line of what the kernel prints for a complaint. */
bool kernel_log_ends_trace(const char *message);

/* "warning", "bug", "oops"; static. */
const char *kernel_complaint_name(enum kernel_complaint complaint);

#endif
