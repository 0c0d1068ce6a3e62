/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The standard streams of a program in the guest, as streams of the virtio console; the run ends
 * with the program. Machine's thread. Private to vmm/machine.
 */
#ifndef KINGLET_MACHINE_PROGRAM_H
#define KINGLET_MACHINE_PROGRAM_H

#include "verdict.h"

struct loop;
struct program;
struct virtio_dev;

enum { PROGRAM_PORTS = 3 };
extern const char *const program_ports[PROGRAM_PORTS];

/* All borrowed. Logs on failure. */
__must_check int program_new(struct program **program, struct loop *loop, struct ending *ending,
			     struct virtio_dev *console);
/* NULL is allowed. */
void program_free(struct program *program);

/* Both are called in the console's callbacks; the first returns the bytes taken. */
size_t program_output(struct program *program, unsigned port, const uint8_t *data, size_t len);
void program_input_wanted(struct program *program);

/* Everything written before its status has been passed on: the status ends the run. */
void program_ended(struct program *program);

#endif
