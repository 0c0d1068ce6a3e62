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

enum { PROGRAM_PORTS = 4 };
extern const char *const program_ports[PROGRAM_PORTS];
extern const unsigned program_bulk; /* the port with the longest input: the files */

/* All borrowed; `files` is a file, sent from its start. Logs on failure. */
__must_check int program_new(struct program **program, int files, struct loop *loop,
			     struct ending *ending, struct virtio_dev *console);
/* NULL is allowed. */
void program_free(struct program *program);

/* Both are called in the console's callbacks; the first returns the bytes taken. */
size_t program_output(struct program *program, unsigned port, const uint8_t *data, size_t len);
void program_input_wanted(struct program *program, unsigned port);

/* Everything written before its status has been passed on: the status ends the run. */
void program_ended(struct program *program);

#endif
