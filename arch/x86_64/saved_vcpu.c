/* SPDX-License-Identifier: Apache-2.0 */
/* The saved state of a vCPU: CPUID, registers, MSRs, the time-stamp counter. */
#include "saved.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* KVM_GET_NESTED_STATE, KVM api.rst 4.114: what is more than a header belongs to a guest's guest. */
static int refuse_nested(struct vcpu *vcpu)
{
	struct kvm_nested_state nested = { .size = sizeof(nested) };
	bool in_use;
	int ret;

	if (!kvm_check_extension(vcpu->kvm, KVM_CAP_NESTED_STATE))
		return 0;
	ret = vcpu_ioctl(vcpu, KVM_GET_NESTED_STATE, &nested);
	if (ret < 0 && ret != -E2BIG) {
		log_error("vCPU %u: KVM_GET_NESTED_STATE: %s", vcpu->id, strerror(-ret));
		return ret;
	}
	if (nested.format == KVM_STATE_NESTED_FORMAT_SVM)
		in_use = !(nested.flags & KVM_STATE_NESTED_GIF_SET);
	else
		in_use = nested.hdr.vmx.vmxon_pa != UINT64_MAX;
	if (ret >= 0 && !in_use && !(nested.flags & KVM_STATE_NESTED_GUEST_MODE))
		return 0;
	log_error("vCPU %u: the guest runs virtual machines, so it cannot be saved", vcpu->id);
	return -EOPNOTSUPP;
}

/*
 * All but the time-stamp counter, which arch_clock_start() sets. Loaded ones must be MSRs that a
 * vCPU has here: others, of Hyper-V for instance, have effects in KVM that nothing takes back.
 */
static int msrs_saved(const struct x86_inventory *known, struct x86_inventory *inventory,
		      struct state *state, const char *name)
{
	struct kvm_msr_entry *msrs = inventory->msrs;
	unsigned at = 0;
	size_t count = 0;
	int ret;

	for (unsigned i = 0; i < inventory->msr_count; i++)
		if (msrs[i].index != MSR_TSC)
			msrs[count++] = msrs[i];
	ret = state_list(state, &saved_msrs, name, msrs, inventory->msr_count, &count);
	inventory->msr_count = (unsigned)count;
	for (size_t i = 0; i < count && !ret; i++)
		if (msrs[i].index == MSR_TSC ||
		    !x86_has_msr(known->msrs, known->msr_count, msrs[i].index, &at))
			ret = state_refuse(state, "MSR 0x%x: this host's KVM has none such",
					   msrs[i].index);
	return ret;
}

/*
 * The shadow stack's pointer, which is in no MSR while a stack is in use: KVM_REG_X86, of 64 bits,
 * KVM's register 0. (KVM api.rst 4.68, from Linux 6.18 on)
 */
#define REG_SSP 0x2030000300000000ULL

static int ssp_saved(struct vcpu *vcpu, struct state *state, const char *name)
{
	struct x86_ssp ssp = { 0 };
	struct kvm_one_reg reg = { .id = REG_SSP, .addr = (uintptr_t)&ssp.ssp };
	int ret = vcpu_ioctl(vcpu, KVM_GET_ONE_REG, &reg);

	/*
	 * Not of this KVM, CPU or machine. (KVM api.rst 4.69) KVM has it if the guest's CPUID has
	 * shadow stacks, and that is what it was: so neither side can lack it alone.
	 */
	if (ret == -EINVAL || ret == -ENOENT || ret == -ENXIO)
		return 0;
	if (ret < 0) {
		log_error("vCPU %u: KVM_GET_ONE_REG: SSP: %s", vcpu->id, strerror(-ret));
		return ret;
	}
	ret = state_section(state, &saved_ssp, name, &ssp);
	if (!ret && state_loads(state))
		ret = vcpu_call(vcpu, KVM_SET_ONE_REG, &reg);
	return ret;
}

static int apply(struct vcpu *vcpu, const struct x86_inventory *inventory, struct state *state)
{
	struct kvm_msr_entry refused;
	int ret = inventory_put(vcpu, inventory, &refused);

	if (ret > 0)
		ret = state_refuse(state, "vCPU %u: KVM_SET_MSRS: MSR 0x%x cannot become 0x%llx",
				   vcpu->id, refused.index, refused.data);
	return ret;
}

int arch_vcpu_saved(struct arch_vm *arch, struct vcpu *vcpu, struct state *state)
{
	const struct x86_vm *vm = arch->priv;
	_cleanup_free_ struct x86_inventory *inventory = inventory_copy(vm->power_on);
	char name[STATE_NAME_MAX / 2];
	int ret = 0;

	if (!inventory) {
		log_error("out of memory");
		return -ENOMEM;
	}
	snprintf(name, sizeof(name), "vcpu %u", vcpu->id);
	if (!state_loads(state)) {
		ret = refuse_nested(vcpu);
		if (ret >= 0)
			ret = inventory_read(vcpu, inventory);
	}
	if (ret >= 0)
		ret = cpuid_saved(arch, vcpu, state, name);
	if (ret >= 0)
		ret = inventory_saved(vcpu->kvm, inventory, state, name);
	if (ret >= 0)
		ret = tsc_saved(arch, vcpu, state, name);
	if (ret >= 0)
		ret = msrs_saved(vm->power_on, inventory, state, name);
	if (ret >= 0)
		ret = ssp_saved(vcpu, state, name);
	if (ret >= 0 && state_loads(state))
		ret = apply(vcpu, inventory, state);
	return ret < 0 ? ret : 0;
}
