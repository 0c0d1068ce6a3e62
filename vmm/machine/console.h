/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's consoles: one of them, the serial port or the virtio console, has the terminal;
 * output of both goes to the observers. Machine's thread unless stated otherwise.
 *
 * Private to vmm/machine.
 */
#ifndef KINGLET_MACHINE_CONSOLE_H
#define KINGLET_MACHINE_CONSOLE_H

#include "observe.h"

#include "host/terminal.h"

struct console_options {
	const struct machine_config *config; /* all borrowed */
	struct loop *loop;
	struct ending *ending;
	struct observers *observers;
	struct serial *serial;
	struct virtio_dev *hvc; /* NULL if the config has none */
};

struct console {
	struct console_options options;
	struct terminal terminal;
	atomic_bool keys_wait; /* console_type() took less than all */
};

/* Until console_destroy(), a fault in Kinglet restores the terminal. Logs on failure. */
__must_check int console_init(struct console *console, const struct console_options *options);
void console_destroy(struct console *console);
/* The terminal's size has changed. */
void console_resized(struct console *console);
/* On a terminal: prints one line that explains how to quit. */
void console_greet(const struct console *console);
/* Guest output, shown if its console has the terminal; returns the bytes taken. Any thread. */
size_t console_write(struct console *console, enum guest_stream stream, const uint8_t *data,
		     size_t len);
/* As type() in struct machine_ops. */
size_t console_type(struct console *console, const uint8_t *keys, size_t len);
/* This console has room for input. Any thread. */
void console_input_wanted(struct console *console, enum guest_stream stream);

/* --- crash.c: a fault in Kinglet restores this terminal and exits with 104. --- */

void crash_guard(struct terminal *terminal);
void crash_unguard(void);

#endif
