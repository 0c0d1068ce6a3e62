/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The port where a guest kernel reports that it has crashed: a read returns the supported events, a
 * write reports one.
 */
#ifndef KINGLET_PLATFORM_PVPANIC_H
#define KINGLET_PLATFORM_PVPANIC_H

#include "core/bus.h"

enum pvpanic_event {
	PVPANIC_PANICKED = 1 << 0,     /* the guest has panicked */
	PVPANIC_CRASH_LOADED = 1 << 1, /* a crash kernel takes over: let it run */
};

struct pvpanic {
	struct bus_region region; /* the caller puts it on the bus */
	/* vCPU threads. The guest continues until the machine stops it. */
	void (*crashed)(void *owner, enum pvpanic_event event);
	void *owner; /* borrowed */
};

/* Nothing to destroy. */
void pvpanic_init(struct pvpanic *pvpanic, uint64_t port,
		  void (*crashed)(void *owner, enum pvpanic_event event), void *owner);

#endif
