/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPU state: power-on, and the entry state of the boot CPU. The others wait, powered off, for the
 * guest's PSCI call, which KVM handles. (KVM api.rst 4.82, 4.119)
 */
#include "arm64.h"
#include "regs.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

static int set_reg(struct vcpu *vcpu, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&value };

	return vcpu_call(vcpu, KVM_SET_ONE_REG, &reg);
}

static int power_on(const struct arm64_vm *vm, struct vcpu *vcpu)
{
	struct kvm_vcpu_init init = vm->init;

	if (vcpu->id)
		init.features[0] |= 1u << KVM_ARM_VCPU_POWER_OFF;
	return vcpu_call(vcpu, KVM_ARM_VCPU_INIT, &init);
}

/* Older KVMs do not have all timer registers. */
static int clear_reg(struct vcpu *vcpu, uint64_t id)
{
	uint64_t value;

	return arm64_get_reg(vcpu, id, &value) == -ENOENT ? 0 : set_reg(vcpu, id, 0);
}

/* KVM has no other reset: the same call again, then the registers that it keeps. */
int arch_vcpu_reset(struct arch_vm *arch, struct vcpu *vcpu)
{
	static const uint64_t left[] = {
		ARM64_CORE_REG(sp_el1), ARM64_CORE_REG(elr_el1), ARM64_SPSR_EL1,
		KVM_REG_ARM_TIMER_CVAL, KVM_REG_ARM_PTIMER_CVAL,
		KVM_REG_ARM_TIMER_CNT, /* shared by all vCPUs: only for the first one */
	};
	unsigned count = ARRAY_SIZE(left) - (vcpu->id > 0);
	int ret = power_on(arch->priv, vcpu);

	for (unsigned i = 0; i < count && !ret; i++)
		ret = clear_reg(vcpu, left[i]);
	return ret;
}

static int finish_features(const struct arm64_vm *vm, struct vcpu *vcpu)
{
	int sve = KVM_ARM_VCPU_SVE;

	if (!(vm->init.features[0] & 1u << KVM_ARM_VCPU_SVE))
		return 0;
	return vcpu_call(vcpu, KVM_ARM_VCPU_FINALIZE, &sve);
}

int arch_vcpu_init(struct arch_vm *arch, struct vcpu *vcpu)
{
	struct arm64_vm *vm = arch->priv;
	uint64_t mpidr = 0;
	int ret = power_on(vm, vcpu);

	if (!ret)
		ret = finish_features(vm, vcpu);
	if (ret)
		return ret;
	ret = arm64_get_reg(vcpu, ARM64_MPIDR_EL1, &mpidr);
	if (ret < 0) {
		log_error("vCPU %u: MPIDR_EL1: %s", vcpu->id, strerror(-ret));
		return ret;
	}
	vm->mpidr[vcpu->id] = mpidr & ARM64_MPIDR_AFFINITY;
	/* The GIC has a part for each vCPU, so KVM needs all of them first. */
	return vcpu->id + 1 == arch->cpus ? gic_start(arch->kvm, vm) : 0;
}

/* After power-on a vCPU is at EL1 with interrupts and MMU off, as booting.rst requires. */
int arch_boot_vcpu(struct vcpu *vcpu, const struct boot_state *state)
{
	struct boot_regs entry;
	int ret;

	memcpy(&entry, state->words, sizeof(entry));
	ret = set_reg(vcpu, ARM64_CORE_REG(regs.pc), entry.pc);
	if (!ret)
		ret = set_reg(vcpu, ARM64_X(0), entry.x0);
	return ret;
}

/* --- Exits ----------------------------------------------------------------------------------- */

/* As on a machine whose bus answers with an error: the guest gets an external abort. */
static enum vcpu_end refuse_access(struct vcpu *vcpu, char *detail, size_t len)
{
	struct kvm_vcpu_events events = { .exception.ext_dabt_pending = 1 };
	int ret = vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, &events);

	if (ret >= 0)
		return VCPU_RUNNING;
	snprintf(detail, len, "access to a device at 0x%llx: KVM_SET_VCPU_EVENTS: %s",
		 (unsigned long long)vcpu->run->arm_nisv.fault_ipa, strerror(-ret));
	return VCPU_INTERNAL_ERROR;
}

enum vcpu_end arch_vcpu_exit(struct vcpu *vcpu, char *detail, size_t len)
{
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_ARM_NISV:
		return refuse_access(vcpu, detail, len);
	case KVM_EXIT_INTERNAL_ERROR:
		snprintf(detail, len, "KVM internal error %u", vcpu->run->internal.suberror);
		return VCPU_INTERNAL_ERROR;
	default:
		snprintf(detail, len, "KVM exit reason %u", vcpu->run->exit_reason);
		return VCPU_UNKNOWN_EXIT;
	}
}
