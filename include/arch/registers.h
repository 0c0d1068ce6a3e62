/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the files of arch/ARCH that implement arch_vcpu_state().
 */
#ifndef KINGLET_ARCH_REGISTERS_H
#define KINGLET_ARCH_REGISTERS_H

#include "arch/arch.h"

struct bit_name {
	uint64_t mask;
	const char *name;
};

/* Appends a register, with the names of those `bits` that are set: up to a mask of 0, or NULL. */
void arch_add_register(struct arch_vcpu_state *state, const char *name, uint64_t value,
		       const struct bit_name *bits);

#endif
