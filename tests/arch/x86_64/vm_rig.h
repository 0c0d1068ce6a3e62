/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of x86_64 VM and vCPU set-up: a VM on the fake kernel, which keeps a vCPU's state.
 */
#ifndef KINGLET_TESTS_ARCH_VM_RIG_H
#define KINGLET_TESTS_ARCH_VM_RIG_H

#include "../../../arch/x86_64/boot.h"
#include "../../../arch/x86_64/x86.h"
#include "arch/x86_64/layout.h"
#include "capture.h"
#include "fake_sys.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

enum { RIG_LEAVES_MAX = 512, RIG_MSRS_MAX = 64 };

struct vm_rig {
	struct fake_sys fake;
	struct kvm kvm;
	struct arch_vm arch;
	struct vcpu vcpu;

	/* What this KVM has. */
	struct kvm_cpuid_entry2 leaves[RIG_LEAVES_MAX];
	unsigned leaf_count;
	struct kvm_msr_entry msrs[RIG_MSRS_MAX]; /* the supported ones, with their values */
	unsigned msr_count;
	unsigned listed_max;  /* KVM_GET_MSR_INDEX_LIST refuses smaller buffers */
	uint32_t missing_msr, read_only_msr; /* 0: none */
	struct kvm_irqchip chips[3];
	struct kvm_pit_state2 pit;
	long missing_cap; /* 0: none */

	/* The vCPU's state; initially as created by KVM. */
	struct kvm_cpuid_entry2 cpuid[RIG_LEAVES_MAX];
	unsigned cpuid_count;
	struct kvm_nested_state nested;
	union {
		struct kvm_sregs sregs;
		struct kvm_sregs2 sregs2;
	};
	struct kvm_regs regs;
	struct kvm_lapic_state lapic;
	struct kvm_mp_state mp_state;
	struct kvm_xcrs xcrs;
	struct kvm_vcpu_events events;
	struct kvm_debugregs debug;
	struct kvm_fpu fpu;
	struct kvm_guest_debug guest_debug;
	struct kvm_translation translation; /* KVM_TRANSLATE's answer and argument */
	struct kvm_clock_data clock;
	uint64_t tsc_offset; /* of its TSC, an MSR, to the host's, which stands still */
	int tsc_khz;
	uint64_t ssp;
	bool no_tsc_offset, no_kvmclock, no_ssp; /* KVM or the guest has none such */
	unsigned msrs_written;
	struct kvm_enable_cap enabled;
	uint64_t identity_map, tss;
	struct kvm_xsave xsave; /* last: it ends in a flexible array */
};

static inline int rig_get_supported(struct vm_rig *rig, struct kvm_cpuid2 *cpuid)
{
	if (cpuid->nent < rig->leaf_count)
		return -E2BIG;
	cpuid->nent = rig->leaf_count;
	memcpy(cpuid->entries, rig->leaves, rig->leaf_count * sizeof(rig->leaves[0]));
	return 0;
}

static inline struct kvm_msr_entry *rig_msr(struct vm_rig *rig, uint32_t index)
{
	for (unsigned i = 0; i < rig->msr_count; i++)
		if (rig->msrs[i].index == index && index != rig->missing_msr)
			return &rig->msrs[i];
	return NULL;
}

/* MTRRs and machine checks are not in KVM's list. */
static inline int rig_list_msrs(const struct vm_rig *rig, struct kvm_msr_list *list)
{
	unsigned room = list->nmsrs;

	list->nmsrs = rig->listed_max;
	if (room < rig->listed_max)
		return -E2BIG;
	list->nmsrs = 0;
	for (unsigned i = 0; i < rig->msr_count; i++) {
		uint32_t index = rig->msrs[i].index;

		if (index < 0x200 || index == 0x277 || index > 0x47f)
			list->indices[list->nmsrs++] = index;
	}
	list->indices[list->nmsrs++] = 0x40000000; /* Hyper-V's */
	return 0;
}

static inline int rig_get_msrs(struct vm_rig *rig, struct kvm_msrs *msrs)
{
	assert_true(msrs->nmsrs < 256);
	for (uint32_t i = 0; i < msrs->nmsrs; i++) {
		const struct kvm_msr_entry *msr = rig_msr(rig, msrs->entries[i].index);

		assert_int_not_equal(msrs->entries[i].index, 0x40000000);
		if (!msr)
			return (int)i;
		msrs->entries[i].data = msr->data;
	}
	return (int)msrs->nmsrs;
}

static inline int rig_set_msrs(struct vm_rig *rig, const struct kvm_msrs *msrs)
{
	assert_true(msrs->nmsrs < 256);
	for (uint32_t i = 0; i < msrs->nmsrs; i++) {
		struct kvm_msr_entry *msr = rig_msr(rig, msrs->entries[i].index);

		if (!msr || msr->index == rig->read_only_msr)
			return (int)i;
		msr->data = msrs->entries[i].data;
		rig->msrs_written++;
	}
	return (int)msrs->nmsrs;
}

/* The only one: the shadow stack pointer. */
static inline int rig_one_reg(struct vm_rig *rig, unsigned long request,
			      const struct kvm_one_reg *reg)
{
	uint64_t *value = (uint64_t *)(uintptr_t)reg->addr;

	assert_int_equal(reg->id, 0x2030000300000000);
	if (rig->no_ssp)
		return -EINVAL;
	if (request == KVM_GET_ONE_REG)
		*value = rig->ssp;
	else
		rig->ssp = *value;
	return 0;
}

/* A vCPU's only attribute. */
static inline int rig_tsc_offset(struct vm_rig *rig, unsigned long request,
				 const struct kvm_device_attr *attr)
{
	uint64_t *offset = (uint64_t *)(uintptr_t)attr->addr;

	assert_int_equal(attr->group, KVM_VCPU_TSC_CTRL);
	assert_int_equal(attr->attr, KVM_VCPU_TSC_OFFSET);
	if (rig->no_tsc_offset)
		return -ENXIO;
	if (request == KVM_GET_DEVICE_ATTR)
		*offset = rig->tsc_offset;
	if (request == KVM_SET_DEVICE_ATTR) {
		rig_msr(rig, 0x10)->data += *offset - rig->tsc_offset;
		rig->tsc_offset = *offset;
	}
	return 0;
}

static inline int rig_ioctl(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct vm_rig *rig = fake->hook_data;

	(void)fd;
	switch (request) {
#define SET(request, field)                                                                        \
	case request:                                                                              \
		memcpy(&rig->field, arg, sizeof(rig->field));                                      \
		return 0
#define GET(request, field)                                                                        \
	case request:                                                                              \
		memcpy(arg, &rig->field, sizeof(rig->field));                                      \
		return 0
		SET(KVM_SET_SREGS, sregs);
		GET(KVM_GET_SREGS, sregs);
		SET(KVM_SET_REGS, regs);
		GET(KVM_GET_REGS, regs);
		SET(KVM_SET_LAPIC, lapic);
		GET(KVM_GET_LAPIC, lapic);
		SET(KVM_SET_MP_STATE, mp_state);
		GET(KVM_GET_MP_STATE, mp_state);
		SET(KVM_SET_NESTED_STATE, nested);
		GET(KVM_GET_NESTED_STATE, nested);
		SET(KVM_SET_SREGS2, sregs2);
		GET(KVM_GET_SREGS2, sregs2);
		SET(KVM_SET_XSAVE, xsave);
	case KVM_GET_XSAVE2:
		GET(KVM_GET_XSAVE, xsave);
		SET(KVM_SET_XCRS, xcrs);
		GET(KVM_GET_XCRS, xcrs);
		SET(KVM_SET_VCPU_EVENTS, events);
		GET(KVM_GET_VCPU_EVENTS, events);
		SET(KVM_SET_DEBUGREGS, debug);
		GET(KVM_GET_DEBUGREGS, debug);
		SET(KVM_SET_FPU, fpu);
		GET(KVM_GET_FPU, fpu);
		SET(KVM_SET_GUEST_DEBUG, guest_debug);
		SET(KVM_SET_PIT2, pit);
		GET(KVM_GET_PIT2, pit);
		SET(KVM_SET_CLOCK, clock);
		GET(KVM_GET_CLOCK, clock);
		SET(KVM_ENABLE_CAP, enabled);
		SET(KVM_SET_IDENTITY_MAP_ADDR, identity_map);
#undef SET
#undef GET
	case KVM_SET_TSS_ADDR:
		rig->tss = (uint64_t)arg;
		return 0;
	case KVM_GET_SUPPORTED_CPUID:
		return rig_get_supported(rig, arg);
	case KVM_SET_CPUID2: {
		const struct kvm_cpuid2 *cpuid = arg;

		assert_true(cpuid->nent <= RIG_LEAVES_MAX);
		rig->cpuid_count = cpuid->nent;
		memcpy(rig->cpuid, cpuid->entries, cpuid->nent * sizeof(rig->cpuid[0]));
		return 0;
	}
	case KVM_GET_MSR_INDEX_LIST:
		return rig_list_msrs(rig, arg);
	case KVM_GET_MSRS:
		return rig_get_msrs(rig, arg);
	case KVM_SET_MSRS:
		return rig_set_msrs(rig, arg);
	case KVM_GET_IRQCHIP: {
		struct kvm_irqchip *chip = arg;

		*chip = rig->chips[chip->chip_id];
		return 0;
	}
	case KVM_SET_IRQCHIP: {
		const struct kvm_irqchip *chip = arg;

		rig->chips[chip->chip_id] = *chip;
		return 0;
	}
	case KVM_TRANSLATE:
		rig->translation.linear_address = ((struct kvm_translation *)arg)->linear_address;
		*(struct kvm_translation *)arg = rig->translation;
		return 0;
	case KVM_GET_TSC_KHZ:
		return rig->tsc_khz;
	case KVM_SET_TSC_KHZ:
		rig->tsc_khz = (int)(uintptr_t)arg;
		return 0;
	case KVM_GET_ONE_REG:
	case KVM_SET_ONE_REG:
		return rig_one_reg(rig, request, arg);
	case KVM_HAS_DEVICE_ATTR:
	case KVM_GET_DEVICE_ATTR:
	case KVM_SET_DEVICE_ATTR:
		return rig_tsc_offset(rig, request, arg);
	case KVM_KVMCLOCK_CTRL:
		return rig->no_kvmclock ? -EINVAL : 0;
	case KVM_CHECK_EXTENSION:
		if ((long)arg == KVM_CAP_XSAVE2 && rig->missing_cap != KVM_CAP_XSAVE2)
			return sizeof(struct kvm_xsave);
		if ((long)arg == KVM_CAP_SET_GUEST_DEBUG2)
			return KVM_GUESTDBG_BLOCKIRQ;
		return (long)arg == rig->missing_cap ? 0 : FAKE_PASS;
	default:
		return FAKE_PASS;
	}
}

/* Intel SDM vol. 3A table 10-1: after RESET. */
static inline void rig_power_on(struct vm_rig *rig)
{
	static const struct kvm_msr_entry msrs[] = {
		{ .index = 0x10, .data = 123456 },	     /* TSC */
		{ .index = 0x3b },			     /* TSC_ADJUST */
		{ .index = 0xce, .data = 0x80000000 },	     /* PLATFORM_INFO */
		{ .index = 0x1a0, .data = 0x1800 },	     /* MISC_ENABLE: no PEBS, no BTS */
		{ .index = 0x200 }, { .index = 0x20f },	     /* MTRRs */
		{ .index = 0x277, .data = 0x0007040600070406 }, /* PAT */
		{ .index = 0x2ff },			     /* MTRR_DEF_TYPE */
		{ .index = 0x400 }, { .index = 0x47f },	     /* machine checks */
		{ .index = 0x4b564d01 },		     /* kvmclock */
		{ .index = 0xc0000082 },		     /* LSTAR */
		{ .index = 0xc0000102 },		     /* KERNEL_GS_BASE */
	};
	static const uint32_t apic[][2] = {
		{ 0x30, 0x50014 }, { 0xe0, UINT32_MAX }, { 0xf0, 0xff },
		{ 0x320, 0x10000 }, { 0x350, 0x700 }, { 0x360, 0x10000 }, { 0x370, 0x10000 },
	};

	rig->nested.flags = KVM_STATE_NESTED_GIF_SET;
	rig->nested.hdr.vmx.vmxon_pa = UINT64_MAX;
	rig->tsc_khz = 2000000;
	rig->sregs.cr0 = 0x60000010;
	rig->sregs.cs = (struct kvm_segment){ .selector = 0xf000, .base = 0xffff0000 };
	rig->regs = (struct kvm_regs){ .rip = 0xfff0, .rflags = 2, .rdx = 0x600 };
	rig->debug = (struct kvm_debugregs){ .dr6 = 0xffff0ff0, .dr7 = 0x400 };
	rig->xcrs = (struct kvm_xcrs){ .nr_xcrs = 1, .xcrs = { { .value = 1 } } };
	rig->xsave.region[0] = 0x37f;
	rig->xsave.region[6] = 0x1f80;
	rig->events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SMM;
	for (unsigned i = 0; i < ARRAY_SIZE(apic); i++)
		memcpy(&rig->lapic.regs[apic[i][0]], &apic[i][1], sizeof(uint32_t));
	rig->pit.channels[0].count = 65536;
	rig->msr_count = ARRAY_SIZE(msrs);
	memcpy(rig->msrs, msrs, sizeof(msrs));
}

/* For cmocka, with the struct vm_rig as its state: a KVM with one leaf of CPUID. */
static inline int setup(void **state)
{
	struct vm_rig *rig = test_calloc(1, sizeof(*rig));

	fake_sys_init(&rig->fake);
	rig->fake.hook = rig_ioctl;
	rig->fake.hook_data = rig;
	rig->vcpu.fd = -1;
	rig->leaf_count = 1;
	for (unsigned i = 0; i < ARRAY_SIZE(rig->chips); i++)
		rig->chips[i].chip_id = i;
	rig_power_on(rig);
	assert_int_equal(kvm_init(&rig->kvm, &rig->fake.sys, arch_machine_type(256 << 20)), 0);
	*state = rig;
	return 0;
}

static inline int teardown(void **state)
{
	struct vm_rig *rig = *state;

	vcpu_destroy(&rig->vcpu);
	arch_vm_destroy(&rig->arch);
	kvm_destroy(&rig->kvm);
	fake_sys_destroy(&rig->fake);
	test_free(rig);
	return 0;
}

static inline int vm_rig_init(struct vm_rig *rig, unsigned cpus, bool irqchip)
{
	const struct arch_vm_options options = { .cpus = cpus, .irqchip = irqchip };

	return arch_vm_init(&rig->arch, &rig->kvm, &options);
}

/* Replaces the vCPU by one of another number, in its power-on state. */
static inline int vm_rig_add_vcpu(struct vm_rig *rig, unsigned id)
{
	int ret;

	vcpu_destroy(&rig->vcpu);
	ret = vcpu_init(&rig->vcpu, &rig->kvm, id, NULL, NULL, NULL, NULL);
	return ret ? ret : arch_vcpu_init(&rig->arch, &rig->vcpu);
}

static inline void assert_one_line(const char *text)
{
	const char *newline = strchr(text, '\n');

	assert_non_null(newline);
	assert_int_equal(newline[1], '\0');
}

#endif
