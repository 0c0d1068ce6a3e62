/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPU state: power-on, after firmware, and the entry state of each CPU mode. (Intel SDM vol. 3A
 * chapter 10; KVM api.rst for the ioctls)
 */
#include "boot.h"
#include "x86.h"

#include "base/log.h"

#include <asm/processor-flags.h>
#include <string.h>

#define RFLAGS_FIXED 0x2

#define EFER_LME (1u << 8)
#define EFER_LMA (1u << 10)

#define APIC_BASE_DEFAULT 0xfee00000u
#define APIC_BASE_BSP (1u << 8)
#define APIC_BASE_ENABLE (1u << 11)

/* Local APIC registers, byte offsets */
#define APIC_ID 0x20
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_LINT1 0x360
#define APIC_LVT_MASKED (1u << 16)
#define APIC_DELIVER_NMI (4u << 8)
#define APIC_DELIVER_EXTINT (7u << 8)

#define MSR_MISC_ENABLE 0x1a0
#define MISC_ENABLE_FAST_STRING (1u << 0)
#define MSR_MTRR_DEF_TYPE 0x2ff
#define MTRR_ENABLE (1u << 11)
#define MTRR_WRITE_BACK 6u

/* Index in 32-bit words of an XSAVE area: the bitmap of its components. */
#define XSTATE_BV 128
#define XSTATE_X87_SSE 3u

static void set_apic(struct kvm_lapic_state *apic, unsigned offset, uint32_t value)
{
	memcpy(&apic->regs[offset], &value, sizeof(value));
}

/* Caches are on, and all memory is write-back. */
static void run_firmware(struct x86_inventory *state)
{
	state->sregs.cr0 &= ~(uint64_t)(X86_CR0_CD | X86_CR0_NW);
	for (unsigned i = 0; i < state->msr_count; i++) {
		struct kvm_msr_entry *msr = &state->msrs[i];

		if (msr->index == MSR_MTRR_DEF_TYPE)
			msr->data = MTRR_ENABLE | MTRR_WRITE_BACK;
		else if (msr->index == MSR_MISC_ENABLE)
			msr->data |= MISC_ENABLE_FAST_STRING;
	}
	/* Set, because some CPUs otherwise do not load MXCSR. */
	state->xsave[XSTATE_BV] |= XSTATE_X87_SSE;
}

/*
 * What differs between vCPUs: secondary ones wait for INIT and SIPI. The boot CPU's TSC restarts at
 * 1, and those of the others follow: a write of 0 tells KVM to synchronise, however late it comes.
 */
static void make_own(struct x86_inventory *state, const struct vcpu *vcpu)
{
	bool boot = vcpu->id == 0;

	state->sregs.apic_base = APIC_BASE_DEFAULT | (boot ? APIC_BASE_BSP : 0) |
				 (vcpu->kvm->has_irqchip ? APIC_BASE_ENABLE : 0);
	set_apic(&state->lapic, APIC_ID, vcpu->id << 24);
	/* Firmware leaves the boot CPU in virtual wire mode: the PIC's output is on LINT0. */
	set_apic(&state->lapic, APIC_LVT_LINT0, boot ? APIC_DELIVER_EXTINT : APIC_LVT_MASKED);
	set_apic(&state->lapic, APIC_LVT_LINT1, boot ? APIC_DELIVER_NMI : APIC_LVT_MASKED);
	state->mp_state.mp_state = boot ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED;
	for (unsigned i = 0; i < state->msr_count; i++)
		if (state->msrs[i].index == MSR_TSC)
			state->msrs[i].data = boot;
}

int arch_vcpu_reset(struct arch_vm *arch, struct vcpu *vcpu)
{
	struct x86_vm *vm = arch->priv;

	make_own(vm->power_on, vcpu);
	return inventory_put(vcpu, vm->power_on, NULL);
}

int arch_vcpu_init(struct arch_vm *arch, struct vcpu *vcpu)
{
	struct x86_vm *vm = arch->priv;
	int ret = cpuid_set(arch, vcpu);

	if (ret < 0) {
		log_error("vCPU %u: KVM_SET_CPUID2: %s", vcpu->id, strerror(-ret));
		return ret;
	}
	/* All are created alike, so the first is enough. */
	if (!vm->power_on) {
		ret = inventory_take(vcpu, &vm->power_on);
		if (ret < 0)
			return ret;
		run_firmware(vm->power_on);
	}
	return arch_vcpu_reset(arch, vcpu);
}

enum { SEGMENT_DATA = 3, SEGMENT_CODE = 11, SEGMENT_TSS_BUSY = 11 };

static struct kvm_segment real_mode_segment(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment){
		.base = (uint64_t)selector << 4,
		.limit = 0xffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
	};
}

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type, bool is_64bit)
{
	return (struct kvm_segment){
		.limit = UINT32_MAX,
		.selector = selector,
		.type = type,
		.present = 1,
		.s = 1,
		.db = !is_64bit,
		.l = is_64bit,
		.g = 1,
	};
}

static void enter_real_mode(struct kvm_sregs *sregs, const struct boot_regs *entry)
{
	sregs->cs = real_mode_segment((uint16_t)entry->cs, SEGMENT_CODE);
	sregs->ds = real_mode_segment((uint16_t)entry->cs, SEGMENT_DATA);
	sregs->es = sregs->ds;
	sregs->ss = real_mode_segment((uint16_t)entry->ss, SEGMENT_DATA);
	sregs->idt = (struct kvm_dtable){ .limit = 0x3ff };
}

/* The caches of the segments agree with the GDT that boot_tables.c writes. */
static void enter_protected_mode(struct kvm_sregs *sregs, bool is_64bit)
{
	sregs->cs = flat_segment(BOOT_CS, SEGMENT_CODE, is_64bit);
	sregs->ds = flat_segment(BOOT_DS, SEGMENT_DATA, false);
	sregs->es = sregs->fs = sregs->gs = sregs->ss = sregs->ds;
	sregs->tr = (struct kvm_segment){
		.limit = 0x67, .selector = BOOT_TSS, .type = SEGMENT_TSS_BUSY, .present = 1
	};
	sregs->gdt = (struct kvm_dtable){ .base = BOOT_GDT, .limit = BOOT_GDT_LEN - 1 };
	sregs->idt = (struct kvm_dtable){ .limit = 0 };
	sregs->cr0 |= X86_CR0_PE;
}

static void enter_long_mode(struct kvm_sregs *sregs)
{
	enter_protected_mode(sregs, true);
	sregs->cr3 = BOOT_PML4;
	sregs->cr4 |= X86_CR4_PAE;
	sregs->cr0 |= X86_CR0_PG;
	sregs->efer |= EFER_LME | EFER_LMA;
}

int arch_boot_vcpu(struct vcpu *vcpu, const struct boot_state *state)
{
	struct kvm_sregs sregs;
	struct boot_regs entry;
	struct kvm_regs regs = { .rflags = RFLAGS_FIXED };
	int ret = vcpu_call(vcpu, KVM_GET_SREGS, &sregs);

	if (ret < 0)
		return ret;
	memcpy(&entry, state->words, sizeof(entry));
	switch ((enum cpu_mode)entry.mode) {
	case CPU_MODE_16:
		enter_real_mode(&sregs, &entry);
		break;
	case CPU_MODE_32:
		enter_protected_mode(&sregs, false);
		break;
	case CPU_MODE_64:
		enter_long_mode(&sregs);
		break;
	}
	ret = vcpu_call(vcpu, KVM_SET_SREGS, &sregs);
	if (ret < 0)
		return ret;
	regs.rip = entry.rip;
	regs.rsp = entry.rsp;
	regs.rax = entry.rax;
	regs.rbx = entry.rbx;
	regs.rsi = entry.rsi;
	ret = vcpu_call(vcpu, KVM_SET_REGS, &regs);
	return ret < 0 ? ret : 0;
}
