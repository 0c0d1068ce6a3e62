/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86's own exits, and where a vCPU is, in words.
 */
#include "x86.h"

#include "base/text.h"

#include <stdio.h>

static const char *suberror_name(uint32_t suberror)
{
	static const char *const names[] = {
		[KVM_INTERNAL_ERROR_EMULATION] = "instruction not emulated",
		[KVM_INTERNAL_ERROR_SIMUL_EX] = "unexpected simultaneous exceptions",
		[KVM_INTERNAL_ERROR_DELIVERY_EV] = "exit while an event was delivered",
		[KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "unexpected hardware exit",
	};

	if (suberror >= ARRAY_SIZE(names) || !names[suberror])
		return "unknown cause";
	return names[suberror];
}

/* RIP and mode: as much as fits with the instruction's bytes. */
static void describe_place(struct vcpu *vcpu, struct text *out)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	if (vcpu_ioctl(vcpu, KVM_GET_REGS, &regs) < 0 ||
	    vcpu_ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
		text_add(out, "rip unknown");
	else
		text_add(out, "rip 0x%llx, %s mode", (unsigned long long)regs.rip,
			 x86_mode_name(&sregs));
}

/* KVM api.rst 5, KVM_EXIT_INTERNAL_ERROR: the bytes are valid if ndata and flags say so. */
static void describe_internal_error(struct vcpu *vcpu, char *detail, size_t len)
{
	const struct kvm_run *run = vcpu->run;
	unsigned count = run->emulation_failure.insn_size;
	struct text out = text_of(detail, len);

	text_add(&out, "KVM internal error %u (%s) at ", run->internal.suberror,
		 suberror_name(run->internal.suberror));
	describe_place(vcpu, &out);
	if (run->internal.suberror != KVM_INTERNAL_ERROR_EMULATION || run->internal.ndata < 3 ||
	    !(run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) ||
	    count > sizeof(run->emulation_failure.insn_bytes))
		return;
	text_add(&out, ", bytes");
	for (unsigned i = 0; i < count; i++)
		text_add(&out, " %02x", run->emulation_failure.insn_bytes[i]);
}

enum vcpu_end arch_vcpu_exit(struct vcpu *vcpu, char *detail, size_t len)
{
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_INTERNAL_ERROR:
		describe_internal_error(vcpu, detail, len);
		return VCPU_INTERNAL_ERROR;
	case KVM_EXIT_SET_TPR:
		/* Without an in-kernel APIC every write of CR8 exits; it needs no action. */
		return VCPU_RUNNING;
	default:
		snprintf(detail, len, "KVM exit reason %u", vcpu->run->exit_reason);
		return VCPU_UNKNOWN_EXIT;
	}
}

void arch_vcpu_describe(struct vcpu *vcpu, char *text, size_t len)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	if (vcpu_ioctl(vcpu, KVM_GET_REGS, &regs) < 0 ||
	    vcpu_ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0) {
		snprintf(text, len, "rip unknown");
		return;
	}
	/*
	 * SVM leaves the VMCB undefined at a shutdown, so KVM resets the vCPU before the exit.
	 */
	if (regs.rip == 0xfff0 && sregs.cs.base == 0xffff0000) {
		snprintf(text, len, "rip 0xfff0 (the reset vector, where KVM on AMD puts a vCPU at "
				    "a triple fault)");
		return;
	}
	snprintf(text, len, "rip 0x%llx (%s mode, cs 0x%x, cpl %u, cr3 0x%llx)",
		 (unsigned long long)regs.rip, x86_mode_name(&sregs), sregs.cs.selector, sregs.ss.dpl,
		 (unsigned long long)sregs.cr3);
}
