/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who looks on while a machine runs. The command line hands observers down in the config; the
 * machine calls them, in the order of the config, and knows nothing else about them.
 */
#ifndef KINGLET_MACHINE_OBSERVER_H
#define KINGLET_MACHINE_OBSERVER_H

#include "arch/arch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct verdict;

enum { MACHINE_TICK_MS = 100 };

/* The guest's consoles: ttyS0 and hvc0 in Linux. */
enum guest_stream { GUEST_SERIAL, GUEST_HVC, GUEST_STREAMS };

/* Members may be NULL. */
struct machine_observer_ops {
	/*
	 * The guest printed on a console, whether or not that is seen on standard output. `data`
	 * may be guest RAM, which the guest can change meanwhile: read each byte once. True: enough
	 * was seen, and the run ends with OUTCOME_OBSERVER and what was put into status and detail
	 * of *end, unless it has ended already. Calls go on until the vCPUs stand still. vCPU
	 * threads and the loop thread, one call at a time; must neither block nor call into the
	 * machine.
	 */
	bool (*console)(void *owner, enum guest_stream stream, const uint8_t *data, size_t len,
			struct verdict *end);
	/*
	 * Where a vCPU is when the run ends without the guest's doing: each one at a timeout, the
	 * one that it came from at a triple fault or an internal error. Like console(), before the
	 * end.
	 */
	void (*vcpu)(void *owner, unsigned id, const struct arch_vcpu_state *state);
	/* Every MACHINE_TICK_MS while the machine runs. Returns as console(). Loop thread. */
	bool (*tick)(void *owner, struct verdict *end);
};

struct machine_observer {
	const struct machine_observer_ops *ops;
	void *owner; /* borrowed */
};

#endif
