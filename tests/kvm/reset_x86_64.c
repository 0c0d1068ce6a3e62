/* SPDX-License-Identifier: Apache-2.0 */
/* For reset.c and saved.c: x86's machine. (KVM api.rst) */
#include "machine.h"

#include <asm/processor-flags.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOADED(channel) "when KVM began to count channel " #channel
const struct exception exceptions[] = {
	{ "PIT+0x10", LOADED(0) },
	{ "PIT+0x14", LOADED(0) },
	{ "PIT+0x28", LOADED(1) },
	{ "PIT+0x2c", LOADED(1) },
	{ "PIT+0x40", LOADED(2) },
	{ "PIT+0x44", LOADED(2) },
	{ "vCPU 0 LAPIC+0x390", "the count of its timer" },
	{ NULL, NULL },
};

/* MSRs that every KVM has; from groups, something in each. */
const char *const dirty[] = {
	"vCPU 0 REGS",
	"vCPU 0 SREGS",
	"vCPU 0 DEBUGREGS",
	"vCPU 0 EVENTS",
	"vCPU 0 FPU",
	"vCPU 0 XSAVE",
	"vCPU 0 LAPIC",
	"vCPU 0 MP_STATE",
	"vCPU 1 SREGS",
	"vCPU 1 FPU",
	"vCPU 1 LAPIC",
	"vCPU 1 MP_STATE",
	"vCPU 0 MSR 0x3b",
	"vCPU 0 MSR 0x2ff",
	"vCPU 0 MSR 0x20f",
	"vCPU 1 MSR 0x250",
	"vCPU 0 MSR 0x400",
	"vCPU 1 MSR 0x402",
	"vCPU 0 MSR 0xc0000082",
	"vCPU 0 MSR 0x4b564d03",
	"PIC 0",
	"PIC 1",
	"IOAPIC",
	"PIT",
	"clock, in hours",
	NULL,
};

enum { MSRS_MAX = 8192, MSR_TSC = 0x10 };

/* Running counters are compared in units of about five hours. */
enum { HOURS = 44 };
static const uint64_t HALF = 1ull << (HOURS - 1); /* one that is just below 0 is 0 */

static void get(struct vcpu *vcpu, unsigned long request, void *arg, const char *name)
{
	require(vcpu_ioctl(vcpu, request, arg) >= 0, name);
}
#define GET(vcpu, what, arg) get(vcpu, KVM_GET_##what, arg, "KVM_GET_" #what)
#define SET(vcpu, what, arg) get(vcpu, KVM_SET_##what, arg, "KVM_SET_" #what)

static int one_msr(struct vcpu *vcpu, unsigned long request, uint32_t index, uint64_t *value)
{
	union {
		struct kvm_msrs msrs;
		char room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} buf = { .msrs.nmsrs = 1 };
	int ret;

	buf.msrs.entries[0].index = index;
	buf.msrs.entries[0].data = *value;
	ret = vcpu_ioctl(vcpu, request, &buf);
	*value = buf.msrs.entries[0].data;
	return ret;
}

static bool is_in(uint32_t index, const uint32_t *indices, unsigned count)
{
	unsigned i = 0;

	while (i < count && indices[i] != index)
		i++;
	return i < count;
}

/*
 * All MSRs that KVM lists, and all others that can be read, because guests may write unlisted ones.
 * Except those that are part of other state: APIC base, EFER, x2APIC; and those refused to guests:
 * Hyper-V's, which CPUID does not offer, and AMD's DECFG, 0xc0011029.
 */
static unsigned list_msrs(struct machine *m, uint32_t indices[MSRS_MAX])
{
	static const uint32_t more[][2] = {
		{ 0, 0x1a },
		{ 0x1c, 0x7ff },
		{ 0xc80, 0xfff },
		{ 0x4b564d00, 0x4b564d0f },
		{ 0xc0000081, 0xc00003ff },
		{ 0xc0010000, 0xc00103ff },
		{ 0xc0011000, 0xc0011028 },
	};
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + MSRS_MAX * sizeof(uint32_t));
	unsigned count = 0, listed;

	require(list != NULL, "memory");
	list->nmsrs = 1024;
	require(sys_ioctl(&m->sys, m->kvm.dev_fd, KVM_GET_MSR_INDEX_LIST, list) >= 0,
		"KVM_GET_MSR_INDEX_LIST");
	for (unsigned i = 0; i < list->nmsrs; i++)
		if (list->indices[i] >> 12 != 0x40000)
			indices[count++] = list->indices[i];
	free(list);
	listed = count;
	for (unsigned i = 0; i < ARRAY_SIZE(more); i++)
		for (uint32_t index = more[i][0]; index <= more[i][1]; index++)
			if (!is_in(index, indices, listed))
				indices[count++] = index;
	return count;
}

static void take_msrs(struct machine *m, struct vcpu *vcpu, struct inventory *inventory)
{
	uint32_t indices[MSRS_MAX];
	unsigned count = list_msrs(m, indices);

	for (unsigned i = 0; i < count; i++) {
		uint64_t value = 0;

		if (one_msr(vcpu, KVM_GET_MSRS, indices[i], &value) != 1)
			continue;
		if (indices[i] == MSR_TSC)
			add_value(inventory, (value + HALF) >> HOURS, "vCPU %u TSC, in hours",
				  vcpu->id);
		else
			add_value(inventory, value, "vCPU %u MSR 0x%x", vcpu->id, indices[i]);
	}
}

union group {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_sregs2 sregs2;
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	struct kvm_xcrs xcrs;
	struct kvm_fpu fpu;
	struct kvm_lapic_state lapic;
	struct kvm_mp_state mp_state;
	struct kvm_nested_state nested;
	char xsave[65536];
};

static const struct {
	unsigned long request;
	size_t len;
	const char *name;
	long needs;
} states[] = {
	{ KVM_GET_REGS, sizeof(struct kvm_regs), "REGS", 0 },
	{ KVM_GET_SREGS, sizeof(struct kvm_sregs), "SREGS", 0 },
	{ KVM_GET_SREGS2, sizeof(struct kvm_sregs2), "SREGS2", KVM_CAP_SREGS2 },
	{ KVM_GET_DEBUGREGS, sizeof(struct kvm_debugregs), "DEBUGREGS", 0 },
	{ KVM_GET_VCPU_EVENTS, sizeof(struct kvm_vcpu_events), "EVENTS", 0 },
	{ KVM_GET_XCRS, sizeof(struct kvm_xcrs), "XCRS", KVM_CAP_XCRS },
	{ KVM_GET_FPU, sizeof(struct kvm_fpu), "FPU", 0 },
	{ KVM_GET_XSAVE, sizeof(struct kvm_xsave), "XSAVE", 0 },
	{ KVM_GET_LAPIC, sizeof(struct kvm_lapic_state), "LAPIC", 0 },
	{ KVM_GET_MP_STATE, sizeof(struct kvm_mp_state), "MP_STATE", 0 },
	{ KVM_GET_NESTED_STATE, sizeof(struct kvm_nested_state), "NESTED", KVM_CAP_NESTED_STATE },
};

static void take_vcpu(struct machine *m, struct vcpu *vcpu, struct inventory *inventory)
{
	static union group state;

	for (unsigned i = 0; i < ARRAY_SIZE(states); i++) {
		char name[32];

		if (states[i].needs && !kvm_check_extension(&m->kvm, states[i].needs))
			continue;
		memset(&state, 0, sizeof(state));
		if (states[i].request == KVM_GET_NESTED_STATE)
			state.nested.size = sizeof(state);
		get(vcpu, states[i].request, &state, states[i].name);
		snprintf(name, sizeof(name), "vCPU %u %s", vcpu->id, states[i].name);
		add_words(inventory, name, &state, states[i].len);
	}
	take_msrs(m, vcpu, inventory);
}

static void vm_call(struct machine *m, unsigned long request, void *arg, const char *name)
{
	require(kvm_vm_ioctl(&m->kvm, request, arg) >= 0, name);
}
#define VM(m, request, arg) vm_call(m, request, arg, #request)

void take_inventory(struct machine *m, struct inventory *inventory)
{
	static const char *const names[] = { "PIC 0", "PIC 1", "IOAPIC" };
	struct kvm_pit_state2 pit;
	struct kvm_clock_data clock;

	inventory->count = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		struct kvm_irqchip chip = { .chip_id = i };

		VM(m, KVM_GET_IRQCHIP, &chip);
		add_words(inventory, names[i], &chip.chip,
			  i == KVM_IRQCHIP_IOAPIC ? sizeof(chip.chip.ioapic)
						  : sizeof(chip.chip.pic));
	}
	VM(m, KVM_GET_PIT2, &pit);
	add_words(inventory, "PIT", &pit, sizeof(pit));
	VM(m, KVM_GET_CLOCK, &clock);
	add_value(inventory, clock.clock >> HOURS, "clock, in hours");
	for (unsigned i = 0; i < CPUS; i++)
		take_vcpu(m, &m->vcpus[i], inventory);
}

/* --- Changing everything ---------------------------------------------------------------------- */

/* An OUT, in real mode: some MSRs cannot be written any more once a vCPU has run. */
static void run(struct machine *m, struct vcpu *vcpu)
{
	static const uint8_t code[] = { 0xe6, 0xf4 };
	struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	int ret;

	require(!gmem_write(&m->mem, 0x1000, code, sizeof(code)), "RAM");
	SET(vcpu, MP_STATE, &runnable);
	GET(vcpu, SREGS, &sregs);
	GET(vcpu, REGS, &regs);
	sregs.cs.base = sregs.cs.selector = 0;
	regs.rip = 0x1000;
	SET(vcpu, SREGS, &sregs);
	SET(vcpu, REGS, &regs);
	do {
		ret = sys_run(&m->sys, vcpu->fd, vcpu->run);
	} while (ret == -EINTR || ret == -EAGAIN);
	require(!ret && vcpu->run->exit_reason == KVM_EXIT_IO, "the guest did not come to its OUT");
	vcpu->run->immediate_exit = 1; /* completes it */
	require(sys_run(&m->sys, vcpu->fd, vcpu->run) == -EINTR, "the OUT was not completed");
	vcpu->run->immediate_exit = 0;
}

/* Any other value that KVM accepts; not a large one of a counter, which would soon be 0 again. */
static void dirty_msr(struct vcpu *vcpu, uint32_t index)
{
	static const uint64_t flips[] = { ~0ULL,
					  0x5a5a5a5aa5a5a5a5,
					  0x7ffff123000,
					  0x200001,
					  0x1001,
					  0x1000,
					  0x406,
					  1,
					  0x10,
					  0x100,
					  2,
					  0x8000 };
	uint64_t old = 0;

	if (one_msr(vcpu, KVM_GET_MSRS, index, &old) != 1)
		return;
	for (unsigned i = index == MSR_TSC; i < ARRAY_SIZE(flips); i++) {
		uint64_t value = old ^ flips[i];

		if (one_msr(vcpu, KVM_SET_MSRS, index, &value) != 1)
			continue;
		if (one_msr(vcpu, KVM_GET_MSRS, index, &value) == 1 && value != old)
			return;
	}
}

static void dirty_sregs(struct vcpu *vcpu)
{
	struct kvm_sregs sregs;

	GET(vcpu, SREGS, &sregs);
	sregs.cs.base = 0x12340;
	sregs.cs.selector = 0x1234;
	sregs.ss.base = sregs.ds.base = sregs.es.base = 0x4000;
	sregs.fs.base = 0x7fff12345000;
	sregs.gs.base = 0xffff888012345000;
	sregs.tr.base = 0x5000;
	sregs.tr.limit = 0x67;
	sregs.ldt.base = 0x6000;
	sregs.gdt = (struct kvm_dtable){ .base = 0x7000, .limit = 0x1f };
	sregs.idt = (struct kvm_dtable){ .base = 0x8000, .limit = 0xfff };
	sregs.cr0 |= X86_CR0_PE | X86_CR0_MP | X86_CR0_NE | X86_CR0_WP | X86_CR0_TS | X86_CR0_CD;
	sregs.cr2 = 0xdeadbeef000;
	sregs.cr3 = 0x9000;
	sregs.cr4 |= X86_CR4_DE | X86_CR4_PSE | X86_CR4_MCE | X86_CR4_OSFXSR | X86_CR4_TSD;
	sregs.cr8 = 5;
	sregs.efer |= 0x801;        /* SCE, NXE */
	sregs.apic_base |= 1 << 10; /* x2APIC */
	SET(vcpu, SREGS, &sregs);
}

static void dirty_fpu(struct vcpu *vcpu)
{
	static struct kvm_xsave xsave;

	GET(vcpu, XSAVE, &xsave);
	xsave.region[0] = 0x27f | 0x1234 << 16;
	xsave.region[6] = 0x9fc0;
	for (unsigned i = 8; i < 104; i++) /* ST0 to XMM15 */
		xsave.region[i] = 0x3f800000 + i;
	xsave.region[128] |= 3;
	SET(vcpu, XSAVE, &xsave);
}

static void dirty_extended(struct vcpu *vcpu)
{
	static struct kvm_xsave xsave;
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs = { { .value = 7 } } };

	if (vcpu_ioctl(vcpu, KVM_SET_XCRS, &xcrs) < 0) {
		xcrs.xcrs[0].value = 3;
		SET(vcpu, XCRS, &xcrs);
		return;
	}
	GET(vcpu, XSAVE, &xsave);
	for (unsigned i = 144; i < 208; i++) /* upper halves of YMM0 to YMM15 */
		xsave.region[i] = 0x40000000 + i;
	xsave.region[128] |= 4;
	SET(vcpu, XSAVE, &xsave);
}

static void dirty_lapic(struct vcpu *vcpu)
{
	struct kvm_lapic_state lapic;
	static const uint16_t offsets[] = { 0x80,  0xf0,  0x110, 0x190, 0x210, 0x280, 0x300, 0x320,
					    0x330, 0x340, 0x350, 0x360, 0x370, 0x380, 0x3e0 };

	GET(vcpu, LAPIC, &lapic);
	for (unsigned i = 0; i < ARRAY_SIZE(offsets); i++)
		lapic.regs[offsets[i]] ^= 0x31, lapic.regs[offsets[i] + 1] ^= 1;
	lapic.regs[0x382] = 0xff;             /* a long time to run */
	lapic.regs[0x322] = vcpu->id ? 4 : 2; /* TSC deadline; or periodic */
	SET(vcpu, LAPIC, &lapic);
}

static void dirty_events(struct machine *m, struct vcpu *vcpu)
{
	struct kvm_vcpu_events events;

	GET(vcpu, VCPU_EVENTS, &events);
	events.flags &= KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
	events.exception.injected = 1;
	events.exception.nr = 14;
	events.exception.has_error_code = 1;
	events.exception.error_code = 2;
	events.interrupt.shadow = 1;
	events.nmi.pending = events.nmi.masked = 1;
	if (kvm_check_extension(&m->kvm, KVM_CAP_X86_SMM)) {
		events.flags |= KVM_VCPUEVENT_VALID_SMM;
		events.smi.smm = events.smi.pending = events.smi.latched_init = 1;
	}
	SET(vcpu, VCPU_EVENTS, &events);
}

/* SVM with interrupts blocked, or VMX on; nothing if CPUID does not offer it. */
static void dirty_nested(struct machine *m, struct vcpu *vcpu)
{
	struct kvm_nested_state nested = { .size = sizeof(nested) };
	struct kvm_sregs sregs;

	if (!kvm_check_extension(&m->kvm, KVM_CAP_NESTED_STATE))
		return;
	GET(vcpu, NESTED_STATE, &nested);
	GET(vcpu, SREGS, &sregs);
	if (nested.format == KVM_STATE_NESTED_FORMAT_SVM) {
		sregs.efer |= 1 << 12; /* SVME */
		nested.flags = 0;
	} else {
		sregs.cr4 |= X86_CR4_VMXE;
		nested.hdr.vmx.vmxon_pa = 0xa000;
	}
	if (vcpu_ioctl(vcpu, KVM_SET_SREGS, &sregs) >= 0)
		SET(vcpu, NESTED_STATE, &nested);
}

static void dirty_vcpu(struct machine *m, struct vcpu *vcpu)
{
	struct kvm_debugregs debug = { .db = { 0x1000, 0x2000, 0x3000, 0x4000 },
				       .dr6 = 0xffff0ff1,
				       .dr7 = 0x4ff };
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_HALTED };
	uint32_t indices[MSRS_MAX];
	struct kvm_regs regs;

	run(m, vcpu);
	dirty_nested(m, vcpu);
	dirty_sregs(vcpu);
	dirty_lapic(vcpu);
	for (unsigned i = list_msrs(m, indices); i > 0; i--)
		dirty_msr(vcpu, indices[i - 1]);
	dirty_fpu(vcpu);
	if (kvm_check_extension(&m->kvm, KVM_CAP_XCRS))
		dirty_extended(vcpu);
	memset(&regs, 0x5a, sizeof(regs));
	regs.rflags = 0xcd7;
	SET(vcpu, REGS, &regs);
	SET(vcpu, DEBUGREGS, &debug);
	dirty_events(m, vcpu);
	SET(vcpu, MP_STATE, &state);
}

static void dirty_chips(struct machine *m)
{
	struct kvm_irqchip chip;

	for (unsigned i = 0; i < 2; i++) {
		chip = (struct kvm_irqchip){ .chip_id = i };
		VM(m, KVM_GET_IRQCHIP, &chip);
		chip.chip.pic.imr = 0xfb;
		chip.chip.pic.isr = 0x10;
		chip.chip.pic.irr = 0x21;
		chip.chip.pic.irq_base = 0x30;
		chip.chip.pic.elcr ^= 0xa0;
		chip.chip.pic.auto_eoi = chip.chip.pic.special_mask = 1;
		VM(m, KVM_SET_IRQCHIP, &chip);
	}
	chip = (struct kvm_irqchip){ .chip_id = KVM_IRQCHIP_IOAPIC };
	VM(m, KVM_GET_IRQCHIP, &chip);
	chip.chip.ioapic.id = 3;
	chip.chip.ioapic.ioregsel = 0x10;
	chip.chip.ioapic.irr = 0x30;
	for (unsigned i = 0; i < KVM_IOAPIC_NUM_PINS; i++)
		chip.chip.ioapic.redirtbl[i].bits = 0x0100000000018030ULL + i;
	VM(m, KVM_SET_IRQCHIP, &chip);
}

void make_dirty(struct machine *m)
{
	struct kvm_pit_state2 pit;
	struct kvm_clock_data clock = { .clock = 1ULL << 50 };

	VM(m, KVM_SET_CLOCK, &clock);
	for (unsigned i = 0; i < CPUS; i++)
		dirty_vcpu(m, &m->vcpus[i]);
	dirty_chips(m);
	VM(m, KVM_GET_PIT2, &pit);
	for (unsigned i = 0; i < 3; i++) {
		pit.channels[i].mode = 2;
		pit.channels[i].count = 1193;
		pit.channels[i].rw_mode = 3;
		pit.channels[i].gate = 1;
	}
	VM(m, KVM_SET_PIT2, &pit);
}
