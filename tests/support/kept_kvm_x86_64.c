/* SPDX-License-Identifier: Apache-2.0 */
#include "kept_kvm.h"

#include "arch/x86_64/layout.h"
#include "unit.h"

#include <string.h>

enum { XSAVE_LEN = 576, TSC_KHZ = 2000000 };
enum { MSR_TSC = 0x10, MSR_DEBUGCTL = 0x1d9, MSR_MTRR_BASE = 0x200 };

static const struct {
	unsigned long get, set;
} pairs[KEPT_PAIRS] = {
	{ KVM_GET_REGS, KVM_SET_REGS },
	{ KVM_GET_SREGS2, KVM_SET_SREGS2 },
	{ KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS },
	{ KVM_GET_XCRS, KVM_SET_XCRS },
	{ KVM_GET_XSAVE2, KVM_SET_XSAVE },
	{ KVM_GET_LAPIC, KVM_SET_LAPIC },
	{ KVM_GET_MP_STATE, KVM_SET_MP_STATE },
	{ KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS },
	{ KVM_GET_PIT2, KVM_SET_PIT2 },
	{ KVM_GET_CLOCK, KVM_SET_CLOCK },
};

void kept_kvm_init(struct kept_kvm *kvm)
{
	memset(kvm, 0, sizeof(*kvm));
	kvm->chips[KVM_IRQCHIP_IOAPIC].chip.ioapic.base_address = X86_IOAPIC_BASE;
}

static void *kept_by(struct kept_kvm *kvm, unsigned long get)
{
	unsigned i = 0;

	while (pairs[i].get != get)
		i++;
	return kvm->by_pair[i];
}

static struct kvm_msr_entry *msr_of(struct kept_kvm *kvm, uint32_t index)
{
	struct kvm_msr_entry *msr = kvm->msrs, *end = msr + kvm->msr_count;

	while (msr < end && msr->index != index)
		msr++;
	if (msr < end)
		return msr;
	assert_true(kvm->msr_count < KEPT_MSRS_MAX);
	kvm->msr_count++;
	*msr = (struct kvm_msr_entry){ .index = index };
	return msr;
}

static int keep_msrs(struct kept_kvm *kvm, unsigned long request, struct kvm_msrs *msrs)
{
	for (unsigned i = 0; i < msrs->nmsrs; i++) {
		struct kvm_msr_entry *msr = msr_of(kvm, msrs->entries[i].index);

		if (request == KVM_SET_MSRS)
			msr->data = msrs->entries[i].data;
		else
			msrs->entries[i].data = msr->data;
	}
	return (int)msrs->nmsrs;
}

static int keep_chip(struct kept_kvm *kvm, unsigned long request, struct kvm_irqchip *chip)
{
	struct kvm_irqchip *at = &kvm->chips[chip->chip_id];

	if (request == KVM_SET_IRQCHIP)
		*at = *chip;
	else
		*chip = *at;
	return 0;
}

static int keep(struct kept_kvm *kvm, unsigned long request, void *arg)
{
	for (unsigned i = 0; i < KEPT_PAIRS; i++) {
		if (request == pairs[i].get)
			memcpy(arg, kvm->by_pair[i], _IOC_SIZE(request));
		else if (request == pairs[i].set)
			memcpy(kvm->by_pair[i], arg, _IOC_SIZE(request));
		else
			continue;
		return 0;
	}
	return FAKE_PASS;
}

static int list_cpuid(struct kvm_cpuid2 *cpuid)
{
	static const struct kvm_cpuid_entry2 leaves[] = {
		{ .function = 0, .eax = 0xb, .ebx = 0x756e6547, .ecx = 0x6c65746e,
		  .edx = 0x49656e69 },
		{ .function = 1, .eax = 0x306c3, .ebx = 0x800, .ecx = 1 << 26, .edx = 0x178bfbff },
	};

	cpuid->nent = ARRAY_SIZE(leaves);
	memcpy(cpuid->entries, leaves, sizeof(leaves));
	return 0;
}

int kept_kvm_ioctl(struct kept_kvm *kvm, unsigned long request, void *arg)
{
	switch (request) {
	case KVM_CHECK_EXTENSION:
		return (long)arg == KVM_CAP_XSAVE2 ? XSAVE_LEN : FAKE_PASS;
	case KVM_GET_SUPPORTED_CPUID:
		return list_cpuid(arg);
	case KVM_GET_TSC_KHZ:
		return TSC_KHZ;
	case KVM_GET_NESTED_STATE: /* VMX is off: the guest runs no guests */
		((struct kvm_nested_state *)arg)->hdr.vmx.vmxon_pa = UINT64_MAX;
		return 0;
	case KVM_GET_IRQCHIP:
	case KVM_SET_IRQCHIP:
		return keep_chip(kvm, request, arg);
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		return keep_msrs(kvm, request, arg);
	default:
		return keep(kvm, request, arg);
	}
}

static void count_up(void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)data)[i] = (uint8_t)(i + 1);
}

void kept_kvm_set_registers(struct kept_kvm *kvm)
{
	struct kvm_debugregs *debugregs = kept_by(kvm, KVM_GET_DEBUGREGS);
	struct kvm_vcpu_events *events = kept_by(kvm, KVM_GET_VCPU_EVENTS);
	struct kvm_mp_state *mp_state = kept_by(kvm, KVM_GET_MP_STATE);
	struct kvm_clock_data *clock = kept_by(kvm, KVM_GET_CLOCK);
	struct kvm_pit_state2 *pit = kept_by(kvm, KVM_GET_PIT2);
	struct kvm_ioapic_state *ioapic = &kvm->chips[KVM_IRQCHIP_IOAPIC].chip.ioapic;

	count_up(kept_by(kvm, KVM_GET_REGS), sizeof(struct kvm_regs));
	count_up(kept_by(kvm, KVM_GET_LAPIC), sizeof(struct kvm_lapic_state));
	count_up(kept_by(kvm, KVM_GET_XSAVE2), XSAVE_LEN);
	count_up(debugregs->db, sizeof(debugregs->db));
	events->nmi.masked = 1;
	mp_state->mp_state = KVM_MP_STATE_HALTED;
	clock->clock = 0x123456789;
	pit->channels[0].count = 1193;
	kvm->chips[KVM_IRQCHIP_PIC_MASTER].chip.pic.irq_base = 8;
	kvm->chips[KVM_IRQCHIP_PIC_SLAVE].chip.pic.imr = 0xb8;
	for (unsigned i = 0; i < KVM_IOAPIC_NUM_PINS; i++)
		ioapic->redirtbl[i].bits = 0x10000 + i;
	msr_of(kvm, MSR_DEBUGCTL)->data = 1;
	msr_of(kvm, MSR_MTRR_BASE)->data = 6;
	msr_of(kvm, MSR_TSC)->data = 0x1000000000;
}
