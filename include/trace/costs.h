/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often things happened and what they took, by name. A table of fixed size: the names beyond it
 * are counted together. One thread at a time.
 */
#ifndef KINGLET_TRACE_COSTS_H
#define KINGLET_TRACE_COSTS_H

#include "base/cleanup.h"

#include <stdint.h>

enum { COST_NAME = 64, COSTS_MAX = 128 };

struct cost {
	char name[COST_NAME];
	uint64_t count, ns;
};

struct costs {
	struct cost costs[COSTS_MAX]; /* the last one is for all that found no room: "others" */
	unsigned count;
};

void costs_add(struct costs *costs, const char *name, uint64_t count, uint64_t ns);

/* What those of a name took; 0: there is none. */
uint64_t costs_ns(const struct costs *costs, const char *name);

/* All of `from`, too. */
void costs_merge(struct costs *into, const struct costs *from);

/* The dearest first. */
void costs_sort(struct costs *costs);

#endif
