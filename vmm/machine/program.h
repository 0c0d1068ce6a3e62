/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program in the guest: its files, and its standard streams, as streams of the virtio console;
 * the run ends with the program. Machine's thread. Private to vmm/machine.
 *
 * A guest may wait before it takes the files, for a snapshot that serves other programs, too: so
 * the standard input is not read before it has taken some of them.
 */
#ifndef KINGLET_MACHINE_PROGRAM_H
#define KINGLET_MACHINE_PROGRAM_H

#include "verdict.h"

struct loop;
struct program;
struct virtio_dev;

/*
 * The console's streams, in a row, from a port that is the owner's choice. The files' one has long
 * input. It is the last: a guest that sees its name knows of all ports before it.
 */
enum { PROGRAM_STDIN, PROGRAM_STDOUT, PROGRAM_STDERR, PROGRAM_FILES, PROGRAM_PORTS };
extern const char *const program_ports[PROGRAM_PORTS];

/* Bytes of what program_renewal() writes, with its NUL. */
enum { PROGRAM_RENEWAL_MAX = 128 };

/* All borrowed; `port` is the first one. Logs on failure. */
__must_check int program_new(struct program **program, const struct machine_config *config,
			     struct loop *loop, struct ending *ending, struct virtio_dev *console,
			     unsigned port);
/* NULL is allowed. */
void program_free(struct program *program);

/* Both are called in the console's callbacks; the first returns the bytes taken. */
size_t program_output(struct program *program, unsigned port, const uint8_t *data, size_t len);
void program_input_wanted(struct program *program, unsigned port);

/*
 * What a guest that goes on from a snapshot cannot know, as text for its init (cmd/guest_init.h):
 * the time of day, and random bytes. Logs; errno of getrandom(2).
 */
__must_check int program_renewal(char text[PROGRAM_RENEWAL_MAX]);

/* Everything written before its status has been passed on: the status ends the run. */
void program_ended(struct program *program);

#endif
