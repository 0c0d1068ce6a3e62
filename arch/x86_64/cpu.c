/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPU state: power-on, and the entry state of each CPU mode. (Intel SDM vol. 3A table 10-1 for
 * RESET; KVM api.rst for the ioctls)
 */
#include "boot.h"
#include "x86.h"

#include "base/log.h"

#include <asm/kvm_para.h>
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
#define APIC_VERSION 0x30
#define APIC_DFR 0xe0
#define APIC_SPIV 0xf0
#define APIC_LVT_CMCI 0x2f0
#define APIC_LVT_FIRST 0x320 /* timer, thermal, performance, LINT0, LINT1, error: 16 apart */
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_LINT1 0x360
#define APIC_LVT_LAST 0x370
#define APIC_LVT_MASKED (1u << 16)
#define APIC_DELIVER_NMI (4u << 8)
#define APIC_DELIVER_EXTINT (7u << 8)

#define MISC_ENABLE_FAST_STRING (1u << 0)
#define MTRR_ENABLE (1u << 11)
#define MTRR_WRITE_BACK 6u

#define MSR_MISC_ENABLE 0x1a0

/*
 * What a guest may have set and the next one must not find, and the few values that firmware would
 * have set: MTRRs that make all memory write-back, fast string operations.
 */
static const struct kvm_msr_entry power_on_msrs[] = {
	{ .index = MSR_KVM_SYSTEM_TIME },
	{ .index = MSR_KVM_SYSTEM_TIME_NEW },
	{ .index = MSR_KVM_ASYNC_PF_EN },
	{ .index = MSR_KVM_ASYNC_PF_INT },
	{ .index = MSR_KVM_STEAL_TIME },
	{ .index = MSR_KVM_PV_EOI_EN },
	{ .index = MSR_KVM_POLL_CONTROL, .data = 1 },
	{ .index = 0x174 }, /* SYSENTER_CS, _ESP, _EIP */
	{ .index = 0x175 },
	{ .index = 0x176 },
	{ .index = 0x277, .data = 0x0007040600070406 }, /* PAT */
	{ .index = 0x2ff, .data = MTRR_ENABLE | MTRR_WRITE_BACK }, /* MTRR_DEF_TYPE */
	{ .index = 0x6e0 },					   /* TSC_DEADLINE */
	{ .index = 0xda0 },					   /* XSS */
	{ .index = 0x48 },					   /* SPEC_CTRL */
	{ .index = 0xc0000081 }, /* STAR, LSTAR, CSTAR, SFMASK */
	{ .index = 0xc0000082 },
	{ .index = 0xc0000083 },
	{ .index = 0xc0000084 },
	{ .index = 0xc0000102 }, /* KERNEL_GS_BASE */
	{ .index = 0xc0000103 }, /* TSC_AUX */
};

static int cpu_call(struct vcpu *vcpu, const struct sys_site *site, unsigned long request,
		    const char *name, void *arg)
{
	int ret = vcpu_ioctl_from(vcpu, site, request, arg);

	if (ret < 0)
		log_error("vCPU %u: %s: %s", vcpu->id, name, strerror(-ret));
	return ret;
}
#define CPU_CALL(vcpu, request, arg) cpu_call(vcpu, SYS_HERE, request, #request, arg)

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

enum { SEGMENT_DATA = 3, SEGMENT_CODE = 11, SEGMENT_LDT = 2, SEGMENT_TSS_BUSY = 11 };

static int reset_sregs(struct vcpu *vcpu)
{
	struct kvm_sregs sregs;
	int ret = CPU_CALL(vcpu, KVM_GET_SREGS, &sregs);

	if (ret < 0)
		return ret;
	sregs.cs = real_mode_segment(0xf000, SEGMENT_CODE);
	sregs.cs.base = 0xffff0000;
	sregs.ds = real_mode_segment(0, SEGMENT_DATA);
	sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.ds;
	sregs.tr = (struct kvm_segment){ .limit = 0xffff, .type = SEGMENT_TSS_BUSY, .present = 1 };
	sregs.ldt = (struct kvm_segment){ .limit = 0xffff, .type = SEGMENT_LDT, .present = 1 };
	sregs.gdt = (struct kvm_dtable){ .limit = 0xffff };
	sregs.idt = sregs.gdt;
	/* Caches on, as firmware leaves them: CD and NW of the architectural reset are clear. */
	sregs.cr0 = X86_CR0_ET;
	sregs.cr2 = sregs.cr3 = sregs.cr4 = sregs.cr8 = 0;
	sregs.efer = 0;
	sregs.apic_base = APIC_BASE_DEFAULT;
	if (vcpu->kvm->has_irqchip)
		sregs.apic_base |= APIC_BASE_ENABLE;
	if (vcpu->id == 0)
		sregs.apic_base |= APIC_BASE_BSP;
	memset(sregs.interrupt_bitmap, 0, sizeof(sregs.interrupt_bitmap));
	return CPU_CALL(vcpu, KVM_SET_SREGS, &sregs);
}

static int reset_regs(struct vcpu *vcpu)
{
	struct kvm_regs regs = { .rip = 0xfff0, .rflags = RFLAGS_FIXED };
	struct kvm_debugregs debug = { .dr6 = 0xffff0ff0, .dr7 = 0x400 };
	/* What was about to be injected, and NMIs that were blocked. */
	struct kvm_vcpu_events events = { .flags = KVM_VCPUEVENT_VALID_NMI_PENDING |
						   KVM_VCPUEVENT_VALID_SIPI_VECTOR |
						   KVM_VCPUEVENT_VALID_SHADOW };
	int ret = CPU_CALL(vcpu, KVM_SET_REGS, &regs);

	if (ret >= 0)
		ret = CPU_CALL(vcpu, KVM_SET_DEBUGREGS, &debug);
	if (ret >= 0)
		ret = CPU_CALL(vcpu, KVM_SET_VCPU_EVENTS, &events);
	return ret;
}

/* All extended state in its initial configuration, by a header that names only x87 and SSE. */
static int reset_fpu(struct vcpu *vcpu)
{
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs = { { .xcr = 0, .value = 1 } } };
	struct kvm_xsave xsave = { .region = { [0] = 0x37f /* FCW */, [6] = 0x1f80 /* MXCSR */,
					       [128] = 3 /* XSTATE_BV */ } };
	int ret;

	if (!kvm_check_extension(vcpu->kvm, KVM_CAP_XCRS)) {
		struct kvm_fpu fpu = { .fcw = 0x37f, .mxcsr = 0x1f80 };

		return CPU_CALL(vcpu, KVM_SET_FPU, &fpu);
	}
	ret = CPU_CALL(vcpu, KVM_SET_XCRS, &xcrs);
	if (ret < 0)
		return ret;
	return CPU_CALL(vcpu, KVM_SET_XSAVE, &xsave);
}

enum { MSRS_MAX = ARRAY_SIZE(power_on_msrs) };

/* KVM_GET_MSRS or KVM_SET_MSRS of at most MSRS_MAX: how many went well, or a negative errno. */
static int msrs_call(struct vcpu *vcpu, const struct sys_site *site, unsigned long request,
		     const char *name, struct kvm_msr_entry *entries, unsigned count)
{
	_Alignas(struct kvm_msrs) char buf[sizeof(struct kvm_msrs) + MSRS_MAX * sizeof(*entries)];
	struct kvm_msrs *msrs = (struct kvm_msrs *)buf;
	int ret;

	*msrs = (struct kvm_msrs){ .nmsrs = count };
	memcpy(msrs->entries, entries, count * sizeof(*entries));
	ret = cpu_call(vcpu, site, request, name, msrs);
	memcpy(entries, msrs->entries, count * sizeof(*entries));
	return ret;
}
#define MSRS_CALL(vcpu, request, entries, count)                                                   \
	msrs_call(vcpu, SYS_HERE, request, #request, entries, count)

/*
 * KVM_SET_MSRS stops at an MSR that this KVM or CPU does not have. Such an MSR needs no reset: step
 * over it.
 */
static int reset_msrs(struct vcpu *vcpu)
{
	struct kvm_msr_entry msrs[MSRS_MAX];
	unsigned done = 0;

	memcpy(msrs, power_on_msrs, sizeof(msrs));
	while (done < MSRS_MAX) {
		int ret = MSRS_CALL(vcpu, KVM_SET_MSRS, msrs + done, MSRS_MAX - done);

		if (ret < 0)
			return ret;
		done += (unsigned)ret + 1;
	}
	return 0;
}

/* Some of its bits are read-only and say what KVM has, so only the one bit is added. */
static int enable_fast_strings(struct vcpu *vcpu)
{
	struct kvm_msr_entry msr = { .index = MSR_MISC_ENABLE };
	int ret = MSRS_CALL(vcpu, KVM_GET_MSRS, &msr, 1);

	if (ret != 1)
		return ret;
	msr.data |= MISC_ENABLE_FAST_STRING;
	return MSRS_CALL(vcpu, KVM_SET_MSRS, &msr, 1);
}

static void set_apic(struct kvm_lapic_state *apic, unsigned offset, uint32_t value)
{
	memcpy(&apic->regs[offset], &value, sizeof(value));
}

static int reset_lapic(struct vcpu *vcpu)
{
	struct kvm_lapic_state apic, old;
	int ret = CPU_CALL(vcpu, KVM_GET_LAPIC, &old);

	if (ret < 0)
		return ret;
	memset(&apic, 0, sizeof(apic));
	memcpy(&apic.regs[APIC_VERSION], &old.regs[APIC_VERSION], sizeof(uint32_t));
	set_apic(&apic, APIC_ID, vcpu->id << 24);
	set_apic(&apic, APIC_DFR, UINT32_MAX);
	set_apic(&apic, APIC_SPIV, 0xff);
	for (unsigned offset = APIC_LVT_FIRST; offset <= APIC_LVT_LAST; offset += 0x10)
		set_apic(&apic, offset, APIC_LVT_MASKED);
	set_apic(&apic, APIC_LVT_CMCI, APIC_LVT_MASKED);
	/* Firmware leaves the boot CPU in virtual wire mode: the PIC's output is on LINT0. */
	if (vcpu->id == 0) {
		set_apic(&apic, APIC_LVT_LINT0, APIC_DELIVER_EXTINT);
		set_apic(&apic, APIC_LVT_LINT1, APIC_DELIVER_NMI);
	}
	return CPU_CALL(vcpu, KVM_SET_LAPIC, &apic);
}

/* Secondary CPUs wait for INIT and SIPI. */
static int reset_mp_state(struct vcpu *vcpu)
{
	struct kvm_mp_state state = { .mp_state = vcpu->id == 0 ? KVM_MP_STATE_RUNNABLE :
								  KVM_MP_STATE_UNINITIALIZED };

	return CPU_CALL(vcpu, KVM_SET_MP_STATE, &state);
}

int arch_vcpu_reset(struct arch_vm *arch, struct vcpu *vcpu)
{
	int ret;

	/* The APIC base first: the registers of the local APIC are read in its mode. */
	ret = reset_sregs(vcpu);
	if (ret >= 0)
		ret = reset_regs(vcpu);
	if (ret >= 0)
		ret = reset_fpu(vcpu);
	if (ret >= 0)
		ret = reset_msrs(vcpu);
	if (ret >= 0)
		ret = enable_fast_strings(vcpu);
	if (ret >= 0 && arch->kvm->has_irqchip)
		ret = reset_lapic(vcpu);
	if (ret >= 0 && arch->kvm->has_irqchip)
		ret = reset_mp_state(vcpu);
	return ret < 0 ? ret : 0;
}

int arch_vcpu_init(struct arch_vm *arch, struct vcpu *vcpu)
{
	int ret = cpuid_set(arch, vcpu);

	if (ret < 0) {
		log_error("vCPU %u: KVM_SET_CPUID2: %s", vcpu->id, strerror(-ret));
		return ret;
	}
	return arch_vcpu_reset(arch, vcpu);
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

/* The caches of the segments agree with the GDT that boot_write_gdt() wrote. */
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
	int ret = CPU_CALL(vcpu, KVM_GET_SREGS, &sregs);

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
	ret = CPU_CALL(vcpu, KVM_SET_SREGS, &sregs);
	if (ret < 0)
		return ret;
	regs.rip = entry.rip;
	regs.rsp = entry.rsp;
	regs.rax = entry.rax;
	regs.rbx = entry.rbx;
	regs.rsi = entry.rsi;
	ret = CPU_CALL(vcpu, KVM_SET_REGS, &regs);
	return ret < 0 ? ret : 0;
}
