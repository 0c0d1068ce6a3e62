/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A saved machine: a folder with the files `state` (core/state.h) and `memory`, all RAM byte for
 * byte, sparse (docs/state.md). Main thread unless stated otherwise.
 */
#ifndef KINGLET_MACHINE_SNAPSHOT_H
#define KINGLET_MACHINE_SNAPSHOT_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

struct state;
struct state_table;

/* The first section: what is needed before a machine can be built. */
struct snapshot_info {
	uint8_t version[16]; /* of the Kinglet that saved it, text */
	uint16_t machine;    /* EM_* of elf.h */
	uint32_t cpus;
	uint64_t memory;   /* bytes of RAM */
	uint64_t saved_ns; /* CLOCK_REALTIME */
};

enum { SNAPSHOT_WORDS_MAX = 64 };

struct snapshot {
	struct snapshot_info info;
	struct state *state;             /* owned; the machine's sections are next */
	int memory_fd;                   /* owned: file `memory` */
	char *path;                      /* owned: of the file `state`, for messages */
	char *options;                   /* owned: the words, NUL-terminated */
	char *words[SNAPSHOT_WORDS_MAX]; /* options of the saved machine: "--cpus=2" */
	unsigned word_count;
	unsigned users; /* that snapshot_free() must still hear of, beside one */
};

/* The tables of a machine's sections: the nth, and the one of this name. NULL: there is none. */
const struct state_table *snapshot_table_at(unsigned n);
const struct state_table *snapshot_table(const char *name);

/* Removes a snapshot's files from its folder, as far as they are there. Any thread. */
void snapshot_empty(int dir_fd);

/*
 * Opens a snapshot, and reads what comes before the machine's sections. Its words name files of
 * this host: so the folder and its files are taken only if no other user than root can write to
 * them. Logs. -ENOENT, -EACCES, … of open(2); -EPERM: others can write to it; -EBADMSG: it is not,
 * or not of this architecture, or damaged; -ENOMEM.
 */
__must_check int snapshot_open(struct snapshot **snapshot, const char *dir);
/*
 * Whether a machine may be saved in `dir`, as far as can be told without writing: its parent is
 * there and can be written, and it is not there, or has nothing but a snapshot. Logs. -EEXIST,
 * -ENOTDIR, -ELOOP: it is something else; -ENOENT, -EACCES, -EROFS, … of the parent; -ENOMEM.
 */
__must_check int snapshot_check_target(const char *dir);
/*
 * As snapshot_open(), of a state file alone, without memory_fd; fd is borrowed, and `name` is for messages.
 * It is taken as it is, whoever owns it. Logs. -EBADMSG, -ENOMEM, errno of pread(2).
 */
__must_check int snapshot_take(struct snapshot **snapshot, int fd, const char *name);
/* One more user, as of a list of tests; each calls snapshot_free(). NULL is allowed. */
struct snapshot *snapshot_share(struct snapshot *snapshot);
/* NULL is allowed. */
void snapshot_free(struct snapshot *snapshot);

#endif
