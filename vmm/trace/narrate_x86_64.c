/* SPDX-License-Identifier: Apache-2.0 */
/* The narration of KVM requests that only x86 has, or has in its own form. */
#include "core/kvm.h"
#include "trace/narrate.h"

#include <asm/processor-flags.h>

#define EFER_LMA (1u << 10)

static void say_identity_map(struct text *out, const struct narration *n)
{
	text_add(out, "0x%llx, for page tables with which older Intel CPUs run real mode",
		 *(const __u64 *)n->event->arg);
}

static void say_tss(struct text *out, const struct narration *n)
{
	text_add(out, "0x%lx on, for a TSS with which older Intel CPUs run real mode",
		 (unsigned long)n->event->arg);
}

static void say_chip(struct text *out, const struct narration *n)
{
	static const char *const names[] = {
		[KVM_IRQCHIP_PIC_MASTER] = "the first PIC",
		[KVM_IRQCHIP_PIC_SLAVE] = "the second PIC",
		[KVM_IRQCHIP_IOAPIC] = "the I/O APIC",
	};
	uint32_t id = ((const struct kvm_irqchip *)n->event->arg)->chip_id;

	text_add(out, "%s", id < ARRAY_SIZE(names) ? names[id] : "an interrupt controller");
}

static void say_clock(struct text *out, const struct narration *n)
{
	text_add(out, "%llu ns", ((const struct kvm_clock_data *)n->event->arg)->clock);
}

static void answer_clock(struct text *out, const struct narration *n)
{
	text_add(out, ": ");
	say_clock(out, n);
}

static void say_khz(struct text *out, const struct narration *n)
{
	text_add(out, "%lu kHz", (unsigned long)n->event->arg);
}

static void answer_khz(struct text *out, const struct narration *n)
{
	text_add(out, ": %d kHz", n->event->result);
}

/* A vCPU has one attribute here: KVM_VCPU_TSC_OFFSET. */
static void say_offset(struct text *out, const struct narration *n)
{
	const struct kvm_device_attr *attr = n->event->arg;

	text_add(out, "0x%llx", *(const __u64 *)(uintptr_t)attr->addr);
}

static void answer_offset(struct text *out, const struct narration *n)
{
	text_add(out, ": ");
	say_offset(out, n);
}

static void answer_cpuid(struct text *out, const struct narration *n)
{
	text_add(out, ": %u leaves", ((const struct kvm_cpuid2 *)n->event->arg)->nent);
}

static void say_cpuid(struct text *out, const struct narration *n)
{
	text_add(out, "%u CPUID leaves: what the guest takes this CPU for",
		 ((const struct kvm_cpuid2 *)n->event->arg)->nent);
}

static const char *mode_name(const struct kvm_sregs *sregs)
{
	if (!(sregs->cr0 & X86_CR0_PE))
		return "16-bit real mode";
	if (sregs->efer & EFER_LMA)
		return sregs->cs.l ? "64-bit long mode" : "compatibility mode";
	return sregs->cs.db ? "32-bit protected mode" : "16-bit protected mode";
}

static void say_sregs(struct text *out, const struct narration *n)
{
	const struct kvm_sregs *sregs = n->event->arg;

	text_add(out, ": %s, cs 0x%x with base 0x%llx, cr0 0x%llx, cr3 0x%llx, cr4 0x%llx, efer "
		      "0x%llx",
		 mode_name(sregs), sregs->cs.selector, sregs->cs.base, sregs->cr0, sregs->cr3,
		 sregs->cr4, sregs->efer);
}

static void say_regs(struct text *out, const struct narration *n)
{
	const struct kvm_regs *regs = n->event->arg;

	text_add(out, ": rip 0x%llx, rsp 0x%llx, rflags 0x%llx", regs->rip, regs->rsp, regs->rflags);
}

static void say_breakpoints(struct text *out, const struct narration *n)
{
	const struct kvm_debugregs *regs = n->event->arg;

	text_add(out, "%s", regs->dr7 & 0xff ? "breakpoints are on" : "no breakpoint is on");
}

static void say_events(struct text *out, const struct narration *n)
{
	const struct kvm_vcpu_events *events = n->event->arg;
	bool any = events->exception.injected || events->exception.pending ||
		   events->interrupt.injected || events->nmi.injected || events->nmi.pending;

	text_add(out, "%s", any ? "an exception, an interrupt or an NMI" :
				  "no exception, no interrupt, no NMI");
}

static void say_nested(struct text *out, const struct narration *n)
{
	const struct kvm_nested_state *nested = n->event->arg;

	narrate_text(out, n, nested->flags & KVM_STATE_NESTED_GUEST_MODE ?
				     "puts a guest of its own into @" :
				     "takes guests of its own, if there are any, from @");
}

static void say_linear(struct text *out, const struct narration *n)
{
	text_add(out, "0x%llx", ((const struct kvm_translation *)n->event->arg)->linear_address);
}

static void answer_physical(struct text *out, const struct narration *n)
{
	const struct kvm_translation *translation = n->event->arg;

	if (translation->valid)
		text_add(out, ": to 0x%llx", translation->physical_address);
	else
		text_add(out, ": nowhere");
}

static void say_xcr0(struct text *out, const struct narration *n)
{
	text_add(out, "0x%llx", ((const struct kvm_xcrs *)n->event->arg)->xcrs[0].value);
}

static void say_fpu(struct text *out, const struct narration *n)
{
	const struct kvm_fpu *fpu = n->event->arg;

	text_add(out, ": control words 0x%x and 0x%x", fpu->fcw, fpu->mxcsr);
}

static void answer_msr_list(struct text *out, const struct narration *n)
{
	text_add(out, ": %u", ((const struct kvm_msr_list *)n->event->arg)->nmsrs);
}

static void say_msrs(struct text *out, const struct narration *n)
{
	const struct kvm_msrs *msrs = n->event->arg;

	text_add(out, "%u model-specific registers of ", msrs->nmsrs);
	fd_names_add(n->names, n->event->fd, out);
	if (n->event->request == KVM_GET_MSRS)
		text_add(out, ", from 0x%x on", msrs->nmsrs ? msrs->entries[0].index : 0);
}

/* Both ioctls stop at the first MSR that this KVM lacks. */
static void answer_msrs(struct text *out, const struct narration *n)
{
	const struct kvm_msrs *msrs = n->event->arg;
	unsigned done = (unsigned)n->event->result;

	if (done < msrs->nmsrs)
		text_add(out, ", but stops behind %u of them, at 0x%x, which it does not have", done,
			 msrs->entries[done].index);
}

#define ENTRY(number, section, sentence, ...)                                                      \
	{ .request = number, .name = #number, .doc = "api.rst " section,                           \
	  .text = sentence, __VA_ARGS__ }
static const struct narrate_entry entries[] = {
	ENTRY(KVM_GET_MSR_INDEX_LIST, "4.3", "asks which model-specific registers KVM keeps for a "
	      "vCPU", .answer = answer_msr_list),
	ENTRY(KVM_GET_REGS, "4.11", "reads the general registers of @", .answer = say_regs),
	ENTRY(KVM_SET_REGS, "4.12", "sets the general registers of @", say_regs),
	ENTRY(KVM_GET_SREGS, "4.13", "reads segments and control registers of @",
	      .answer = say_sregs),
	ENTRY(KVM_SET_SREGS, "4.14", "sets segments and control registers of @", say_sregs),
	ENTRY(KVM_TRANSLATE, "4.15", "asks where the page tables of @ lead from ", say_linear,
	      answer_physical),
	ENTRY(KVM_GET_MSRS, "4.18", "reads ", say_msrs, answer_msrs),
	ENTRY(KVM_SET_MSRS, "4.19", "sets ", say_msrs, answer_msrs),
	ENTRY(KVM_SET_CPUID2, "4.20", "@ gets its ", say_cpuid),
	ENTRY(KVM_GET_FPU, "4.22", "reads the x87 and SSE registers of @"),
	ENTRY(KVM_SET_FPU, "4.23", "sets the x87 and SSE registers of @", say_fpu),
	ENTRY(KVM_CREATE_IRQCHIP, "4.24", "puts two PICs and an I/O APIC into the kernel, and a "
	      "local APIC into each vCPU to come"),
	ENTRY(KVM_GET_IRQCHIP, "4.26", "reads the registers of ", say_chip),
	ENTRY(KVM_SET_IRQCHIP, "4.27", "sets the registers of ", say_chip),
	ENTRY(KVM_GET_CLOCK, "4.29", "asks for kvmclock, the time that KVM tells its guests",
	      .answer = answer_clock),
	ENTRY(KVM_SET_CLOCK, "4.30", "sets kvmclock, the time that KVM tells its guests, to ",
	      say_clock),
	ENTRY(KVM_GET_VCPU_EVENTS, "4.31", "reads what is on its way to @"),
	ENTRY(KVM_SET_VCPU_EVENTS, "4.32", "sets what is on its way to @: ", say_events),
	ENTRY(KVM_GET_DEBUGREGS, "4.33", "reads the debug registers of @"),
	ENTRY(KVM_SET_DEBUGREGS, "4.34", "sets the debug registers of @: ", say_breakpoints),
	ENTRY(KVM_SET_TSS_ADDR, "4.36", "gives KVM three guest pages from ", say_tss),
	ENTRY(KVM_SET_IDENTITY_MAP_ADDR, "4.40", "gives KVM the guest page ", say_identity_map),
	ENTRY(KVM_GET_XSAVE, "4.42", "reads all x87, SSE and AVX registers of @"),
	ENTRY(KVM_SET_XSAVE, "4.43", "sets all x87, SSE and AVX registers of @"),
	ENTRY(KVM_GET_XCRS, "4.44", "reads XCR0 of @, which says what extended registers are on"),
	ENTRY(KVM_SET_XCRS, "4.45", "sets XCR0 of @, which says what extended registers are on, to ",
	      say_xcr0),
	ENTRY(KVM_GET_SUPPORTED_CPUID, "4.46", "asks what CPUID may tell a guest on this host",
	      .answer = answer_cpuid),
	ENTRY(KVM_SET_TSC_KHZ, "4.55", "the time-stamp counter of @ is to run at ", say_khz),
	ENTRY(KVM_GET_TSC_KHZ, "4.56", "asks how fast the time-stamp counter of @ runs",
	      .answer = answer_khz),
	ENTRY(KVM_GET_LAPIC, "4.57", "reads the local APIC of @"),
	ENTRY(KVM_SET_LAPIC, "4.58", "sets the local APIC of @"),
	ENTRY(KVM_SET_ONE_REG, "4.68", "sets the shadow stack pointer of @"),
	ENTRY(KVM_GET_ONE_REG, "4.69", "reads the shadow stack pointer of @"),
	ENTRY(KVM_KVMCLOCK_CTRL, "4.70", "has @ told by kvmclock that it was stopped"),
	ENTRY(KVM_CREATE_PIT2, "4.71", "puts an i8254 timer into the kernel, wired to GSI 0"),
	ENTRY(KVM_GET_PIT2, "4.72", "reads the three channels of the i8254 timer"),
	ENTRY(KVM_SET_PIT2, "4.73", "sets the three channels of the i8254 timer"),
	ENTRY(KVM_SET_DEVICE_ATTR, "4.80", "sets the distance of the time-stamp counter of @ to "
	      "the host's to ", say_offset),
	ENTRY(KVM_GET_DEVICE_ATTR, "4.80", "asks how far the time-stamp counter of @ is from the "
	      "host's", .answer = answer_offset),
	ENTRY(KVM_HAS_DEVICE_ATTR, "4.81", "asks whether the time-stamp counter of @ has a "
	      "distance to the host's that can be set"),
	ENTRY(KVM_GET_NESTED_STATE, "4.114", "reads how far @ is with guests of its own"),
	ENTRY(KVM_SET_NESTED_STATE, "4.115", "", say_nested),
	ENTRY(KVM_GET_SREGS2, "4.131", "reads segments and control registers of @",
	      .answer = say_sregs),
	ENTRY(KVM_SET_SREGS2, "4.132", "sets segments and control registers of @", say_sregs),
	ENTRY(KVM_GET_XSAVE2, "4.134", "reads all x87, SSE and AVX registers of @"),
};

const struct narrate_table narrate_arch = { entries, ARRAY_SIZE(entries) };
