/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reset - is a machine after a reset inside the process as it was after power-on? Compares all
 * state that KVM reports, after everything that can be set was changed. Prints what differs, and
 * what could not be tested; status 1 if anything is printed.
 */
#include "machine.h"

#include <stdio.h>
#include <string.h>

static void reset(struct machine *m)
{
	require(!arch_vm_reset(&m->arch), "arch_vm_reset");
	for (unsigned i = 0; i < CPUS; i++)
		require(!arch_vcpu_reset(&m->arch, &m->vcpus[i]), "arch_vcpu_reset");
}

/* A whole name, or that of a group: everything up to the offset. */
static bool is_of(const char *name, const char *of)
{
	size_t len = strlen(of);

	return strncmp(name, of, len) == 0 && (!name[len] || name[len] == '+');
}

/* The number of values that should have changed but did not; prints them. */
static unsigned compare_dirty(const struct inventory *before, const struct inventory *after)
{
	unsigned kept = 0;

	for (const char *const *name = dirty; *name; name++) {
		bool differs = false;

		for (unsigned i = 0; i < before->count && !differs; i++)
			differs = is_of(before->values[i].name, *name) &&
				  before->values[i].value != after->values[i].value;
		if (differs)
			continue;
		printf("%s: could not be changed\n", *name);
		kept++;
	}
	return kept;
}

int main(void)
{
	static struct inventory before, between, after;
	static struct machine m;
	unsigned changed, kept, differ;

	build(&m);
	take_inventory(&m, &before);
	make_dirty(&m);
	take_inventory(&m, &between);
	changed = compare(&before, &between, false);
	kept = compare_dirty(&before, &between);
	reset(&m);
	take_inventory(&m, &after);
	differ = compare(&before, &after, true);
	take_down(&m);
	printf("reset: %u values, %u of them changed, %u not brought back\n", before.count, changed,
	       differ);
	return differ || kept ? 1 : 0;
}
