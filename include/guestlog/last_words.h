/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an early user space says when it cannot go on: the initramfs of initramfs-tools, dracut,
 * mkinitcpio or Alpine, and systemd. What comes next is a shell that waits for a person, a halt,
 * or a reboot that looks like any other. A pure function, any thread.
 */
#ifndef KINGLET_GUESTLOG_LAST_WORDS_H
#define KINGLET_GUESTLOG_LAST_WORDS_H

enum last_words {
	LAST_WORDS_NONE,
	LAST_WORDS_REASON, /* what is wrong; the end comes next */
	LAST_WORDS_END,	   /* it has given up */
};

/* Of a line without printk's prefix, or of as much of it as has come. */
enum last_words last_words_find(const char *message);

#endif
