/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of arch/aarch64 share about the VM and its vCPUs. Private to arch/aarch64.
 */
#ifndef KINGLET_AARCH64_ARM64_H
#define KINGLET_AARCH64_ARM64_H

#include "arch/aarch64/layout.h"
#include "arch/arch.h"

#include <stddef.h>

/* arch_vm.priv */
struct arm64_vm {
	int gic_fd, its_fd; /* owned */
	struct kvm_vcpu_init init; /* what each vCPU starts as, but for power-off */
	uint64_t its_tables[2]; /* BASER0 and BASER1 after power-on, which the ITS's reset leaves */
	uint64_t mpidr[ARM64_CPUS_MAX]; /* affinity of each vCPU, valid once all are there */
};

/* The state that the first vCPU starts with: boot_state.words. */
struct boot_regs {
	uint64_t pc, x0;
};
_Static_assert(sizeof(struct boot_regs) <= sizeof(((struct boot_state *)0)->words), "boot_state");

/* --- gic.c: GICv3 and ITS, in KVM. Log on failure. Machine's thread. --- */

/* Makes them, before there are vCPUs. */
__must_check int gic_create(struct kvm *kvm, struct arm64_vm *vm);
/* Once the last vCPU is there, and before one runs. */
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
 * The flattened tree of the machine, packed: *blob, freed by the caller. -ENOMEM; -E2BIG when it
 * would be larger than arm64 Linux takes. Nothing is logged.
 */
__must_check int fdt_build(const struct fdt_options *options, void **blob, size_t *len);

#endif
