/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What somebody most likely meant to type. Main thread.
 */
#ifndef KINGLET_CLI_NEAREST_H
#define KINGLET_CLI_NEAREST_H

#include <stddef.h>

/* Begins with only `typed` set; offered all names there are, it has the nearest, or NULL. */
struct nearest {
	const char *typed; /* borrowed, as the names */
	const char *name;
	size_t slips; /* between the two */
};

/*
 * Two slips at most, and never more than half of the name: a letter too many, missing, wrong, or
 * two in the wrong order. An abbreviation is as good as one slip; of equals the shorter name.
 */
void nearest_offer(struct nearest *nearest, const char *name);

#endif
