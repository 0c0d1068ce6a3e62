/* SPDX-License-Identifier: Apache-2.0 */
/* For saved.c: x86's machine. */
#include "saved.h"

#include <stdio.h>
#include <string.h>

enum { APIC_TIMER_CURRENT = 0x390, READS_MAX = 1000000 };

static void leave(struct machine *m)
{
	(void)m;
}

/* But no guests of the guest: with them, a vCPU is not saved. */
static void make_dirty_but_not_nested(struct machine *m)
{
	make_dirty(m);
	for (unsigned i = 0; i < CPUS; i++) {
		struct kvm_nested_state nested = { .size = sizeof(nested) };

		if (!kvm_check_extension(&m->kvm, KVM_CAP_NESTED_STATE))
			continue;
		require(vcpu_ioctl(&m->vcpus[i], KVM_GET_NESTED_STATE, &nested) >= 0,
			"KVM_GET_NESTED_STATE");
		if (nested.format == KVM_STATE_NESTED_FORMAT_SVM)
			nested.flags = KVM_STATE_NESTED_GIF_SET;
		else
			nested.hdr.vmx.vmxon_pa = nested.hdr.vmx.vmcs12_pa = UINT64_MAX;
		require(vcpu_ioctl(&m->vcpus[i], KVM_SET_NESTED_STATE, &nested) >= 0,
			"KVM_SET_NESTED_STATE");
	}
}

static uint32_t timer_count(struct vcpu *vcpu)
{
	struct kvm_lapic_state lapic;
	uint32_t count;

	require(vcpu_ioctl(vcpu, KVM_GET_LAPIC, &lapic) >= 0, "KVM_GET_LAPIC");
	memcpy(&count, &lapic.regs[APIC_TIMER_CURRENT], sizeof(count));
	return count;
}

/* make_dirty() has started that of the first vCPU. */
static bool timer_counts(struct machine *m)
{
	uint32_t first = timer_count(&m->vcpus[0]);
	unsigned reads = 0;

	while (timer_count(&m->vcpus[0]) == first && reads < READS_MAX)
		reads++;
	return reads < READS_MAX;
}

/* Else, KVM sets the offset of a vCPU anew whenever it loads it. */
static bool host_tsc_is_stable(void)
{
	char name[16] = "";
	FILE *file = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");

	require(file && fgets(name, sizeof(name), file), "the host's clock source");
	fclose(file);
	return strcmp(name, "tsc\n") == 0;
}

/* Time-stamp counters that were the same are again, to the tick. */
static bool is_in_step(struct machine *m)
{
	uint64_t offsets[CPUS] = { 0 };

	if (!host_tsc_is_stable())
		return true;
	for (unsigned i = 0; i < CPUS; i++) {
		struct kvm_device_attr attr = { .group = KVM_VCPU_TSC_CTRL,
						.attr = KVM_VCPU_TSC_OFFSET,
						.addr = (uintptr_t)&offsets[i] };

		if (vcpu_ioctl(&m->vcpus[i], KVM_GET_DEVICE_ATTR, &attr) < 0)
			return true; /* before Linux 5.16, nothing tells it */
	}
	return offsets[0] == offsets[1];
}

const struct saved_case saved_cases[] = {
	{ "after power-on", leave, is_in_step },
	{ "all that can be set", make_dirty_but_not_nested, timer_counts },
	{ NULL, NULL, NULL },
};
