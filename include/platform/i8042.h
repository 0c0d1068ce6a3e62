/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reset line of a PC's keyboard controller, and no keyboard.
 *
 * With ACPI tables that declare no 8042, guests do not probe it. Linux without ACPI does, and would
 * wait half a second for the self-test of a silent controller; it gives up at once if the buffer is
 * not empty after 16 bytes. So the buffer holds a few more bytes at power-on, each the keyboard's
 * code for an overrun; a guest that drains or polls it then sees an idle controller.
 */
#ifndef KINGLET_PLATFORM_I8042_H
#define KINGLET_PLATFORM_I8042_H

#include "core/bus.h"
#include "core/state.h"

struct i8042 {
	struct bus_region data, command; /* ports 0x60 and 0x64; the caller puts them on the bus */
	_Atomic unsigned buffered;        /* bytes waiting at the data port */
	void (*pulse_reset)(void *owner); /* vCPU threads, no lock held */
	void *owner;                      /* borrowed */
};

/* Nothing to destroy. */
void i8042_init(struct i8042 *i8042, uint64_t data_port, uint64_t command_port,
		void (*pulse_reset)(void *owner), void *owner);
/* As after power-on. */
void i8042_reset(struct i8042 *i8042);

/* Saves or loads it; vCPUs must not run. -EBADMSG, logged. */
extern const struct state_table i8042_state_table;
__must_check int i8042_state(struct i8042 *i8042, struct state *state);

#endif
