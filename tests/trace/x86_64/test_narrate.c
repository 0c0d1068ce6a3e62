/* SPDX-License-Identifier: Apache-2.0 */
/* The narration of x86's own KVM requests. */
#include "../narrate_rig.h"

#include <asm/processor-flags.h>

static void test_machine_requests(void **state)
{
	struct rig *r = *state;
	uint64_t page = 0xfffbc000;
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct kvm_cpuid2 cpuid = { .nent = 30 };

	assert_string_equal(said(r, 7, KVM_SET_IDENTITY_MAP_ADDR, &page, 0),
			    "KVM_SET_IDENTITY_MAP_ADDR: gives KVM the guest page 0xfffbc000, for page "
			    "tables with which older Intel CPUs run real mode");
	assert_string_equal(said(r, 7, KVM_SET_TSS_ADDR, (void *)0xfffbd000UL, 0),
			    "KVM_SET_TSS_ADDR: gives KVM three guest pages from 0xfffbd000 on, for a "
			    "TSS with which older Intel CPUs run real mode");
	assert_string_equal(said(r, 7, KVM_CREATE_IRQCHIP, NULL, 0),
			    "KVM_CREATE_IRQCHIP: puts two PICs and an I/O APIC into the kernel, and a "
			    "local APIC into each vCPU to come");
	assert_string_equal(said(r, 7, KVM_GET_IRQCHIP, &chip, 0),
			    "KVM_GET_IRQCHIP: reads the registers of the I/O APIC");
	chip.chip_id = KVM_IRQCHIP_PIC_SLAVE;
	assert_string_equal(said(r, 7, KVM_SET_IRQCHIP, &chip, 0),
			    "KVM_SET_IRQCHIP: sets the registers of the second PIC");
	assert_string_equal(said(r, 7, KVM_CREATE_PIT2, &page, 0),
			    "KVM_CREATE_PIT2: puts an i8254 timer into the kernel, wired to GSI 0");
	assert_string_equal(said(r, 7, KVM_GET_SUPPORTED_CPUID, &cpuid, 0),
			    "KVM_GET_SUPPORTED_CPUID: asks what CPUID may tell a guest on this host: "
			    "30 leaves");
}

static void test_registers(void **state)
{
	struct rig *r = *state;
	struct kvm_regs regs = { .rip = 0x1000, .rsp = 0x8000, .rflags = 2 };
	struct kvm_sregs sregs = { .cr0 = X86_CR0_PE | X86_CR0_PG, .efer = 0x500, .cr3 = 0x82000,
				   .cr4 = X86_CR4_PAE, .cs = { .selector = 0x10, .l = 1 } };

	assert_string_equal(said(r, 7, KVM_SET_REGS, &regs, 0),
			    "KVM_SET_REGS: sets the general registers of fd 7 (vCPU 0): rip 0x1000, "
			    "rsp 0x8000, rflags 0x2");
	assert_string_equal(said(r, 7, KVM_GET_REGS, &regs, -EIO),
			    "KVM_GET_REGS: reads the general registers of fd 7 (vCPU 0): refused: "
			    "Input/output error");
	assert_string_equal(said(r, 7, KVM_SET_SREGS, &sregs, 0),
			    "KVM_SET_SREGS: sets segments and control registers of fd 7 (vCPU 0): "
			    "64-bit long mode, cs 0x10 with base 0x0, cr0 0x80000001, cr3 0x82000, cr4 "
			    "0x20, efer 0x500");
	sregs = (struct kvm_sregs){ .cr0 = X86_CR0_ET };
	assert_non_null(strstr(said(r, 7, KVM_GET_SREGS, &sregs, 0), "16-bit real mode"));
	sregs = (struct kvm_sregs){ .cr0 = X86_CR0_PE, .cs.db = 1 };
	assert_non_null(strstr(said(r, 7, KVM_GET_SREGS, &sregs, 0), "32-bit protected mode"));
}

static void test_other_state(void **state)
{
	struct rig *r = *state;
	struct kvm_debugregs debug = { .dr7 = 0x400 };
	struct kvm_vcpu_events events = { 0 };
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs = { { .value = 7 } } };
	struct kvm_fpu fpu = { .fcw = 0x37f, .mxcsr = 0x1f80 };
	struct kvm_lapic_state lapic;
	struct kvm_nested_state nested = { .flags = KVM_STATE_NESTED_GIF_SET };
	struct kvm_clock_data clock = { .clock = 5 };

	assert_string_equal(said(r, 7, KVM_GET_DEBUGREGS, &debug, 0),
			    "KVM_GET_DEBUGREGS: reads the debug registers of fd 7 (vCPU 0)");
	assert_string_equal(said(r, 7, KVM_GET_VCPU_EVENTS, &events, 0),
			    "KVM_GET_VCPU_EVENTS: reads what is on its way to fd 7 (vCPU 0)");
	assert_string_equal(said(r, 7, KVM_GET_XCRS, &xcrs, 0),
			    "KVM_GET_XCRS: reads XCR0 of fd 7 (vCPU 0), which says what extended "
			    "registers are on");
	assert_string_equal(said(r, 7, KVM_GET_XSAVE, &xcrs, 0),
			    "KVM_GET_XSAVE: reads all x87, SSE and AVX registers of fd 7 (vCPU 0)");
	assert_string_equal(said(r, 7, KVM_GET_NESTED_STATE, &nested, 0),
			    "KVM_GET_NESTED_STATE: reads how far fd 7 (vCPU 0) is with guests of its "
			    "own");
	assert_string_equal(said(r, 7, KVM_SET_NESTED_STATE, &nested, 0),
			    "KVM_SET_NESTED_STATE: takes guests of its own, if there are any, from fd "
			    "7 (vCPU 0)");
	nested.flags = KVM_STATE_NESTED_GUEST_MODE;
	assert_string_equal(said(r, 7, KVM_SET_NESTED_STATE, &nested, 0),
			    "KVM_SET_NESTED_STATE: puts a guest of its own into fd 7 (vCPU 0)");
	assert_string_equal(said(r, 7, KVM_SET_CLOCK, &clock, 0),
			    "KVM_SET_CLOCK: sets kvmclock, the time that KVM tells its guests, to 5 "
			    "ns");
	assert_string_equal(said(r, 7, KVM_SET_DEBUGREGS, &debug, 0),
			    "KVM_SET_DEBUGREGS: sets the debug registers of fd 7 (vCPU 0): no "
			    "breakpoint is on");
	debug.dr7 |= 1;
	assert_non_null(strstr(said(r, 7, KVM_SET_DEBUGREGS, &debug, 0), "breakpoints are on"));
	assert_string_equal(said(r, 7, KVM_SET_VCPU_EVENTS, &events, 0),
			    "KVM_SET_VCPU_EVENTS: sets what is on its way to fd 7 (vCPU 0): no "
			    "exception, no interrupt, no NMI");
	assert_string_equal(said(r, 7, KVM_SET_XCRS, &xcrs, 0),
			    "KVM_SET_XCRS: sets XCR0 of fd 7 (vCPU 0), which says what extended "
			    "registers are on, to 0x7");
	assert_string_equal(said(r, 7, KVM_SET_XSAVE, &events, 0),
			    "KVM_SET_XSAVE: sets all x87, SSE and AVX registers of fd 7 (vCPU 0)");
	assert_string_equal(said(r, 7, KVM_SET_FPU, &fpu, 0),
			    "KVM_SET_FPU: sets the x87 and SSE registers of fd 7 (vCPU 0): control "
			    "words 0x37f and 0x1f80");
	assert_string_equal(said(r, 7, KVM_GET_FPU, &fpu, 0),
			    "KVM_GET_FPU: reads the x87 and SSE registers of fd 7 (vCPU 0)");
	assert_string_equal(said(r, 7, KVM_TRANSLATE,
				 &(struct kvm_translation){ 0xffff0000, 0x1000, 1, 0, 0, { 0 } }, 0),
			    "KVM_TRANSLATE: asks where the page tables of fd 7 (vCPU 0) lead from "
			    "0xffff0000: to 0x1000");
	assert_string_equal(said(r, 7, KVM_TRANSLATE,
				 &(struct kvm_translation){ .linear_address = 0x10 }, 0),
			    "KVM_TRANSLATE: asks where the page tables of fd 7 (vCPU 0) lead from 0x10: "
			    "nowhere");
	assert_string_equal(said(r, 7, KVM_GET_LAPIC, &lapic, 0),
			    "KVM_GET_LAPIC: reads the local APIC of fd 7 (vCPU 0)");
	assert_string_equal(said(r, 7, KVM_SET_LAPIC, &lapic, 0),
			    "KVM_SET_LAPIC: sets the local APIC of fd 7 (vCPU 0)");
	assert_string_equal(said(r, 7, KVM_SET_CPUID2, &(struct kvm_cpuid2){ .nent = 30 }, 0),
			    "KVM_SET_CPUID2: fd 7 (vCPU 0) gets its 30 CPUID leaves: what the guest "
			    "takes this CPU for");
}

/* KVM_SET_MSRS returns the index of the MSR at which it stopped. */
static void test_msrs(void **state)
{
	struct rig *r = *state;
	_Alignas(struct kvm_msrs) char buf[sizeof(struct kvm_msrs) + 2 * sizeof(struct kvm_msr_entry)];
	struct kvm_msrs *msrs = (struct kvm_msrs *)buf;

	memset(buf, 0, sizeof(buf));
	msrs->nmsrs = 2;
	msrs->entries[0].index = 0x1a0;
	msrs->entries[1].index = 0xda0;
	assert_string_equal(said(r, 7, KVM_GET_MSRS, msrs, 2),
			    "KVM_GET_MSRS: reads 2 model-specific registers of fd 7 (vCPU 0), from "
			    "0x1a0 on");
	assert_string_equal(said(r, 7, KVM_GET_MSRS, msrs, 0),
			    "KVM_GET_MSRS: reads 2 model-specific registers of fd 7 (vCPU 0), from "
			    "0x1a0 on, but stops behind 0 of them, at 0x1a0, which it does not have");
	assert_string_equal(said(r, 7, KVM_GET_MSR_INDEX_LIST, &(struct kvm_msr_list){ .nmsrs = 41 },
				 0),
			    "KVM_GET_MSR_INDEX_LIST: asks which model-specific registers KVM keeps for "
			    "a vCPU: 41");
	assert_string_equal(said(r, 7, KVM_SET_MSRS, msrs, 2),
			    "KVM_SET_MSRS: sets 2 model-specific registers of fd 7 (vCPU 0)");
	assert_string_equal(said(r, 7, KVM_SET_MSRS, msrs, 1),
			    "KVM_SET_MSRS: sets 2 model-specific registers of fd 7 (vCPU 0), but stops "
			    "behind 1 of them, at 0xda0, which it does not have");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_machine_requests),
		TEST(test_registers),
		TEST(test_other_state),
		TEST(test_msrs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
