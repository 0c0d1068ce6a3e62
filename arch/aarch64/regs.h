/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of a vCPU by KVM's names for them. Private to arch/aarch64. (KVM api.rst 4.68) */
#ifndef KINGLET_AARCH64_REGS_H
#define KINGLET_AARCH64_REGS_H

#include "core/vcpu.h"

/* A 64-bit field of struct kvm_regs. */
#define ARM64_CORE_REG(field)                                                                      \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(field))
/* X0 to X30. */
#define ARM64_X(n) (ARM64_CORE_REG(regs.regs[0]) + 2 * (n))

#define ARM64_MPIDR_EL1 ARM64_SYS_REG(3, 0, 0, 0, 5)
#define ARM64_MPIDR_AFFINITY 0xff00ffffffULL
#define ARM64_SCTLR_EL1 ARM64_SYS_REG(3, 0, 1, 0, 0)
#define ARM64_TTBR0_EL1 ARM64_SYS_REG(3, 0, 2, 0, 0)
#define ARM64_TTBR1_EL1 ARM64_SYS_REG(3, 0, 2, 0, 1)
#define ARM64_TCR_EL1 ARM64_SYS_REG(3, 0, 2, 0, 2)
#define ARM64_ESR_EL1 ARM64_SYS_REG(3, 0, 5, 2, 0)
#define ARM64_FAR_EL1 ARM64_SYS_REG(3, 0, 6, 0, 0)
#define ARM64_VBAR_EL1 ARM64_SYS_REG(3, 0, 12, 0, 0)

#define ARM64_SPSR_EL1 ARM64_CORE_REG(spsr[KVM_SPSR_EL1])

/* Of the size in the id. Does not log, like the functions below. */
static inline __must_check int arm64_get_any(struct vcpu *vcpu, uint64_t id, void *value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };

	return vcpu_ioctl(vcpu, KVM_GET_ONE_REG, &reg);
}

static inline __must_check int arm64_set_any(struct vcpu *vcpu, uint64_t id, const void *value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)value };

	return vcpu_ioctl(vcpu, KVM_SET_ONE_REG, &reg);
}

/* Of 64 bits. */
static inline __must_check int arm64_get_reg(struct vcpu *vcpu, uint64_t id, uint64_t *value)
{
	return arm64_get_any(vcpu, id, value);
}

static inline __must_check int arm64_set_reg(struct vcpu *vcpu, uint64_t id, uint64_t value)
{
	return arm64_set_any(vcpu, id, &value);
}

#endif
