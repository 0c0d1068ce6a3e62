/* SPDX-License-Identifier: Apache-2.0 */
/* What an architecture provides for tests/kvm/saved.c. */
#ifndef KINGLET_TESTS_KVM_SAVED_H
#define KINGLET_TESTS_KVM_SAVED_H

#include "machine.h"

struct saved_case {
	const char *name;
	void (*prepare)(struct machine *m);
	/* Is in the loaded machine what the inventory does not show? NULL: it shows everything. */
	bool (*check)(struct machine *m);
};

extern const struct saved_case saved_cases[]; /* ends with one without a name */

#endif
