/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the lines of a console mean: where the kernel's messages begin, which of them complain, and
 * which lines say that a boot has failed. Pure functions, any thread.
 */
#ifndef KINGLET_GUESTLOG_MESSAGES_H
#define KINGLET_GUESTLOG_MESSAGES_H

#include <stdbool.h>

/*
 * The message after what printk puts before it: "<4>", "[    1.234567] ", "[    T1] ". `stamped`
 * (may be NULL): there was a time. A line of another program comes back as it is.
 */
const char *message_of_line(const char *line, bool *stamped);

/* The kernel's first line, and the one before it starts init; the time may stand before them. */
bool message_is_banner(const char *line);
bool message_starts_init(const char *line);

/* From mild to grave. */
enum kernel_complaint {
	KERNEL_FINE,
	KERNEL_WARNING, /* WARN_ON(), lockdep, a stalled or hung task */
	KERNEL_BUG,	/* BUG(), "BUG: …": KASAN, scheduling while atomic, a lockup */
	KERNEL_OOPS,	/* a fault in the kernel */
};

enum kernel_complaint message_complaint(const char *message);

/* The last line of what the kernel prints for a complaint. */
bool message_ends_trace(const char *message);

/* "warning", "bug", "oops"; static. */
const char *kernel_complaint_name(enum kernel_complaint complaint);

/*
 * What an early user space says when it cannot go on: the initramfs of initramfs-tools, dracut,
 * mkinitcpio or Alpine, and systemd. What comes next is a shell that waits for a person, a halt,
 * or a reboot that looks like any other.
 */
enum boot_failure {
	BOOT_FINE,
	BOOT_FAILURE_REASON, /* what is wrong; the end comes next */
	BOOT_FAILURE_END,    /* it has given up */
};

/* Of a message, or of as much of it as has come. */
enum boot_failure message_boot_failure(const char *message);

#endif
