/* SPDX-License-Identifier: Apache-2.0 */
#include "phases.h"

static const struct {
	const char *name, *meaning;
	const char *restored; /* its meaning for a saved machine; NULL: the same */
} words[] = {
	[PHASE_EXEC] = { "exec", "Kinglet starts to build the machine", NULL },
	[PHASE_LOAD] = { "load", "the machine is built; now the kernel is loaded",
			 "the machine is built; now its saved state is loaded" },
	[PHASE_RUN] = { "run", "first KVM_RUN: the guest's first instruction",
			"first KVM_RUN: the guest goes on" },
	[PHASE_DEVICE] = { "device", "the guest touches its first device", NULL },
	[PHASE_KERNEL] = { "kernel", "the kernel prints its banner", NULL },
	[PHASE_DRIVER] = { "driver", "first DRIVER_OK: a virtio driver is ready", NULL },
	[PHASE_INIT] = { "init", "the kernel starts init", NULL },
	[PHASE_DOWN] = { "down", "the run ends", NULL },
	[PHASE_GONE] = { "gone", "the machine is taken down", NULL },
};

const char *phase_name(enum phase phase)
{
	return words[phase].name;
}

const char *phase_meaning(enum phase phase, bool restored)
{
	return restored && words[phase].restored ? words[phase].restored : words[phase].meaning;
}

bool phases_reach(struct phases *phases, enum phase phase, uint64_t now_ns)
{
	uint64_t unseen = 0;

	return !phases_seen(phases, phase) &&
	       atomic_compare_exchange_strong(&phases->at[phase], &unseen, now_ns);
}

bool phases_since_start(const struct phases *phases, enum phase phase, uint64_t *ns)
{
	uint64_t at = atomic_load(&phases->at[phase]);

	if (!at)
		return false;
	*ns = at - atomic_load(&phases->at[PHASE_EXEC]);
	return true;
}

enum phase phases_next(const struct phases *phases, enum phase after)
{
	uint64_t from = after == PHASES ? 0 : atomic_load(&phases->at[after]), best = UINT64_MAX;
	enum phase next = PHASES;

	for (unsigned i = 0; i < PHASES; i++) {
		uint64_t at = atomic_load(&phases->at[i]);
		bool later = after == PHASES || at > from || (at == from && i > after);

		if (i == after || !at || !later || at >= best)
			continue;
		best = at;
		next = i;
	}
	return next;
}
