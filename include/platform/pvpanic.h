/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The port by which a guest kernel says that it has crashed: reading gives the events that are
 * understood, writing reports one.
 */
#ifndef KINGLET_PLATFORM_PVPANIC_H
#define KINGLET_PLATFORM_PVPANIC_H

#include "core/bus.h"

enum pvpanic_event {
	PVPANIC_PANICKED = 1 << 0,     /* it is over */
	PVPANIC_CRASH_LOADED = 1 << 1, /* a crash kernel takes over: let it run */
};

struct pvpanic {
	struct bus_region region; /* the caller puts it on the bus */
	/* vCPU threads. The guest goes on until the machine stops it. */
	void (*crashed)(void *owner, enum pvpanic_event event);
	void *owner; /* borrowed */
};

/* Nothing to destroy. */
void pvpanic_init(struct pvpanic *pvpanic, uint64_t port,
		  void (*crashed)(void *owner, enum pvpanic_event event), void *owner);

#endif
