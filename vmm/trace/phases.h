/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Phases of a run, each reached once, by the clock of core/sys.h. Private to vmm/trace. Any thread.
 */
#ifndef KINGLET_TRACE_PHASES_H
#define KINGLET_TRACE_PHASES_H

#include "trace/observer.h"

#include <stdatomic.h>

struct phases {
	_Atomic uint64_t at[PHASES]; /* ns; 0: not seen (yet) */
};

/* Only the first call for a phase counts: true if it was this one. */
bool phases_reach(struct phases *phases, enum phase phase, uint64_t now_ns);

static inline bool phases_seen(const struct phases *phases, enum phase phase)
{
	return atomic_load_explicit(&phases->at[phase], memory_order_relaxed);
}

/* ns since PHASE_EXEC; false when the phase was not seen. */
bool phases_since_start(const struct phases *phases, enum phase phase, uint64_t *ns);

/* The next phase that was seen after this one, the first one for PHASES; PHASES: none. */
enum phase phases_next(const struct phases *phases, enum phase after);

/* "init", as in --budget, and its meaning: "the kernel starts init"; restored: a saved machine. */
const char *phase_name(enum phase phase);
const char *phase_meaning(enum phase phase, bool restored);

#endif
