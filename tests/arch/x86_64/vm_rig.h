/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of x86_64 VM and vCPU set-up: a VM on the fake kernel, which keeps what a vCPU was
 * told.
 */
#ifndef KINGLET_TESTS_ARCH_VM_RIG_H
#define KINGLET_TESTS_ARCH_VM_RIG_H

#include "../../../arch/x86_64/boot.h"
#include "../../../arch/x86_64/x86.h"
#include "arch/x86_64/layout.h"
#include "capture.h"
#include "fake_sys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { RIG_LEAVES_MAX = 512, RIG_MSRS_MAX = 64 };

struct vm_rig {
	struct fake_sys fake;
	struct kvm kvm;
	struct arch_vm arch;
	struct vcpu vcpu;

	/* What this KVM has. */
	struct kvm_cpuid_entry2 leaves[RIG_LEAVES_MAX];
	unsigned leaf_count;
	uint64_t lstar;
	uint32_t missing_msr; /* 0: none */
	struct kvm_irqchip chips[3];
	long missing_cap; /* 0: none */

	/* What the vCPU was told last. */
	struct kvm_cpuid_entry2 cpuid[RIG_LEAVES_MAX];
	unsigned cpuid_count;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct kvm_lapic_state lapic;
	struct kvm_mp_state mp_state;
	struct kvm_xcrs xcrs;
	struct kvm_vcpu_events events;
	struct kvm_debugregs debug;
	struct kvm_msr_entry msrs[RIG_MSRS_MAX];
	unsigned msr_count;
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

static inline int rig_set_msrs(struct vm_rig *rig, const struct kvm_msrs *msrs)
{
	for (uint32_t i = 0; i < msrs->nmsrs; i++) {
		if (msrs->entries[i].index == rig->missing_msr)
			return (int)i;
		assert_true(rig->msr_count < RIG_MSRS_MAX);
		rig->msrs[rig->msr_count++] = msrs->entries[i];
	}
	return (int)msrs->nmsrs;
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
		SET(KVM_SET_XSAVE, xsave);
		SET(KVM_SET_XCRS, xcrs);
		SET(KVM_SET_VCPU_EVENTS, events);
		SET(KVM_SET_DEBUGREGS, debug);
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
	case KVM_GET_MSRS: {
		struct kvm_msrs *msrs = arg;

		assert_int_equal(msrs->nmsrs, 1);
		if (msrs->entries[0].index == rig->missing_msr)
			return 0;
		/* LSTAR; else MISC_ENABLE: no PEBS, no BTS */
		msrs->entries[0].data = msrs->entries[0].index == 0xc0000082 ? rig->lstar : 0x1800;
		return 1;
	}
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
	case KVM_CHECK_EXTENSION:
		return (long)arg == rig->missing_cap ? 0 : FAKE_PASS;
	default:
		return FAKE_PASS;
	}
}

static inline struct vm_rig *vm_rig_new(void)
{
	struct vm_rig *rig = test_calloc(1, sizeof(*rig));

	fake_sys_init(&rig->fake);
	rig->fake.hook = rig_ioctl;
	rig->fake.hook_data = rig;
	rig->vcpu.fd = -1;
	for (unsigned i = 0; i < ARRAY_SIZE(rig->chips); i++)
		rig->chips[i].chip_id = i;
	assert_int_equal(kvm_init(&rig->kvm, &rig->fake.sys, arch_machine_type(256 << 20)), 0);
	return rig;
}

static inline void vm_rig_free(struct vm_rig *rig)
{
	vcpu_destroy(&rig->vcpu);
	arch_vm_destroy(&rig->arch);
	kvm_destroy(&rig->kvm);
	fake_sys_destroy(&rig->fake);
	test_free(rig);
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
