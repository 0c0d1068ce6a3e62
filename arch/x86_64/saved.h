/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The saved state of a machine: tables of KVM's structures, and the parts of arch_vcpu_saved().
 * Private to arch/x86_64.
 */
#ifndef KINGLET_X86_64_SAVED_H
#define KINGLET_X86_64_SAVED_H

#include "x86.h"

#include "core/state.h"

/* Of a machine: struct kvm_clock_data, kvm_pic_state, kvm_ioapic_state, kvm_pit_state2. */
extern const struct state_table saved_clock, saved_pic, saved_ioapic, saved_pit;

/*
 * Of a vCPU: struct kvm_regs, kvm_sregs, kvm_sregs2, kvm_debugregs, kvm_xcrs, kvm_lapic_state,
 * kvm_mp_state, kvm_vcpu_events; x86_ssp, x86_tsc; lists of kvm_cpuid_entry2 and of kvm_msr_entry.
 */
extern const struct state_table saved_regs, saved_sregs, saved_sregs2, saved_debugregs, saved_xcrs,
	saved_lapic, saved_mp_state, saved_events, saved_ssp, saved_tsc, saved_cpuid, saved_msrs;

/*
 * Saves the groups of an inventory that was read, or loads them into a copy of one; without its
 * MSRs. For arch_vcpu_saved(). (inventory.c)
 */
__must_check int inventory_saved(struct kvm *kvm, struct x86_inventory *inventory,
				 struct state *state, const char *name);

/*
 * CPUID's part of arch_vcpu_saved(): saves it; or loads it, if this host has what it says. Where this
 * host has more, the vCPU is told of that no longer. Logs on failure. (saved_cpuid.c)
 */
__must_check int cpuid_saved(struct arch_vm *arch, struct vcpu *vcpu, struct state *state,
			     const char *name);

/*
 * The time-stamp counter's part of arch_vcpu_saved(): reads and saves it; or loads it, for
 * arch_clock_start(), and sets its frequency. Logs on failure. (saved_clock.c)
 */
__must_check int tsc_saved(struct arch_vm *arch, struct vcpu *vcpu, struct state *state,
			   const char *name);

#endif
