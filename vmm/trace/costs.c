/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/costs.h"

#include <stdio.h>
#include <string.h>

void costs_add(struct costs *costs, const char *name, uint64_t count, uint64_t ns)
{
	unsigned i = 0;

	while (i < costs->count && strncmp(costs->costs[i].name, name, COST_NAME - 1) != 0)
		i++;
	if (i == COSTS_MAX) {
		i--;
		snprintf(costs->costs[i].name, COST_NAME, "others");
	} else if (i == costs->count) {
		snprintf(costs->costs[i].name, COST_NAME, "%s", name);
		costs->count++;
	}
	costs->costs[i].count += count;
	costs->costs[i].ns += ns;
}

uint64_t costs_ns(const struct costs *costs, const char *name)
{
	for (unsigned i = 0; i < costs->count; i++)
		if (strcmp(costs->costs[i].name, name) == 0)
			return costs->costs[i].ns;
	return 0;
}

void costs_merge(struct costs *into, const struct costs *from)
{
	for (unsigned i = 0; i < from->count; i++)
		costs_add(into, from->costs[i].name, from->costs[i].count, from->costs[i].ns);
}

static int compare(const void *a, const void *b)
{
	const struct cost *one = a, *other = b;

	return one->ns < other->ns ? 1 : one->ns > other->ns ? -1 : 0;
}

void costs_sort(struct costs *costs)
{
	qsort(costs->costs, costs->count, sizeof(costs->costs[0]), compare);
}
