/* SPDX-License-Identifier: Apache-2.0 */
/* Where a vCPU is: registers with their names. */
#include "x86.h"

#include "arch/registers.h"

#include <asm/processor-flags.h>

#define MSR_LSTAR 0xc0000082
#define EFER_SCE (1u << 0)
#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)
#define EFER_NXE (1u << 11)
#define EFER_SVME (1u << 12)

static const struct bit_name rflags_bits[] = {
	{ X86_EFLAGS_CF, "CF" }, { X86_EFLAGS_PF, "PF" }, { X86_EFLAGS_AF, "AF" },
	{ X86_EFLAGS_ZF, "ZF" }, { X86_EFLAGS_SF, "SF" }, { X86_EFLAGS_TF, "TF" },
	{ X86_EFLAGS_IF, "IF" }, { X86_EFLAGS_DF, "DF" }, { X86_EFLAGS_OF, "OF" },
	{ X86_EFLAGS_NT, "NT" }, { X86_EFLAGS_RF, "RF" }, { X86_EFLAGS_VM, "VM" },
	{ X86_EFLAGS_AC, "AC" }, { 0, NULL },
};

static const struct bit_name cr0_bits[] = {
	{ X86_CR0_PE, "PE" }, { X86_CR0_MP, "MP" }, { X86_CR0_EM, "EM" }, { X86_CR0_TS, "TS" },
	{ X86_CR0_ET, "ET" }, { X86_CR0_NE, "NE" }, { X86_CR0_WP, "WP" }, { X86_CR0_AM, "AM" },
	{ X86_CR0_NW, "NW" }, { X86_CR0_CD, "CD" }, { X86_CR0_PG, "PG" }, { 0, NULL },
};

static const struct bit_name cr4_bits[] = {
	{ X86_CR4_DE, "DE" },		{ X86_CR4_PSE, "PSE" },
	{ X86_CR4_PAE, "PAE" },		{ X86_CR4_MCE, "MCE" },
	{ X86_CR4_PGE, "PGE" },		{ X86_CR4_OSFXSR, "OSFXSR" },
	{ X86_CR4_UMIP, "UMIP" },	{ X86_CR4_LA57, "LA57" },
	{ X86_CR4_FSGSBASE, "FSGSBASE" }, { X86_CR4_PCIDE, "PCIDE" },
	{ X86_CR4_OSXSAVE, "OSXSAVE" }, { X86_CR4_SMEP, "SMEP" },
	{ X86_CR4_SMAP, "SMAP" },	{ X86_CR4_PKE, "PKE" },
	{ 0, NULL },
};

static const struct bit_name efer_bits[] = {
	{ EFER_SCE, "SCE" }, { EFER_LME, "LME" },   { EFER_LMA, "LMA" },
	{ EFER_NXE, "NXE" }, { EFER_SVME, "SVME" }, { 0, NULL },
};

const char *x86_mode_name(const struct kvm_sregs *sregs)
{
	if (!(sregs->cr0 & X86_CR0_PE))
		return "16-bit real";
	if (sregs->efer & EFER_LMA)
		return sregs->cs.l ? "64-bit" : "32-bit compatibility";
	return sregs->cs.db ? "32-bit protected" : "16-bit protected";
}

static void add_registers(struct arch_vcpu_state *state, const struct kvm_regs *regs,
			  const struct kvm_sregs *sregs)
{
	const struct {
		const char *name;
		uint64_t value;
		const struct bit_name *bits;
	} rows[] = {
		{ "rip", regs->rip, NULL },
		{ "rflags", regs->rflags, rflags_bits },
		{ "rax", regs->rax, NULL },
		{ "rbx", regs->rbx, NULL },
		{ "rcx", regs->rcx, NULL },
		{ "rdx", regs->rdx, NULL },
		{ "rsi", regs->rsi, NULL },
		{ "rdi", regs->rdi, NULL },
		{ "rbp", regs->rbp, NULL },
		{ "rsp", regs->rsp, NULL },
		{ "r8", regs->r8, NULL },
		{ "r9", regs->r9, NULL },
		{ "r10", regs->r10, NULL },
		{ "r11", regs->r11, NULL },
		{ "r12", regs->r12, NULL },
		{ "r13", regs->r13, NULL },
		{ "r14", regs->r14, NULL },
		{ "r15", regs->r15, NULL },
		{ "cs", sregs->cs.selector, NULL },
		{ "ss", sregs->ss.selector, NULL },
		{ "ds", sregs->ds.selector, NULL },
		{ "es", sregs->es.selector, NULL },
		{ "cs.base", sregs->cs.base, NULL },
		{ "fs.base", sregs->fs.base, NULL },
		{ "gs.base", sregs->gs.base, NULL },
		{ "gdt", sregs->gdt.base, NULL },
		{ "idt", sregs->idt.base, NULL },
		{ "cr0", sregs->cr0, cr0_bits },
		{ "cr2", sregs->cr2, NULL },
		{ "cr3", sregs->cr3, NULL },
		{ "cr4", sregs->cr4, cr4_bits },
		{ "efer", sregs->efer, efer_bits },
	};

	_Static_assert(ARRAY_SIZE(rows) <= ARCH_REGISTERS_MAX, "all fit");
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		arch_add_register(state, rows[i].name, rows[i].value, rows[i].bits);
}

static const char *activity(struct vcpu *vcpu)
{
	struct kvm_mp_state mp_state;

	/* Without an in-kernel local APIC, KVM only knows that it runs. */
	if (vcpu_ioctl(vcpu, KVM_GET_MP_STATE, &mp_state) < 0)
		return "running";
	switch (mp_state.mp_state) {
	case KVM_MP_STATE_HALTED:
		return "halted";
	case KVM_MP_STATE_UNINITIALIZED:
	case KVM_MP_STATE_INIT_RECEIVED:
		return "not started";
	default:
		return "running";
	}
}

/* Linux sets its SYSCALL entry symbol early in boot. */
static void find_anchor(struct vcpu *vcpu, struct arch_vcpu_state *state)
{
	uint64_t lstar = 0;

	if (x86_msr(vcpu, KVM_GET_MSRS, MSR_LSTAR, &lstar) != 1 || !lstar)
		return;
	state->anchor_symbol = "entry_SYSCALL_64";
	state->anchor = lstar;
}

int arch_vcpu_state(struct vcpu *vcpu, struct arch_vcpu_state *state)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	int ret;

	*state = (struct arch_vcpu_state){ 0 };
	ret = vcpu_ioctl(vcpu, KVM_GET_REGS, &regs);
	if (ret >= 0)
		ret = vcpu_ioctl(vcpu, KVM_GET_SREGS, &sregs);
	if (ret < 0)
		return ret;
	state->ip = regs.rip;
	state->mode = x86_mode_name(&sregs);
	state->activity = activity(vcpu);
	find_anchor(vcpu, state);
	add_registers(state, &regs, &sregs);
	return 0;
}
