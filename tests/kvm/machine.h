/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines for tests/kvm/reset.c and saved.c, and what each architecture provides
 * (reset_ARCH.c).
 */
#ifndef KINGLET_TESTS_KVM_MACHINE_H
#define KINGLET_TESTS_KVM_MACHINE_H

#include "arch/arch.h"
#include "base/checked.h"

enum { CPUS = 2, VALUES_MAX = 16384, RAM_SIZE = 16 << 20 };

struct machine {
	struct sys sys;
	struct kvm kvm;
	struct gmem mem;
	struct gmem_kvm memslots;
	struct bus pio, mmio;
	struct arch_vm arch;
	struct vcpu vcpus[CPUS];
};

/* All state that KVM reports of a machine, as named words. */
struct inventory {
	unsigned count;
	struct value {
		char name[48];
		uint64_t value;
	} values[VALUES_MAX];
};

void add_value(struct inventory *inventory, uint64_t value, const char *fmt, ...) __printf(3, 4);
/* Words of 32 bits, named "NAME+0x10". */
void add_words(struct inventory *inventory, const char *name, const void *data, size_t len);

/* Ends the test, with status 1, unless ok. */
void require(bool ok, const char *what);

void build(struct machine *m);
void take_down(struct machine *m);

/* The number of values that differ; prints those that must not, with `same`. */
unsigned compare(const struct inventory *before, const struct inventory *after, bool same);

/* --- Of the architecture ---------------------------------------------------------------------- */

/* What may differ after a reset, by its whole name. `why` is for readers. */
struct exception {
	const char *name, *why;
};
extern const struct exception exceptions[]; /* ends with one without a name */

/* What make_dirty() must have changed, to be tested: names, or those of groups. */
extern const char *const dirty[]; /* up to NULL */

void take_inventory(struct machine *m, struct inventory *inventory);

/* Changes everything that KVM allows to set, and so everything that a guest can change. */
void make_dirty(struct machine *m);

#endif
