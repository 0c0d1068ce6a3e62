/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of KVM's structures of a vCPU. (KVM api.rst at the ioctls; asm/kvm.h) */
#include "saved.h"

static const struct state_field regs_fields[] = {
	STATE_NUMBER(struct kvm_regs, rax),
	STATE_NUMBER(struct kvm_regs, rbx),
	STATE_NUMBER(struct kvm_regs, rcx),
	STATE_NUMBER(struct kvm_regs, rdx),
	STATE_NUMBER(struct kvm_regs, rsi),
	STATE_NUMBER(struct kvm_regs, rdi),
	STATE_NUMBER(struct kvm_regs, rsp),
	STATE_NUMBER(struct kvm_regs, rbp),
	STATE_NUMBER(struct kvm_regs, r8),
	STATE_NUMBER(struct kvm_regs, r9),
	STATE_NUMBER(struct kvm_regs, r10),
	STATE_NUMBER(struct kvm_regs, r11),
	STATE_NUMBER(struct kvm_regs, r12),
	STATE_NUMBER(struct kvm_regs, r13),
	STATE_NUMBER(struct kvm_regs, r14),
	STATE_NUMBER(struct kvm_regs, r15),
	STATE_NUMBER(struct kvm_regs, rip),
	STATE_NUMBER(struct kvm_regs, rflags),
	STATE_END,
};

const struct state_table saved_regs = {
	.name = "regs",
	.version = 1,
	.size = sizeof(struct kvm_regs),
	.fields = regs_fields,
};

/* A member's name cannot be in parentheses. NOLINTBEGIN(bugprone-macro-parentheses) */
#define SEGMENT(type_, segment)                                                                    \
	STATE_NUMBER(type_, segment.base), STATE_NUMBER(type_, segment.limit),                     \
		STATE_NUMBER(type_, segment.selector), STATE_NUMBER(type_, segment.type),          \
		STATE_NUMBER(type_, segment.present), STATE_NUMBER(type_, segment.dpl),            \
		STATE_NUMBER(type_, segment.db), STATE_NUMBER(type_, segment.s),                   \
		STATE_NUMBER(type_, segment.l), STATE_NUMBER(type_, segment.g),                    \
		STATE_NUMBER(type_, segment.avl), STATE_NUMBER(type_, segment.unusable)
/* NOLINTEND(bugprone-macro-parentheses) */

/* What both forms of it begin with. */
#define SREGS(type_)                                                                               \
	SEGMENT(type_, cs), SEGMENT(type_, ds), SEGMENT(type_, es), SEGMENT(type_, fs),            \
		SEGMENT(type_, gs), SEGMENT(type_, ss), SEGMENT(type_, tr), SEGMENT(type_, ldt),   \
		STATE_NUMBER(type_, gdt.base), STATE_NUMBER(type_, gdt.limit),                     \
		STATE_NUMBER(type_, idt.base), STATE_NUMBER(type_, idt.limit),                     \
		STATE_NUMBER(type_, cr0), STATE_NUMBER(type_, cr2), STATE_NUMBER(type_, cr3),      \
		STATE_NUMBER(type_, cr4), STATE_NUMBER(type_, cr8), STATE_NUMBER(type_, efer),     \
		STATE_NUMBER(type_, apic_base)

static const struct state_field sregs_fields[] = {
	SREGS(struct kvm_sregs),
	STATE_NUMBERS(struct kvm_sregs, interrupt_bitmap),
	STATE_END,
};

const struct state_table saved_sregs = {
	.name = "sregs",
	.version = 1,
	.size = sizeof(struct kvm_sregs),
	.fields = sregs_fields,
};

static const struct state_field sregs2_fields[] = {
	SREGS(struct kvm_sregs2),
	STATE_LIMITED(struct kvm_sregs2, flags, KVM_SREGS2_FLAGS_PDPTRS_VALID),
	STATE_NUMBERS(struct kvm_sregs2, pdptrs),
	STATE_END,
};

const struct state_table saved_sregs2 = {
	.name = "sregs2",
	.version = 1,
	.size = sizeof(struct kvm_sregs2),
	.fields = sregs2_fields,
};

static const struct state_field debugregs_fields[] = {
	STATE_NUMBERS(struct kvm_debugregs, db),
	STATE_NUMBER(struct kvm_debugregs, dr6),
	STATE_NUMBER(struct kvm_debugregs, dr7),
	STATE_LIMITED(struct kvm_debugregs, flags, 0),
	STATE_END,
};

const struct state_table saved_debugregs = {
	.name = "debugregs",
	.version = 1,
	.size = sizeof(struct kvm_debugregs),
	.fields = debugregs_fields,
};

/* There is only XCR0. */
static const struct state_field xcrs_fields[] = {
	STATE_LIMITED(struct kvm_xcrs, nr_xcrs, 1),
	STATE_LIMITED(struct kvm_xcrs, flags, 0),
	STATE_LIMITED(struct kvm_xcrs, xcrs[0].xcr, 0),
	STATE_NUMBER(struct kvm_xcrs, xcrs[0].value),
	STATE_END,
};

const struct state_table saved_xcrs = {
	.name = "xcrs",
	.version = 1,
	.size = sizeof(struct kvm_xcrs),
	.fields = xcrs_fields,
};

/* Registers of 32 bits, 16 bytes apart. (SDM vol. 3A table 10-1) */
#define APIC(register_, at)                                                                        \
	{                                                                                          \
		.name = (register_), .offset = (at), .count = 1, .size = 4,                        \
		.kind = STATE_FIELD_NUMBER, .max = UINT32_MAX                                      \
	}
#define APIC_EIGHT(register_, at)                                                                  \
	APIC(register_ "0", at), APIC(register_ "1", (at) + 0x10),                                 \
		APIC(register_ "2", (at) + 0x20), APIC(register_ "3", (at) + 0x30),                \
		APIC(register_ "4", (at) + 0x40), APIC(register_ "5", (at) + 0x50),                \
		APIC(register_ "6", (at) + 0x60), APIC(register_ "7", (at) + 0x70)

static const struct state_field lapic_fields[] = {
	APIC("id", 0x20),
	APIC("version", 0x30),
	APIC("tpr", 0x80),
	APIC("apr", 0x90),
	APIC("ppr", 0xa0),
	APIC("eoi", 0xb0),
	APIC("rrd", 0xc0),
	APIC("ldr", 0xd0),
	APIC("dfr", 0xe0),
	APIC("svr", 0xf0),
	APIC_EIGHT("isr", 0x100),
	APIC_EIGHT("tmr", 0x180),
	APIC_EIGHT("irr", 0x200),
	APIC("esr", 0x280),
	APIC("lvt_cmci", 0x2f0),
	APIC("icr_low", 0x300),
	APIC("icr_high", 0x310),
	APIC("lvt_timer", 0x320),
	APIC("lvt_thermal", 0x330),
	APIC("lvt_performance", 0x340),
	APIC("lvt_lint0", 0x350),
	APIC("lvt_lint1", 0x360),
	APIC("lvt_error", 0x370),
	APIC("timer_initial", 0x380),
	APIC("timer_current", 0x390),
	APIC("timer_divide", 0x3e0),
	APIC("self_ipi", 0x3f0),
	STATE_END,
};

const struct state_table saved_lapic = {
	.name = "lapic",
	.version = 1,
	.size = sizeof(struct kvm_lapic_state),
	.fields = lapic_fields,
};

static const struct state_field mp_state_fields[] = {
	STATE_LIMITED(struct kvm_mp_state, mp_state, KVM_MP_STATE_SIPI_RECEIVED),
	STATE_END,
};

const struct state_table saved_mp_state = {
	.name = "mp_state",
	.version = 1,
	.size = sizeof(struct kvm_mp_state),
	.fields = mp_state_fields,
};

static const struct state_field events_fields[] = {
	STATE_NUMBER(struct kvm_vcpu_events, exception.injected),
	STATE_NUMBER(struct kvm_vcpu_events, exception.nr),
	STATE_NUMBER(struct kvm_vcpu_events, exception.has_error_code),
	STATE_NUMBER(struct kvm_vcpu_events, exception.pending),
	STATE_NUMBER(struct kvm_vcpu_events, exception.error_code),
	STATE_NUMBER(struct kvm_vcpu_events, exception_has_payload),
	STATE_NUMBER(struct kvm_vcpu_events, exception_payload),
	STATE_NUMBER(struct kvm_vcpu_events, interrupt.injected),
	STATE_NUMBER(struct kvm_vcpu_events, interrupt.nr),
	STATE_NUMBER(struct kvm_vcpu_events, interrupt.soft),
	STATE_NUMBER(struct kvm_vcpu_events, interrupt.shadow),
	STATE_NUMBER(struct kvm_vcpu_events, nmi.injected),
	STATE_NUMBER(struct kvm_vcpu_events, nmi.pending),
	STATE_NUMBER(struct kvm_vcpu_events, nmi.masked),
	STATE_NUMBER(struct kvm_vcpu_events, sipi_vector),
	STATE_NUMBER(struct kvm_vcpu_events, flags),
	STATE_NUMBER(struct kvm_vcpu_events, smi.smm),
	STATE_NUMBER(struct kvm_vcpu_events, smi.pending),
	STATE_NUMBER(struct kvm_vcpu_events, smi.smm_inside_nmi),
	STATE_NUMBER(struct kvm_vcpu_events, smi.latched_init),
	STATE_NUMBER(struct kvm_vcpu_events, triple_fault.pending),
	STATE_END,
};

const struct state_table saved_events = {
	.name = "vcpu_events",
	.version = 1,
	.size = sizeof(struct kvm_vcpu_events),
	.fields = events_fields,
};

static const struct state_field ssp_fields[] = {
	STATE_NUMBER(struct x86_ssp, ssp),
	STATE_END,
};

const struct state_table saved_ssp = {
	.name = "ssp",
	.version = 1,
	.size = sizeof(struct x86_ssp),
	.fields = ssp_fields,
};

static const struct state_field tsc_fields[] = {
	STATE_NUMBER(struct x86_tsc, value),
	STATE_NUMBER(struct x86_tsc, offset),
	STATE_NUMBER(struct x86_tsc, khz),
	STATE_END,
};

const struct state_table saved_tsc = {
	.name = "tsc",
	.version = 1,
	.size = sizeof(struct x86_tsc),
	.fields = tsc_fields,
};

static const struct state_field cpuid_fields[] = {
	STATE_NUMBER(struct kvm_cpuid_entry2, function),
	STATE_NUMBER(struct kvm_cpuid_entry2, index),
	STATE_NUMBER(struct kvm_cpuid_entry2, flags),
	STATE_NUMBER(struct kvm_cpuid_entry2, eax),
	STATE_NUMBER(struct kvm_cpuid_entry2, ebx),
	STATE_NUMBER(struct kvm_cpuid_entry2, ecx),
	STATE_NUMBER(struct kvm_cpuid_entry2, edx),
	STATE_END,
};

const struct state_table saved_cpuid = {
	.name = "cpuid",
	.version = 1,
	.size = sizeof(struct kvm_cpuid_entry2),
	.fields = cpuid_fields,
};

static const struct state_field msrs_fields[] = {
	STATE_NUMBER(struct kvm_msr_entry, index),
	STATE_NUMBER(struct kvm_msr_entry, data),
	STATE_END,
};

const struct state_table saved_msrs = {
	.name = "msrs",
	.version = 1,
	.size = sizeof(struct kvm_msr_entry),
	.fields = msrs_fields,
};
