/* SPDX-License-Identifier: Apache-2.0 */
/* Where a vCPU is, in words and in registers with their names. */
#include "arm64.h"
#include "regs.h"

#include "arch/registers.h"

#include <asm/ptrace.h>
#include <stdio.h>

/* The mode's lowest bit says which stack pointer is in use. */
#define PSTATE_OWN_STACK 1

static const struct bit_name pstate_bits[] = {
	{ PSR_N_BIT, "N" }, { PSR_Z_BIT, "Z" }, { PSR_C_BIT, "C" }, { PSR_V_BIT, "V" },
	{ PSR_D_BIT, "D" }, { PSR_A_BIT, "A" }, { PSR_I_BIT, "I" }, { PSR_F_BIT, "F" },
	{ PSR_PAN_BIT, "PAN" }, { PSR_UAO_BIT, "UAO" }, { 0, NULL },
};

static const struct bit_name sctlr_bits[] = {
	{ 1 << 0, "M" }, { 1 << 2, "C" }, { 1 << 12, "I" }, { 1 << 19, "WXN" }, { 0, NULL },
};

static const char *mode_name(uint64_t pstate)
{
	if (pstate & PSR_MODE32_BIT)
		return "AArch32";
	return pstate & PSR_MODE_EL1t ? "EL1" : "EL0";
}

struct row {
	const char *name;
	uint64_t id;
	const struct bit_name *bits;
};

static int add(struct vcpu *vcpu, struct arch_vcpu_state *state, const struct row *row)
{
	uint64_t value;
	int ret = arm64_get_reg(vcpu, row->id, &value);

	if (ret >= 0)
		arch_add_register(state, row->name, value, row->bits);
	return ret;
}

static int add_general(struct vcpu *vcpu, struct arch_vcpu_state *state)
{
	static const char *const names[] = {
		"x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",	 "x7",	"x8",  "x9",  "x10",
		"x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21",
		"x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30",
	};
	int ret = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(names) && ret >= 0; i++)
		ret = add(vcpu, state, &(struct row){ .name = names[i], .id = ARM64_X(i) });
	return ret;
}

static const char *activity(struct vcpu *vcpu)
{
	struct kvm_mp_state mp_state;

	if (vcpu_ioctl(vcpu, KVM_GET_MP_STATE, &mp_state) < 0 ||
	    mp_state.mp_state != KVM_MP_STATE_STOPPED)
		return "running";
	return "not started";
}

/*
 * There is no anchor symbol of Linux: VBAR_EL1 points to different vector tables, depending on the
 * CPU's mitigations against speculation attacks.
 */
int arch_vcpu_state(struct vcpu *vcpu, struct arch_vcpu_state *state)
{
	struct row rows[] = {
		{ "pc", ARM64_CORE_REG(regs.pc), NULL },
		{ "pstate", ARM64_CORE_REG(regs.pstate), pstate_bits },
		{ "sp", ARM64_CORE_REG(regs.sp), NULL },
		{ "elr", ARM64_CORE_REG(elr_el1), NULL },
		{ "esr", ARM64_ESR_EL1, NULL },
		{ "far", ARM64_FAR_EL1, NULL },
		{ "vbar", ARM64_VBAR_EL1, NULL },
		{ "ttbr1", ARM64_TTBR1_EL1, NULL },
		{ "sctlr", ARM64_SCTLR_EL1, sctlr_bits },
	};
	uint64_t pstate;
	int ret;

	_Static_assert(ARRAY_SIZE(rows) + 31 <= ARCH_REGISTERS_MAX, "all fit");
	*state = (struct arch_vcpu_state){ 0 };
	ret = arm64_get_reg(vcpu, ARM64_CORE_REG(regs.pstate), &pstate);
	if (ret < 0)
		return ret;
	if (pstate & PSTATE_OWN_STACK)
		rows[2].id = ARM64_CORE_REG(sp_el1);
	for (unsigned i = 0; i < ARRAY_SIZE(rows) && ret >= 0; i++)
		ret = add(vcpu, state, &rows[i]);
	if (ret >= 0)
		ret = add_general(vcpu, state);
	if (ret < 0)
		return ret;
	state->ip = state->registers[0].value;
	state->mode = mode_name(pstate);
	state->activity = activity(vcpu);
	return 0;
}

void arch_vcpu_describe(struct vcpu *vcpu, char *text, size_t len)
{
	uint64_t pc, lr, pstate;

	if (arm64_get_reg(vcpu, ARM64_CORE_REG(regs.pc), &pc) < 0 ||
	    arm64_get_reg(vcpu, ARM64_X(30), &lr) < 0 ||
	    arm64_get_reg(vcpu, ARM64_CORE_REG(regs.pstate), &pstate) < 0) {
		snprintf(text, len, "pc unknown");
		return;
	}
	snprintf(text, len, "pc 0x%llx (%s, lr 0x%llx)", (unsigned long long)pc, mode_name(pstate),
		 (unsigned long long)lr);
}
