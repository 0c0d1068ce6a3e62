/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of the VM and its vCPUs. Private to arch/aarch64.
 */
#ifndef KINGLET_AARCH64_ARM64_H
#define KINGLET_AARCH64_ARM64_H

#include "arch/aarch64/layout.h"
#include "arch/arch.h"

#include <stddef.h>

/* Of a saved machine, when it was saved. */
struct arm64_counters {
	uint64_t frequency; /* Hz */
	uint64_t virtual, physical;
};

/* arch_vm.priv */
struct arm64_vm {
	int gic_fd, its_fd; /* owned */
	struct kvm_vcpu_init init; /* of each vCPU, without power-off */
	uint64_t its_tables[2]; /* BASER0 and BASER1 after power-on: the ITS's reset keeps them */
	uint64_t mpidr[ARM64_CPUS_MAX]; /* affinity of each vCPU, valid once all exist */
	struct arm64_counters counters; /* loaded, for arch_clock_start() */
};

/* The initial state of the first vCPU: boot_state.words. */
struct boot_regs {
	uint64_t pc, x0;
};
_Static_assert(sizeof(struct boot_regs) <= sizeof(((struct boot_state *)0)->words), "boot_state");

/* --- gic.c: GICv3 and ITS, in KVM. Log on failure. Machine's thread. --- */

/* Creates them, before the vCPUs. */
__must_check int gic_create(struct kvm *kvm, struct arm64_vm *vm);
/* After the last vCPU was created, and before one runs. */
__must_check int gic_start(struct kvm *kvm, struct arm64_vm *vm);
/* As after power-on. */
__must_check int gic_reset(struct kvm *kvm, struct arm64_vm *vm, unsigned cpus);

/* --- fdt.c --- */

struct fdt_options {
	const struct arm64_vm *vm;
	unsigned cpus;
	uint64_t ram_size;
	const char *cmdline;
	uint64_t initrd_start, initrd_len; /* 0: none */
};

/*
 * Builds the machine's flattened device tree in *blob, freed by the caller. -ENOMEM; -E2BIG when it
 * would be larger than arm64 Linux accepts. Does not log.
 */
__must_check int fdt_build(const struct fdt_options *options, void **blob, size_t *len);

#endif
