/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts and times of events, by name. A table of fixed size: further names are counted together.
 * One thread at a time.
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
	struct cost costs[COSTS_MAX]; /* the last one is for all further names: "others" */
	unsigned count;
};

void costs_add(struct costs *costs, const char *name, uint64_t count, uint64_t ns);

/* The total time of a name; 0: there is none. */
uint64_t costs_ns(const struct costs *costs, const char *name);

/* Adds all of `from`. */
void costs_merge(struct costs *into, const struct costs *from);

/* Most expensive first. */
void costs_sort(struct costs *costs);

#endif
