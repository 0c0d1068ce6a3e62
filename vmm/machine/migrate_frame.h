/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames of a migration's stream (docs/migration.md). Private to vmm/machine.
 */
#ifndef KINGLET_MACHINE_MIGRATE_FRAME_H
#define KINGLET_MACHINE_MIGRATE_FRAME_H

#include "base/cleanup.h"
#include "base/le.h"

#include <stdbool.h>
#include <stddef.h>

enum { MIGRATE_VERSION = 1 };

enum migrate_frame {
	FRAME_HELLO = 1, /* source: its version, then a state file that says what the machine is */
	FRAME_BUILT,	 /* target: such a machine is there */
	FRAME_PAGES,	 /* source: struct pages_header, and pages unless they are zeros */
	FRAME_STATE,	 /* source: a state file: all of the machine but its RAM */
	FRAME_READY,	 /* target: it is loaded */
	FRAME_COMMIT,	 /* source: from its last byte on, the machine is the target's */
	FRAME_DONE,	 /* target: it runs */
	FRAME_ERROR,	 /* target: it gives up; a line of text */
	FRAMES,
};

struct frame_header {
	struct le32 type;
	struct le32 len; /* bytes that follow */
};

/* HELLO has the words of a command line; ERROR is shown. */
enum { HELLO_MAX = 128 << 10, ERROR_TEXT_MAX = 240 };

/* One that is being sent. */
struct frame {
	uint8_t *data; /* owned */
	size_t size, len, at; /* of `data`; of the frame; of what has been sent */
	const uint8_t *tail;  /* borrowed: what comes after `data`; NULL: nothing */
	size_t tail_len;      /* counts in `len` */
};

/* Where this many bytes of payload go, or NULL: out of memory. */
uint8_t *frame_reserve(struct frame *frame, size_t payload);
/* They are there. */
void frame_finish(struct frame *frame, enum migrate_frame type, size_t payload);
/* As frame_finish(), and then come bytes that are borrowed until the frame is sent. */
void frame_finish_with(struct frame *frame, enum migrate_frame type, size_t payload,
		       const uint8_t *tail, size_t tail_len);
/* Some of it, to a socket: how many bytes, or -1 and errno of sendmsg(2). */
ssize_t frame_send(struct frame *frame, int fd);
/*
 * What `write` puts into an empty file: its fd, which the caller owns. Errors of `write`, and of
 * memfd_create(2).
 */
__must_check int frame_file(int (*write)(void *owner, int fd), void *owner);
/*
 * A frame with `before` bytes, which are the caller's to set in *payload, and then all of a file of
 * at most `max` bytes, borrowed. -E2BIG; -ENOMEM; errno of fstat(2) or pread(2).
 */
__must_check int frame_of_file(struct frame *frame, enum migrate_frame type, size_t before, int fd,
			       size_t max, uint8_t **payload);
void frame_destroy(struct frame *frame);

static inline bool frame_is_sent(const struct frame *frame)
{
	return frame->at == frame->len;
}

#endif
