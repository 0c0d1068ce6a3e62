/* SPDX-License-Identifier: Apache-2.0 */
/* KVM's requests that only x86 has, or has in its own form, in words. */
#include "core/kvm.h"
#include "trace/narrate.h"

#include <asm/processor-flags.h>

#define ULL(x) ((unsigned long long)(x))
#define EFER_LMA (1u << 10)

static void say_identity_map(struct text *out, const struct narration *n)
{
	text_add(out, "gives KVM the guest page 0x%llx, for page tables with which older Intel CPUs "
		      "run real mode",
		 ULL(*(const uint64_t *)n->event->arg));
}

static void say_tss(struct text *out, const struct narration *n)
{
	text_add(out, "gives KVM three guest pages from 0x%lx on, for a TSS with which older Intel "
		      "CPUs run real mode",
		 (unsigned long)n->event->arg);
}

static void say_create_irqchip(struct text *out, const struct narration *n)
{
	(void)n;
	text_add(out, "puts two PICs and an I/O APIC into the kernel, and a local APIC into each "
		      "vCPU to come");
}

static const char *chip_name(uint32_t id)
{
	static const char *const names[] = {
		[KVM_IRQCHIP_PIC_MASTER] = "the first PIC",
		[KVM_IRQCHIP_PIC_SLAVE] = "the second PIC",
		[KVM_IRQCHIP_IOAPIC] = "the I/O APIC",
	};

	return id < ARRAY_SIZE(names) ? names[id] : "an interrupt controller";
}

static void say_get_irqchip(struct text *out, const struct narration *n)
{
	const struct kvm_irqchip *chip = n->event->arg;

	text_add(out, "reads the registers of %s", chip_name(chip->chip_id));
}

static void say_set_irqchip(struct text *out, const struct narration *n)
{
	const struct kvm_irqchip *chip = n->event->arg;

	text_add(out, "sets the registers of %s", chip_name(chip->chip_id));
}

static void say_create_pit(struct text *out, const struct narration *n)
{
	(void)n;
	text_add(out, "puts an i8254 timer into the kernel, wired to GSI 0");
}

static void say_get_pit(struct text *out, const struct narration *n)
{
	(void)n;
	text_add(out, "reads the three channels of the i8254 timer");
}

static void say_set_pit(struct text *out, const struct narration *n)
{
	(void)n;
	text_add(out, "sets the three channels of the i8254 timer");
}

static void say_set_clock(struct text *out, const struct narration *n)
{
	const struct kvm_clock_data *clock = n->event->arg;

	text_add(out, "sets kvmclock, the time that KVM tells its guests, to %llu ns",
		 ULL(clock->clock));
}

static void say_supported_cpuid(struct text *out, const struct narration *n)
{
	const struct kvm_cpuid2 *cpuid = n->event->arg;

	text_add(out, "asks what CPUID may tell a guest on this host");
	if (n->event->result >= 0)
		text_add(out, ": %u leaves", cpuid->nent);
}

static void say_set_cpuid(struct text *out, const struct narration *n)
{
	const struct kvm_cpuid2 *cpuid = n->event->arg;

	fd_names_add(n->names, n->event->fd, out);
	text_add(out, " gets its %u CPUID leaves: what the guest takes this CPU for", cpuid->nent);
}

static const char *mode_name(const struct kvm_sregs *sregs)
{
	if (!(sregs->cr0 & X86_CR0_PE))
		return "16-bit real mode";
	if (sregs->efer & EFER_LMA)
		return sregs->cs.l ? "64-bit long mode" : "compatibility mode";
	return sregs->cs.db ? "32-bit protected mode" : "16-bit protected mode";
}

static void add_sregs(struct text *out, const struct kvm_sregs *sregs)
{
	text_add(out, ": %s, cs 0x%x with base 0x%llx, cr0 0x%llx, cr3 0x%llx, cr4 0x%llx, efer "
		      "0x%llx",
		 mode_name(sregs), sregs->cs.selector, ULL(sregs->cs.base), ULL(sregs->cr0),
		 ULL(sregs->cr3), ULL(sregs->cr4), ULL(sregs->efer));
}

static void say_get_sregs(struct text *out, const struct narration *n)
{
	text_add(out, "reads segments and control registers of ");
	fd_names_add(n->names, n->event->fd, out);
	if (n->event->result >= 0)
		add_sregs(out, n->event->arg);
}

static void say_set_sregs(struct text *out, const struct narration *n)
{
	text_add(out, "sets segments and control registers of ");
	fd_names_add(n->names, n->event->fd, out);
	add_sregs(out, n->event->arg);
}

static void add_regs(struct text *out, const struct kvm_regs *regs)
{
	text_add(out, ": rip 0x%llx, rsp 0x%llx, rflags 0x%llx", ULL(regs->rip), ULL(regs->rsp),
		 ULL(regs->rflags));
}

static void say_get_regs(struct text *out, const struct narration *n)
{
	text_add(out, "reads the general registers of ");
	fd_names_add(n->names, n->event->fd, out);
	if (n->event->result >= 0)
		add_regs(out, n->event->arg);
}

static void say_set_regs(struct text *out, const struct narration *n)
{
	text_add(out, "sets the general registers of ");
	fd_names_add(n->names, n->event->fd, out);
	add_regs(out, n->event->arg);
}

static void say_debugregs(struct text *out, const struct narration *n)
{
	const struct kvm_debugregs *regs = n->event->arg;

	text_add(out, "sets the debug registers of ");
	fd_names_add(n->names, n->event->fd, out);
	text_add(out, ": %s", regs->dr7 & 0xff ? "breakpoints are on" : "no breakpoint is on");
}

static void say_vcpu_events(struct text *out, const struct narration *n)
{
	const struct kvm_vcpu_events *events = n->event->arg;
	bool any = events->exception.injected || events->exception.pending ||
		   events->interrupt.injected || events->nmi.injected || events->nmi.pending;

	text_add(out, "sets what is on its way to ");
	fd_names_add(n->names, n->event->fd, out);
	text_add(out, ": %s", any ? "an exception, an interrupt or an NMI" :
				    "no exception, no interrupt, no NMI");
}

static void say_get_debugregs(struct text *out, const struct narration *n)
{
	text_add(out, "reads the debug registers of ");
	fd_names_add(n->names, n->event->fd, out);
}

static void say_get_vcpu_events(struct text *out, const struct narration *n)
{
	text_add(out, "reads what is on its way to ");
	fd_names_add(n->names, n->event->fd, out);
}

static void say_get_nested(struct text *out, const struct narration *n)
{
	text_add(out, "reads how far ");
	fd_names_add(n->names, n->event->fd, out);
	text_add(out, " is with guests of its own");
}

static void say_set_nested(struct text *out, const struct narration *n)
{
	const struct kvm_nested_state *nested = n->event->arg;

	if (nested->flags & KVM_STATE_NESTED_GUEST_MODE)
		text_add(out, "puts a guest of its own into ");
	else
		text_add(out, "takes guests of its own, if there are any, from ");
	fd_names_add(n->names, n->event->fd, out);
}

static void say_get_fpu(struct text *out, const struct narration *n)
{
	text_add(out, "reads the x87 and SSE registers of ");
	fd_names_add(n->names, n->event->fd, out);
}

static void say_translate(struct text *out, const struct narration *n)
{
	const struct kvm_translation *translation = n->event->arg;

	text_add(out, "asks where the page tables of ");
	fd_names_add(n->names, n->event->fd, out);
	text_add(out, " lead from 0x%llx", ULL(translation->linear_address));
	if (n->event->result >= 0 && translation->valid)
		text_add(out, ": to 0x%llx", ULL(translation->physical_address));
	else if (n->event->result >= 0)
		text_add(out, ": nowhere");
}

static void say_get_xcrs(struct text *out, const struct narration *n)
{
	text_add(out, "reads XCR0 of ");
	fd_names_add(n->names, n->event->fd, out);
	text_add(out, ", which says what extended registers are on");
}

static void say_xcrs(struct text *out, const struct narration *n)
{
	const struct kvm_xcrs *xcrs = n->event->arg;

	text_add(out, "sets XCR0 of ");
	fd_names_add(n->names, n->event->fd, out);
	text_add(out, ", which says what extended registers are on, to 0x%llx",
		 ULL(xcrs->xcrs[0].value));
}

static void say_fpu(struct text *out, const struct narration *n)
{
	const struct kvm_fpu *fpu = n->event->arg;

	text_add(out, "sets the x87 and SSE registers of ");
	fd_names_add(n->names, n->event->fd, out);
	text_add(out, ": control words 0x%x and 0x%x", fpu->fcw, fpu->mxcsr);
}

static void say_get_xsave(struct text *out, const struct narration *n)
{
	text_add(out, "reads all x87, SSE and AVX registers of ");
	fd_names_add(n->names, n->event->fd, out);
}

static void say_xsave(struct text *out, const struct narration *n)
{
	text_add(out, "sets all x87, SSE and AVX registers of ");
	fd_names_add(n->names, n->event->fd, out);
}

static void say_list_msrs(struct text *out, const struct narration *n)
{
	const struct kvm_msr_list *list = n->event->arg;

	text_add(out, "asks which model-specific registers KVM keeps for a vCPU");
	if (n->event->result >= 0)
		text_add(out, ": %u", list->nmsrs);
}

/* Reading and setting both stop at the first that this KVM does not have. */
static void add_stop(struct text *out, const struct narration *n)
{
	const struct kvm_msrs *msrs = n->event->arg;
	int done = n->event->result;

	if (done >= 0 && (unsigned)done < msrs->nmsrs)
		text_add(out, ", but stops behind %d of them, at 0x%x, which it does not have", done,
			 msrs->entries[done].index);
}

static void say_get_msrs(struct text *out, const struct narration *n)
{
	const struct kvm_msrs *msrs = n->event->arg;

	text_add(out, "reads %u model-specific registers of ", msrs->nmsrs);
	fd_names_add(n->names, n->event->fd, out);
	text_add(out, ", from 0x%x on", msrs->nmsrs ? msrs->entries[0].index : 0);
	add_stop(out, n);
}

static void say_set_msrs(struct text *out, const struct narration *n)
{
	const struct kvm_msrs *msrs = n->event->arg;

	text_add(out, "sets %u model-specific registers of ", msrs->nmsrs);
	fd_names_add(n->names, n->event->fd, out);
	add_stop(out, n);
}

static void say_get_lapic(struct text *out, const struct narration *n)
{
	text_add(out, "reads the local APIC of ");
	fd_names_add(n->names, n->event->fd, out);
}

static void say_set_lapic(struct text *out, const struct narration *n)
{
	text_add(out, "sets the local APIC of ");
	fd_names_add(n->names, n->event->fd, out);
}

#define ENTRY(request, doc, say) { request, #request, doc, say, NULL }
static const struct narrate_entry entries[] = {
	ENTRY(KVM_GET_MSR_INDEX_LIST, "api.rst 4.3", say_list_msrs),
	ENTRY(KVM_GET_REGS, "api.rst 4.11", say_get_regs),
	ENTRY(KVM_SET_REGS, "api.rst 4.12", say_set_regs),
	ENTRY(KVM_GET_SREGS, "api.rst 4.13", say_get_sregs),
	ENTRY(KVM_SET_SREGS, "api.rst 4.14", say_set_sregs),
	ENTRY(KVM_TRANSLATE, "api.rst 4.15", say_translate),
	ENTRY(KVM_GET_MSRS, "api.rst 4.18", say_get_msrs),
	ENTRY(KVM_SET_MSRS, "api.rst 4.19", say_set_msrs),
	ENTRY(KVM_SET_CPUID2, "api.rst 4.20", say_set_cpuid),
	ENTRY(KVM_GET_FPU, "api.rst 4.22", say_get_fpu),
	ENTRY(KVM_SET_FPU, "api.rst 4.23", say_fpu),
	ENTRY(KVM_CREATE_IRQCHIP, "api.rst 4.24", say_create_irqchip),
	ENTRY(KVM_GET_IRQCHIP, "api.rst 4.26", say_get_irqchip),
	ENTRY(KVM_SET_IRQCHIP, "api.rst 4.27", say_set_irqchip),
	ENTRY(KVM_SET_CLOCK, "api.rst 4.30", say_set_clock),
	ENTRY(KVM_GET_VCPU_EVENTS, "api.rst 4.31", say_get_vcpu_events),
	ENTRY(KVM_SET_VCPU_EVENTS, "api.rst 4.32", say_vcpu_events),
	ENTRY(KVM_GET_DEBUGREGS, "api.rst 4.33", say_get_debugregs),
	ENTRY(KVM_SET_DEBUGREGS, "api.rst 4.34", say_debugregs),
	ENTRY(KVM_SET_TSS_ADDR, "api.rst 4.36", say_tss),
	ENTRY(KVM_SET_IDENTITY_MAP_ADDR, "api.rst 4.40", say_identity_map),
	ENTRY(KVM_GET_XSAVE, "api.rst 4.42", say_get_xsave),
	ENTRY(KVM_SET_XSAVE, "api.rst 4.43", say_xsave),
	ENTRY(KVM_GET_XCRS, "api.rst 4.44", say_get_xcrs),
	ENTRY(KVM_SET_XCRS, "api.rst 4.45", say_xcrs),
	ENTRY(KVM_GET_SUPPORTED_CPUID, "api.rst 4.46", say_supported_cpuid),
	ENTRY(KVM_GET_LAPIC, "api.rst 4.57", say_get_lapic),
	ENTRY(KVM_SET_LAPIC, "api.rst 4.58", say_set_lapic),
	ENTRY(KVM_CREATE_PIT2, "api.rst 4.71", say_create_pit),
	ENTRY(KVM_GET_PIT2, "api.rst 4.72", say_get_pit),
	ENTRY(KVM_SET_PIT2, "api.rst 4.73", say_set_pit),
	ENTRY(KVM_GET_NESTED_STATE, "api.rst 4.114", say_get_nested),
	ENTRY(KVM_SET_NESTED_STATE, "api.rst 4.115", say_set_nested),
};

const struct narrate_table narrate_arch = { entries, ARRAY_SIZE(entries) };
