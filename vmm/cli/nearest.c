/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/nearest.h"

#include "base/cleanup.h"

#include <string.h>

enum { NAME_MAX_LEN = 32, SLIPS_MAX = 2 };

static size_t least(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/*
 * Letters to add, drop, replace or swap with their neighbour (optimal string alignment); names
 * beyond NAME_MAX_LEN have the largest distance. cost[i][j]: from the first i letters to the first
 * j.
 */
static size_t distance(const char *a, const char *b)
{
	size_t cost[NAME_MAX_LEN + 1][NAME_MAX_LEN + 1];
	size_t alen = strlen(a), blen = strlen(b);

	if (alen > NAME_MAX_LEN || blen > NAME_MAX_LEN)
		return NAME_MAX_LEN;
	for (size_t i = 0; i <= alen; i++) {
		for (size_t j = 0; j <= blen; j++) {
			if (!i || !j) {
				cost[i][j] = i + j;
				continue;
			}
			cost[i][j] = least(cost[i - 1][j] + 1, cost[i][j - 1] + 1,
					   cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    cost[i - 2][j - 2] + 1 < cost[i][j])
				cost[i][j] = cost[i - 2][j - 2] + 1;
		}
	}
	return cost[alen][blen];
}

void nearest_offer(struct nearest *nearest, const char *name)
{
	size_t slips = distance(nearest->typed, name), len = strlen(name);

	if (slips > 1 && *nearest->typed &&
	    strncmp(nearest->typed, name, strlen(nearest->typed)) == 0)
		slips = 1;
	if (slips > SLIPS_MAX || slips > len / 2)
		return;
	if (nearest->name && (slips > nearest->slips ||
			      (slips == nearest->slips && len >= strlen(nearest->name))))
		return;
	nearest->name = name;
	nearest->slips = slips;
}
