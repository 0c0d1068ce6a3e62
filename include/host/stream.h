/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard input, output and error of a program that runs in the guest: bytes, their end, and
 * nothing else; no raw mode, no escapes. A terminal stays as it is: lines, Ctrl-D ends the input,
 * Ctrl-C is a signal to this process.
 *
 * Neither side ever blocks in a system call, and at most STREAM_IN_SIZE is buffered: what the
 * consumer does not take stays in the pipe, and what cannot be written now stays with the writer.
 * All on the loop thread. The caller must ignore SIGPIPE.
 */
#ifndef KINGLET_HOST_STREAM_H
#define KINGLET_HOST_STREAM_H

#include "core/loop.h"
#include "host/input.h"
#include "host/output.h"

#include <stddef.h>

enum { STREAM_IN_SIZE = 65536 };

/* --- Input ------------------------------------------------------------------------------------ */

struct stream_in_ops {
	/*
	 * Returns how many bytes it took; after a partial take, it must call stream_in_resume()
	 * later.
	 */
	size_t (*input)(void *owner, const uint8_t *data, size_t len);
	/* All input was taken, and it has ended. Called once. */
	void (*ended)(void *owner);
};

struct stream_in {
	struct loop *loop; /* borrowed */
	const struct stream_in_ops *ops;
	void *owner;		  /* borrowed */
	struct input input;
	struct loop_event event;  /* of input */
	struct loop_event resume; /* eventfd, owned */
	bool ended, told;
	uint8_t data[STREAM_IN_SIZE];
	size_t len;
};

/* Reads `fd` from the first stream_in_resume() on. Negative errno. */
__must_check int stream_in_init(struct stream_in *in, struct loop *loop, int fd,
				const struct stream_in_ops *ops, void *owner);
void stream_in_destroy(struct stream_in *in);
/* The consumer has room, from the loop's next turn on. Never calls back from inside. */
void stream_in_resume(struct stream_in *in);

/* --- Output ----------------------------------------------------------------------------------- */

struct stream_out_ops {
	/* There is room again after a partial stream_out_write(). */
	void (*ready)(void *owner);
	/* An error occurred: further output is dropped. Called once. */
	void (*broken)(void *owner);
};

struct stream_out {
	struct loop *loop; /* borrowed */
	const struct stream_out_ops *ops;
	void *owner; /* borrowed */
	struct output output;
	struct loop_event event;  /* of output */
	struct loop_event broken_pipe; /* eventfd, owned: broken() is due */
	bool waiting;		  /* for room; event is in the loop */
	int error; /* an errno, EPIPE when the reader has closed; 0: none so far */
};

/* Writes to `fd`. Negative errno. */
__must_check int stream_out_init(struct stream_out *out, struct loop *loop, int fd,
				 const struct stream_out_ops *ops, void *owner);
void stream_out_destroy(struct stream_out *out);
/*
 * Returns how many bytes were taken: written, or dropped if out->error is set. Never calls back
 * from inside.
 */
size_t stream_out_write(struct stream_out *out, const void *data, size_t len);

#endif
