/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meaning of console lines: where the kernel's messages begin, which of them report problems,
 * and which lines mean that a boot has failed. Pure functions, any thread.
 */
#ifndef KINGLET_GUESTLOG_MESSAGES_H
#define KINGLET_GUESTLOG_MESSAGES_H

#include <stdbool.h>

/*
 * The message after printk's prefix: "<4>", "[    1.234567] ", "[    T1] ". `stamped` (may be NULL):
 * it had a time. A line of another program is returned unchanged.
 */
const char *message_of_line(const char *line, bool *stamped);

/* The kernel's first line, and the one before it starts init; both may have a time before them. */
bool message_is_banner(const char *line);
bool message_starts_init(const char *line);

/* By increasing severity. */
enum kernel_complaint {
	KERNEL_FINE,
	KERNEL_WARNING, /* WARN_ON(), lockdep, a stalled or hung task */
	KERNEL_BUG,	/* BUG(), "BUG: …": KASAN, scheduling while atomic, a lockup */
	KERNEL_OOPS,	/* a fault in the kernel */
};

enum kernel_complaint message_complaint(const char *message);

/* The last line of a report by the kernel. */
bool message_ends_trace(const char *message);

/* "warning", "bug", "oops"; static. */
const char *kernel_complaint_name(enum kernel_complaint complaint);

/*
 * Messages of an early user space that cannot continue: the initramfs of initramfs-tools, dracut,
 * mkinitcpio or Alpine, and systemd. Then follows a shell that waits for input, a halt, or an
 * ordinary reboot.
 */
enum boot_failure {
	BOOT_FINE,
	BOOT_FAILURE_REASON, /* the reason; the end follows */
	BOOT_FAILURE_END,    /* it has given up */
};

/* Of a message, or of an incomplete one. */
enum boot_failure message_boot_failure(const char *message);

#endif
