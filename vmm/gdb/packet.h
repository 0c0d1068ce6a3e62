/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The packet layer of gdb's remote serial protocol. No I/O and no machine. (gdb manual, appendix
 * E.1) Loop thread.
 */
#ifndef KINGLET_GDB_PACKET_H
#define KINGLET_GDB_PACKET_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	GDB_PACKET_MAX = 4096,			 /* bytes of a packet's contents, either way */
	GDB_FRAME_MAX = 2 * GDB_PACKET_MAX + 8, /* with everything escaped, and the frame */
};

enum gdb_input {
	GDB_MORE,      /* nothing yet */
	GDB_PACKET,    /* parser->data has one */
	GDB_BROKEN,    /* a wrong checksum, or longer than GDB_PACKET_MAX: request it again */
	GDB_AGAIN,     /* the other side requests the last packet again */
	GDB_INTERRUPT, /* Ctrl-C */
};

/* Initially all zeroes. */
struct gdb_parser {
	char data[GDB_PACKET_MAX + 1]; /* contents without escapes, NUL-terminated after len */
	size_t len;
	int state;
	bool escaped, broken;
	uint8_t sum, sum_given;
};

/* Takes one byte that arrived. Any sequence of bytes is allowed. */
enum gdb_input gdb_parser_take(struct gdb_parser *parser, uint8_t byte);

/* The contents of an outgoing packet. Initially all zeroes; truncated if it does not fit. */
struct gdb_reply {
	char data[GDB_PACKET_MAX];
	size_t len;
};

void gdb_reply_add(struct gdb_reply *reply, const void *data, size_t len);
void gdb_reply_format(struct gdb_reply *reply, const char *fmt, ...) __printf(2, 3);
void gdb_reply_hex(struct gdb_reply *reply, const void *data, size_t len);

/* "$", the contents with escapes, "#" and the checksum. Returns the frame's length. */
size_t gdb_reply_frame(const struct gdb_reply *reply, char frame[GDB_FRAME_MAX]);

/* --- Reading a packet's contents, from *text on; it moves past what was taken. --- */

/* A hexadecimal number of at most 64 bits, at least one digit. */
bool gdb_take_hex(const char **text, uint64_t *value);
/* Exactly this character. */
bool gdb_take_char(const char **text, char c);
/* Exactly `len` bytes, two digits each. */
bool gdb_take_bytes(const char **text, void *data, size_t len);

#endif
