/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock of a PC's CMOS chip (MC146818A), read-only: the host's time in UTC.
 *
 * Guests that read the ACPI tables do not use it: the FADT says that there is none, and kvmclock
 * provides the time. Without ACPI, Linux assumes one; on ports that read all-ones it would see an
 * endless update in progress and poll it some ten thousand times before it gives up. Xen requires
 * one, and with its option cmos-rtc-probe looks for it. Alarms, interrupts and the chip's memory
 * are left out: they read zero, and writes are ignored.
 */
#ifndef KINGLET_PLATFORM_CMOS_H
#define KINGLET_PLATFORM_CMOS_H

#include "core/bus.h"
#include "core/state.h"

struct cmos {
	struct bus_region region; /* index and data; the caller puts it on the bus */
	_Atomic uint8_t index;
	_Atomic int64_t polled; /* second of the last read of register A; 0: none */
};

/* Nothing to destroy. */
void cmos_init(struct cmos *cmos, uint64_t index_port);
/* As after power-on. */
void cmos_reset(struct cmos *cmos);

/* Saves or loads the index; the time is always the host's. vCPUs must not run. -EBADMSG, logged. */
extern const struct state_table cmos_state_table;
__must_check int cmos_state(struct cmos *cmos, struct state *state);

#endif
