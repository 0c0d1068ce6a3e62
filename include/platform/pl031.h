/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real-time clock of arm machines (ARM PrimeCell PL031, DDI 0224), read-only: the host's time
 * in UTC. There are no alarms, and setting it is ignored.
 */
#ifndef KINGLET_PLATFORM_PL031_H
#define KINGLET_PLATFORM_PL031_H

#include "core/bus.h"

enum { PL031_LEN = 0x1000 };

struct pl031 {
	struct bus_region region; /* the caller puts it on the bus */
};

/* Nothing to destroy. */
void pl031_init(struct pl031 *pl031, uint64_t base);

#endif
