/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID: the buffer for KVM's leaves, and the leaves of a vCPU.
 */
#include "vm_rig.h"

#include <asm/kvm_para.h>

#define INTEL 0x756e6547
#define AMD 0x68747541

static void add_leaf(struct vm_rig *rig, uint32_t function, uint32_t index, uint32_t eax,
		     uint32_t ebx, uint32_t ecx, uint32_t edx)
{
	rig->leaves[rig->leaf_count++] = (struct kvm_cpuid_entry2){
		.function = function, .index = index, .eax = eax, .ebx = ebx, .ecx = ecx, .edx = edx
	};
}

static void add_leaves(struct vm_rig *rig, uint32_t max, uint32_t vendor)
{
	rig->leaf_count = 0;
	add_leaf(rig, 0, 0, max, vendor, 0, 0);
	add_leaf(rig, 1, 0, 0x306a9, 0x77ff0800, 0x00200009 | 1u << 24, 0x1f8bfbff);
	add_leaf(rig, 4, 0, 0xfc1fc121, 0x1c0003f, 63, 0);   /* L1 data */
	add_leaf(rig, 4, 1, 0xfc1fc163, 0x3c0003f, 8191, 4); /* L3 */
	add_leaf(rig, 4, 2, 0, 0, 0, 0);
	add_leaf(rig, 0xb, 0, 1, 2, 0x100, 77); /* the host's own */
	add_leaf(rig, 0xb, 1, 4, 16, 0x201, 77);
	add_leaf(rig, 0x1f, 0, 1, 2, 0x100, 77);
	add_leaf(rig, KVM_CPUID_SIGNATURE, 0, KVM_CPUID_FEATURES, 0x4b4d564b, 0x564b4d56, 0x4d);
	add_leaf(rig, 0x80000001, 0, 0x123, 0, 0x21, 0x2c100800);
	add_leaf(rig, 0x80000008, 0, 0x3030, 0x1000, 0xf0ff0, 0);
	add_leaf(rig, 0x8000001d, 0, 0x0000c163, 0x3c0003f, 8191, 1);
	add_leaf(rig, 0x8000001e, 0, 0, 0, 0, 0);
}

static const struct kvm_cpuid_entry2 *leaf(struct vm_rig *rig, uint32_t function, uint32_t index)
{
	const struct kvm_cpuid_entry2 *found = NULL;

	for (unsigned i = 0; i < rig->cpuid_count; i++) {
		if (rig->cpuid[i].function != function || rig->cpuid[i].index != index)
			continue;
		assert_null(found);
		found = &rig->cpuid[i];
	}
	return found;
}

static void boot_cpu(struct vm_rig *rig, unsigned cpus, unsigned id, bool irqchip)
{
	assert_int_equal(vm_rig_init(rig, cpus, irqchip), 0);
	assert_int_equal(vm_rig_add_vcpu(rig, id), 0);
}

static void buffer_grows_until_kvm_is_content(void **state)
{
	static const unsigned counts[] = { 1, 99, 100, 101, 200, 201, RIG_LEAVES_MAX };
	struct vm_rig *rig = *state;

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		struct kvm_cpuid2 *cpuid;

		rig->leaf_count = counts[i];
		rig->leaves[counts[i] - 1].eax = 0xabcd;
		assert_int_equal(cpuid_get_supported(&rig->kvm, &cpuid), 0);
		assert_int_equal(cpuid->nent, counts[i]);
		assert_int_equal(cpuid->entries[counts[i] - 1].eax, 0xabcd);
		free(cpuid);
	}
}

static int never_enough(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	(void)fd;
	(void)arg;
	fake->calls++;
	return request == KVM_GET_SUPPORTED_CPUID ? -E2BIG : FAKE_PASS;
}

static int lies_about_count(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	(void)fake;
	(void)fd;
	if (request != KVM_GET_SUPPORTED_CPUID)
		return FAKE_PASS;
	((struct kvm_cpuid2 *)arg)->nent++;
	return 0;
}

static void buffer_does_not_grow_for_ever(void **state)
{
	struct vm_rig *rig = *state;
	struct kvm_cpuid2 *cpuid;

	rig->fake.hook = never_enough;
	rig->fake.calls = 0;
	assert_int_equal(cpuid_get_supported(&rig->kvm, &cpuid), -E2BIG);
	assert_in_range(rig->fake.calls, 2, 20);
	rig->fake.hook = lies_about_count;
	assert_int_equal(cpuid_get_supported(&rig->kvm, &cpuid), -EPROTO);
}

static void other_errors_are_passed_on(void **state)
{
	struct vm_rig *rig = *state;
	struct kvm_cpuid2 *cpuid;

	rig->fake.fail_at = rig->fake.calls + 1;
	rig->fake.fail_errno = ENOMEM;
	assert_int_equal(cpuid_get_supported(&rig->kvm, &cpuid), -ENOMEM);
}

static void features_are_kvms_and_the_vcpus_own(void **state)
{
	struct vm_rig *rig = *state;
	const struct kvm_cpuid_entry2 *l;

	add_leaves(rig, 0x1f, INTEL);
	boot_cpu(rig, 3, 2, true);
	l = leaf(rig, 1, 0);
	assert_int_equal(l->eax, 0x306a9);
	assert_int_equal(l->ebx, 2 << 24 | 4 << 16 | 0x0800);
	assert_int_equal(l->ecx, 0x00200009 | 1u << 24 | 1u << 31);
	assert_int_equal(l->edx, 0x1f8bfbff | 1u << 28);
	l = leaf(rig, KVM_CPUID_SIGNATURE, 0);
	assert_int_equal(l->ebx, 0x4b4d564b);
}

static void one_cpu_has_no_siblings(void **state)
{
	struct vm_rig *rig = *state;

	add_leaves(rig, 0x1f, AMD);
	boot_cpu(rig, 1, 0, true);
	assert_int_equal(leaf(rig, 1, 0)->ebx, 1 << 16 | 0x0800);
	assert_int_equal(leaf(rig, 1, 0)->edx & 1u << 28, 0);
	assert_int_equal(leaf(rig, 4, 1)->eax & ~0x3fffu, 0);
	assert_int_equal(leaf(rig, 0xb, 1)->eax, 0);
	assert_int_equal(leaf(rig, 0xb, 1)->ebx, 1);
	assert_int_equal(leaf(rig, 0x80000001, 0)->ecx & 2, 0);
	assert_int_equal(leaf(rig, 0x80000008, 0)->ecx & 0xf0ff, 0);
}

static void tsc_deadline_needs_kvms_timer(void **state)
{
	struct vm_rig *rig = *state;

	add_leaves(rig, 0x1f, INTEL);
	rig->missing_cap = KVM_CAP_TSC_DEADLINE_TIMER;
	boot_cpu(rig, 1, 0, true);
	assert_int_equal(leaf(rig, 1, 0)->ecx & 1u << 24, 0);
}

static void without_irqchip_there_is_no_apic(void **state)
{
	struct vm_rig *rig = *state;

	add_leaves(rig, 0x1f, INTEL);
	boot_cpu(rig, 1, 0, false);
	assert_int_equal(leaf(rig, 1, 0)->ecx & (1u << 21 | 1u << 24), 0);
	assert_int_equal(leaf(rig, 1, 0)->edx & 1u << 9, 0);
}

static void last_level_cache_is_shared(void **state)
{
	struct vm_rig *rig = *state;

	add_leaves(rig, 0x1f, INTEL);
	boot_cpu(rig, 5, 0, true);
	assert_int_equal(leaf(rig, 4, 0)->eax, 7u << 26 | 0x0121);
	assert_int_equal(leaf(rig, 4, 1)->eax, 7u << 26 | 7 << 14 | 0x0163);
	assert_int_equal(leaf(rig, 4, 2)->eax, 0);
	assert_int_equal(leaf(rig, 0x8000001d, 0)->eax, 7 << 14 | 0x0163);
}

static void topology_is_one_package_of_cores(void **state)
{
	static const uint32_t functions[] = { 0xb, 0x1f };
	struct vm_rig *rig = *state;

	add_leaves(rig, 0x1f, INTEL);
	boot_cpu(rig, 5, 3, true);
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		static const struct {
			uint32_t eax, ebx, ecx;
		} levels[] = { { 0, 1, 0x100 }, { 3, 5, 0x201 }, { 0, 0, 2 } };

		for (uint32_t index = 0; index < ARRAY_SIZE(levels); index++) {
			const struct kvm_cpuid_entry2 *l = leaf(rig, functions[i], index);

			assert_int_equal(l->flags, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
			assert_int_equal(l->eax, levels[index].eax);
			assert_int_equal(l->ebx, levels[index].ebx);
			assert_int_equal(l->ecx, levels[index].ecx);
			assert_int_equal(l->edx, 3);
		}
	}
}

static void topology_stays_below_the_highest_leaf(void **state)
{
	struct vm_rig *rig = *state;

	add_leaves(rig, 0x16, INTEL);
	boot_cpu(rig, 2, 0, true);
	assert_non_null(leaf(rig, 0xb, 0));
	assert_null(leaf(rig, 0x1f, 0));
	arch_vm_destroy(&rig->arch);
	add_leaves(rig, 0xa, INTEL);
	boot_cpu(rig, 2, 0, true);
	assert_null(leaf(rig, 0xb, 0));
}

static void amd_leaves_count_cores(void **state)
{
	struct vm_rig *rig = *state;

	add_leaves(rig, 0x10, AMD);
	boot_cpu(rig, 6, 5, true);
	assert_int_equal(leaf(rig, 0x80000001, 0)->ecx, 0x23);
	assert_int_equal(leaf(rig, 0x80000008, 0)->eax, 0x3030);
	assert_int_equal(leaf(rig, 0x80000008, 0)->ecx, 0xf0f00 | 3 << 12 | 5);
	assert_int_equal(leaf(rig, 0x8000001e, 0)->eax, 5);
	assert_int_equal(leaf(rig, 0x8000001e, 0)->ebx, 5);
	assert_int_equal(leaf(rig, 0x8000001e, 0)->ecx, 0);
}

static void intel_keeps_amds_leaves_as_they_are(void **state)
{
	struct vm_rig *rig = *state;

	add_leaves(rig, 0x10, INTEL);
	boot_cpu(rig, 6, 5, true);
	assert_int_equal(leaf(rig, 0x80000001, 0)->ecx, 0x21);
	assert_int_equal(leaf(rig, 0x80000008, 0)->ecx, 0xf0ff0);
	assert_int_equal(leaf(rig, 0x8000001e, 0)->eax, 0);
}

static void many_cpus_have_long_apic_ids(void **state)
{
	struct vm_rig *rig = *state;

	add_leaves(rig, 0x1f, INTEL);
	boot_cpu(rig, 1000, 999, true);
	assert_int_equal(leaf(rig, 1, 0)->ebx, 999u << 24 | 255 << 16 | 0x0800);
	assert_int_equal(leaf(rig, 0xb, 1)->eax, 10);
	assert_int_equal(leaf(rig, 0xb, 1)->ebx, 1000);
	assert_int_equal(leaf(rig, 0xb, 1)->edx, 999);
	assert_int_equal(leaf(rig, 4, 1)->eax, 0x3fu << 26 | 1023 << 14 | 0x0163);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(buffer_grows_until_kvm_is_content),
		T(buffer_does_not_grow_for_ever),
		T(other_errors_are_passed_on),
		T(features_are_kvms_and_the_vcpus_own),
		T(one_cpu_has_no_siblings),
		T(tsc_deadline_needs_kvms_timer),
		T(without_irqchip_there_is_no_apic),
		T(last_level_cache_is_shared),
		T(topology_is_one_package_of_cores),
		T(topology_stays_below_the_highest_leaf),
		T(amd_leaves_count_cores),
		T(intel_keeps_amds_leaves_as_they_are),
		T(many_cpus_have_long_apic_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
