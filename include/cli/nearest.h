/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Suggestions for mistyped names. Main thread.
 */
#ifndef KINGLET_CLI_NEAREST_H
#define KINGLET_CLI_NEAREST_H

#include <stddef.h>

/* Initially only `typed` is set; after all names were offered, it has the nearest, or NULL. */
struct nearest {
	const char *typed; /* borrowed, as the names */
	const char *name;
	size_t slips; /* typing errors between the two */
};

/*
 * At most two typing errors, and at most half of the name: a letter added, missing, wrong, or two
 * swapped. An abbreviation counts as one error; among equals the shorter name wins.
 */
void nearest_offer(struct nearest *nearest, const char *name);

#endif
