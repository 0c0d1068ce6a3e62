/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard input and output as the guest's console.
 *
 * Input: the loop reads it and passes it to one consumer, at the consumer's speed: what it refuses
 * waits here, then in the pipe, and no byte is lost. On a terminal, raw mode, and Ctrl-A is an
 * escape (x quits, Ctrl-A sends itself, h prints the keys). Pipes, files, /dev/null and a closed
 * descriptor work as well; the end of input is recorded once and not passed to the guest.
 *
 * Output: buffered, and written without ever blocking a thread: at each newline, when the buffer is
 * full, and 5 ms after anything else at the latest, so that a boot costs about one write(2) per
 * line. With a slow reader terminal_write() takes less; after an error, or when the reader has
 * closed, it drops everything. The caller must ignore SIGPIPE.
 */
#ifndef KINGLET_HOST_TERMINAL_H
#define KINGLET_HOST_TERMINAL_H

#include "core/loop.h"
#include "host/input.h"
#include "host/output.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <termios.h>

enum { TERMINAL_IN_SIZE = 4096, TERMINAL_OUT_SIZE = 16384 };

struct terminal_options {
	struct loop *loop; /* borrowed */
	int in_fd, out_fd; /* borrowed; normally 0 and 1; in_fd -1: no input */
	/*
	 * All are called without any lock of the terminal, on the loop thread where not said
	 * otherwise, and may be NULL.
	 *
	 * Returns how many bytes it took; after a partial take, it must call
	 * terminal_resume_input() later.
	 */
	size_t (*input)(void *owner, const uint8_t *data, size_t len);
	/* There is room again after a partial terminal_write(). */
	void (*output_ready)(void *owner);
	/*
	 * The output cannot be written, and is dropped from now on: an errno, EPIPE when its reader
	 * has closed. Called once, by the thread that wrote, which may be in terminal_write() or
	 * terminal_destroy().
	 */
	void (*output_lost)(void *owner, int error);
	/* Ctrl-A x. */
	void (*quit)(void *owner);
	void *owner; /* borrowed */
};

struct terminal {
	struct terminal_options options;

	/* Input; loop thread only. */
	struct input input;
	struct loop_event in;	  /* of input */
	struct loop_event resume; /* eventfd, owned */
	bool in_ended;
	bool escape; /* Ctrl-A was the last byte */
	uint8_t in_buf[TERMINAL_IN_SIZE];
	size_t in_len;

	/* Terminal modes. */
	bool is_tty; /* input */
	volatile sig_atomic_t raw;
	bool have_saved;
	struct termios saved; /* from before raw mode was first entered */

	/* Output; lock. */
	pthread_mutex_t lock;
	struct output output;
	struct loop_event out; /* of output */
	struct loop_timer flush_timer;
	bool out_blocked; /* waiting for EPOLLOUT, or for the timer where there is none */
	int out_error;    /* an errno: nothing can be written any more; 0: none so far */
	bool out_told;    /* output_lost() was called */
	bool out_refused; /* terminal_write() took less than all */
	bool out_in_line; /* the last output does not end with a newline */
	bool flush_armed;
	uint8_t out_buf[TERMINAL_OUT_SIZE];
	size_t out_len;
};

/* Enters raw mode when in_fd is a terminal and we are in its foreground. Logs on failure. */
__must_check int terminal_init(struct terminal *terminal, const struct terminal_options *options);

/*
 * Writes what is buffered, and on a terminal a missing newline, but stops when the reader takes
 * nothing for a second; restores the terminal's modes and closes. The loop must not run any more.
 */
void terminal_destroy(struct terminal *terminal);

/* Leaves raw mode. Any thread, and from the handler of a fatal signal. Idempotent. */
void terminal_restore(struct terminal *terminal);

/* SIGTSTP: leaves raw mode and stops the process. Returns after it continues, in raw mode. */
void terminal_suspend(struct terminal *terminal);
/* After SIGCONT: sets raw mode again, unless the process continues in the background. */
void terminal_continue(struct terminal *terminal);

/* The consumer of input has room. Any thread; never calls back from inside. */
void terminal_resume_input(struct terminal *terminal);

/*
 * Takes guest output; returns how many bytes it took. After less than all, options.output_ready is
 * called. Any thread, never blocks.
 */
size_t terminal_write(struct terminal *terminal, const void *data, size_t len);

/* Size in characters, for virtio-console. Negative errno (ENOTTY) when output is not a terminal. */
__must_check int terminal_get_size(const struct terminal *terminal, uint16_t *columns,
				   uint16_t *rows);

#endif
