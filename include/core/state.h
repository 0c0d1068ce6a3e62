/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a machine as data: sections of fields, which const tables describe. One function of
 * each part of a machine, x_state(x, state), serves both directions: it calls state_section() and
 * so on for its tables, in one order, and these save the fields or load them. docs/state.md
 * describes the format.
 *
 * What is loaded is as untrusted as a guest: a field is checked against its limits before it is
 * stored, and an object by its table's check(). Sections that are unknown, missing or in another
 * order are refused by name. All functions below that load log one line about what is wrong and
 * return -EBADMSG; what they were loading into is then of no use. Fields that an older version of a
 * table does not have keep their values.
 *
 * One thread at a time.
 */
#ifndef KINGLET_CORE_STATE_H
#define KINGLET_CORE_STATE_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Largest state file in bytes: 1,024 vCPUs of 24 KiB each, and devices. Longest name of a section,
 * of an object's part of it and of a table's.
 */
enum { STATE_MAX_SIZE = 32 << 20, STATE_NAME_MAX = 63 };

enum state_field_kind {
	STATE_FIELD_NUMBER, /* unsigned, of 1, 2, 4 or 8 bytes */
	STATE_FIELD_FLAG,   /* bool */
	STATE_FIELD_BYTES,  /* of `count`: nothing is known about them */
};

struct state_field {
	const char *name; /* NULL ends a table */
	uint32_t offset;  /* in the object, bytes */
	uint32_t count;	  /* of an array; else 1 */
	uint8_t size;	  /* of an element, bytes */
	uint8_t kind;	  /* enum state_field_kind */
	uint16_t since;	  /* first version of the table that has it; 0: every version */
	uint64_t max;	  /* largest valid number; UINT64_MAX: any */
};

#define STATE_SIZEOF(type, member) sizeof(((type *)NULL)->member)
#define STATE_FIELD(type, member, field_kind, field_size, limit)                                   \
	{                                                                                          \
		.name = #member, .offset = offsetof(type, member),                                 \
		.count = STATE_SIZEOF(type, member) / (field_size), .size = (field_size),          \
		.kind = (field_kind), .max = (limit)                                               \
	}
/* The same of one number: the plus refuses an array, whose size would be taken for a number's. */
#define STATE_SIZEOF_NUMBER(type, member)                                                          \
	(STATE_SIZEOF(type, member) + 0 * sizeof(+((type *)NULL)->member))
/* A number of any value; one of at most `limit`; an array of numbers; a bool; bytes. */
#define STATE_NUMBER(type, member) STATE_LIMITED(type, member, UINT64_MAX)
#define STATE_LIMITED(type, member, limit)                                                         \
	STATE_FIELD(type, member, STATE_FIELD_NUMBER, STATE_SIZEOF_NUMBER(type, member), limit)
#define STATE_NUMBERS(type, member)                                                                \
	STATE_FIELD(type, member, STATE_FIELD_NUMBER, sizeof(*((type *)NULL)->member), UINT64_MAX)
#define STATE_FLAG(type, member) STATE_FIELD(type, member, STATE_FIELD_FLAG, 1, 1)
#define STATE_BYTES(type, member) STATE_FIELD(type, member, STATE_FIELD_BYTES, 1, UINT64_MAX)
/* clang-format off */
#define STATE_END { .name = NULL }
/* clang-format on */

struct state_table {
	const char *name;  /* of the section's kind: "virtqueue" */
	uint16_t version;  /* that is written; at least 1. Older ones are loaded, newer ones not */
	uint32_t size;	   /* sizeof the object, also the step of an array */
	const struct state_field *fields; /* in the order of the file; new ones at the end */
	/*
	 * What the limits of fields do not say, of an object whose fields have been loaded: what is
	 * wrong with it, static, or NULL. May be NULL.
	 */
	const char *(*check)(const void *object);
};

struct state;

/* --- A state file ----------------------------------------------------------------------------- */

/* An empty state, to be saved. -ENOMEM. */
__must_check int state_new(struct state **state);
/*
 * Reads a whole state file from `fd`, borrowed, and checks its frame: magic, lengths, checksums, and
 * names, which are printable ASCII without quotes and backslashes.
 * `name` is for messages, borrowed. Logs. -EBADMSG, -EFBIG, -ENOMEM, errno of fstat(2) or pread(2).
 */
__must_check int state_open(struct state **state, int fd, const char *name);
/* NULL is allowed. */
void state_free(struct state *state);

/* Writes it; -ENOMEM or -E2BIG if there was no room for some of it, errno of write(2). */
__must_check int state_write(struct state *state, int fd);
/* All sections have been loaded; else logs the first one that has not. */
__must_check int state_end(struct state *state);

/* --- Both directions: 0, or -EBADMSG after one logged line; saving never fails here ------------ */

/* Whether it is loaded. */
bool state_loads(const struct state *state);

/* One object. `name` says which one of its kind: "virtio-net 0". */
__must_check int state_section(struct state *state, const struct state_table *table,
			       const char *name, void *object);
/* As many objects in a row as there are now: the state must have `count` of them. */
__must_check int state_array(struct state *state, const struct state_table *table,
			     const char *name, void *objects, size_t count);
/* A number of objects that the state decides, at most `max`; *count is set when all are loaded. */
__must_check int state_list(struct state *state, const struct state_table *table,
			    const char *name, void *objects, size_t max, size_t *count);
/* Bytes without fields, at most `max`. */
__must_check int state_bytes(struct state *state, const char *name, void *data, size_t max,
			     size_t *len);

/*
 * For what a part finds wrong with what it has loaded: logs it with the names of file and section,
 * and returns -EBADMSG.
 */
__must_check int state_refuse(struct state *state, const char *fmt, ...) __printf(2, 3);

/* --- Without the objects ---------------------------------------------------------------------- */

/* A section as the file has it; borrowed until state_free(). */
struct state_view {
	char table[STATE_NAME_MAX + 1], name[STATE_NAME_MAX + 1];
	uint16_t version;
	const uint8_t *data; /* objects in a row, each with its fields in a row, little-endian */
	size_t len;
};

/* The next section, which then counts as loaded; false at the end. */
bool state_next(struct state *state, struct state_view *view);

/* Back to the first section. */
void state_rewind(struct state *state);

/* Bytes of one object in a section of this version of the table. */
size_t state_object_len(const struct state_table *table, uint16_t version);

#endif
