/* SPDX-License-Identifier: Apache-2.0 */
/* Set-up of aarch64 VMs and vCPUs, on a fake KVM that records its calls. */
#include "../../../arch/aarch64/arm64.h"
#include "../../../arch/aarch64/regs.h"
#include "capture.h"
#include "fake_sys.h"
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { CPUS = 2, ATTRS_MAX = 512, ICC_CTLR = 0xc664 };

struct rig {
	struct fake_sys fake;
	struct kvm kvm;
	struct arch_vm arch;
	struct vcpu vcpus[CPUS];
	bool no_gic;
	long extensions[2]; /* optional ones that KVM has */
	uint64_t ram;
	unsigned long address_bits; /* KVM_CREATE_VM's limit; 0: any */
	uint64_t enabled; /* the last KVM_ENABLE_CAP */
	uint32_t devices[2];
	unsigned device_count;
	struct kvm_device_attr attrs[ATTRS_MAX];
	unsigned attr_count;
	uint64_t icc_ctlr; /* of CPU 0 */
	uint32_t features[CPUS]; /* of the last KVM_ARM_VCPU_INIT, first of CPU 0 */
	unsigned inits, finalized;
	uint64_t pc, x0;
	unsigned cleared; /* SP_EL1, ELR_EL1, SPSR_EL1 */
	uint64_t timer_cvals[2], counter; /* CVAL of the virtual and the physical timer */
	struct kvm_vcpu_events events;
	char said[1100];
};

static int set_one_reg(struct rig *rig, const struct kvm_one_reg *reg)
{
	uint64_t value = *(const uint64_t *)(uintptr_t)reg->addr;

	if (reg->id == ARM64_CORE_REG(regs.pc))
		rig->pc = value;
	else if (reg->id == ARM64_X(0))
		rig->x0 = value;
	else if (reg->id == ARM64_CORE_REG(sp_el1) || reg->id == ARM64_CORE_REG(elr_el1) ||
		 reg->id == ARM64_SPSR_EL1)
		rig->cleared++;
	else if (reg->id == KVM_REG_ARM_TIMER_CVAL)
		rig->timer_cvals[0] = value;
	else if (reg->id == KVM_REG_ARM_PTIMER_CVAL)
		rig->timer_cvals[1] = value;
	else if (reg->id == KVM_REG_ARM_TIMER_CNT)
		rig->counter = value;
	else
		return -ENOENT;
	return 0;
}

static int get_one_reg(struct rig *rig, int fd, const struct kvm_one_reg *reg)
{
	uint64_t *value = (uint64_t *)(uintptr_t)reg->addr;

	*value = reg->id == ARM64_MPIDR_EL1 ? 1ULL << 31 | (fd == rig->vcpus[1].fd) : 0;
	return 0;
}

static int check_extension(const struct rig *rig, long extension)
{
	static const long optional[] = {
		KVM_CAP_ARM_SVE,	     KVM_CAP_ARM_PTRAUTH_ADDRESS,
		KVM_CAP_ARM_PTRAUTH_GENERIC, KVM_CAP_ARM_NISV_TO_USER,
		KVM_CAP_ARM_INJECT_EXT_DABT,
	};

	if (extension == KVM_CAP_ARM_VM_IPA_SIZE)
		return (int)rig->address_bits;
	for (unsigned i = 0; i < ARRAY_SIZE(rig->extensions); i++)
		if (rig->extensions[i] == extension)
			return 1;
	for (unsigned i = 0; i < ARRAY_SIZE(optional); i++)
		if (optional[i] == extension)
			return 0;
	return FAKE_PASS;
}

static int answer(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct rig *rig = fake->hook_data;

	switch (request) {
	case KVM_CHECK_EXTENSION:
		return check_extension(rig, (long)arg);
	case KVM_CREATE_VM:
		return rig->address_bits && (unsigned long)arg > rig->address_bits ? -EINVAL :
										     FAKE_PASS;
	case KVM_ENABLE_CAP:
		rig->enabled = ((const struct kvm_enable_cap *)arg)->cap;
		return 0;
	case KVM_CREATE_DEVICE: {
		struct kvm_create_device *device = arg;

		if (rig->no_gic)
			return -ENODEV;
		device->fd = (uint32_t)open("/dev/null", O_RDWR | O_CLOEXEC);
		rig->devices[rig->device_count++] = device->type;
		return 0;
	}
	case KVM_GET_DEVICE_ATTR:
		*(uint64_t *)(uintptr_t)((struct kvm_device_attr *)arg)->addr = rig->icc_ctlr;
		return 0;
	case KVM_SET_DEVICE_ATTR:
		if (((struct kvm_device_attr *)arg)->attr == ICC_CTLR)
			rig->icc_ctlr = *(uint64_t *)(uintptr_t)((struct kvm_device_attr *)arg)->addr;
		assert_true(rig->attr_count < ATTRS_MAX);
		rig->attrs[rig->attr_count++] = *(struct kvm_device_attr *)arg;
		return 0;
	case KVM_ARM_VCPU_INIT:
		rig->features[fd != rig->vcpus[0].fd] = ((struct kvm_vcpu_init *)arg)->features[0];
		rig->inits++;
		return 0;
	case KVM_ARM_VCPU_FINALIZE:
		rig->finalized++;
		return 0;
	case KVM_SET_ONE_REG:
		return set_one_reg(rig, arg);
	case KVM_GET_ONE_REG:
		return get_one_reg(rig, fd, arg);
	case KVM_SET_VCPU_EVENTS:
		rig->events = *(struct kvm_vcpu_events *)arg;
		return 0;
	default:
		return FAKE_PASS;
	}
}

static int build(struct rig *rig)
{
	const struct arch_vm_options options = { .cpus = CPUS, .irqchip = true };
	int ret;

	for (unsigned i = 0; i < CPUS; i++)
		rig->vcpus[i].fd = -1;
	ret = kvm_init(&rig->kvm, &rig->fake.sys, arch_machine_type(rig->ram));
	if (ret)
		return ret;
	ret = arch_vm_init(&rig->arch, &rig->kvm, &options);
	for (unsigned i = 0; i < CPUS && !ret; i++) {
		ret = vcpu_init(&rig->vcpus[i], &rig->kvm, i, NULL, NULL, NULL, NULL);
		if (!ret)
			ret = arch_vcpu_init(&rig->arch, &rig->vcpus[i]);
	}
	return ret;
}

static void take_down(struct rig *rig)
{
	for (unsigned i = 0; i < CPUS; i++)
		vcpu_destroy(&rig->vcpus[i]);
	arch_vm_destroy(&rig->arch);
	kvm_destroy(&rig->kvm);
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	fake_sys_init(&rig->fake);
	rig->ram = 256 << 20;
	rig->fake.hook = answer;
	rig->fake.hook_data = rig;
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	fake_sys_destroy(&rig->fake);
	free(rig);
	return 0;
}

static unsigned find_attr(const struct rig *rig, uint32_t group, uint64_t attr, unsigned from)
{
	for (unsigned i = from; i < rig->attr_count; i++)
		if (rig->attrs[i].group == group && rig->attrs[i].attr == attr)
			return i;
	fail_msg("attribute %#llx of group %u was not set", (unsigned long long)attr, group);
	return 0;
}

static void address_bits_follow_the_ram(void **state)
{
	(void)state;
	/* 1 GiB below RAM, RAM, up to a GiB, 16 GiB of PCI. */
	assert_int_equal(arch_machine_type(256 << 20), 35);
	assert_int_equal(arch_machine_type(15ULL << 30), 35);
	assert_int_equal(arch_machine_type((15ULL << 30) + 65536), 36);
	assert_int_equal(arch_machine_type(1ULL << 40), 41);
}

static void impossible_sizes_are_refused(void **state)
{
	static const uint64_t sizes[] = { 0, 4096, 4 << 20, 8 << 20 | 4096, 1ULL << 48, UINT64_MAX };
	struct gmem_range ranges[2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_int_equal(arch_ram_ranges(sizes[i], ranges), -EINVAL);
}

static void the_gic_starts_behind_the_last_vcpu(void **state)
{
	struct rig *rig = *state;
	unsigned init;

	assert_int_equal(build(rig), 0);
	assert_int_equal(rig->device_count, 2);
	assert_int_equal(rig->devices[0], KVM_DEV_TYPE_ARM_VGIC_V3);
	assert_int_equal(rig->devices[1], KVM_DEV_TYPE_ARM_VGIC_ITS);
	init = find_attr(rig, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, 0);
	assert_int_equal(rig->attr_count, init + 2); /* the ITS's is the last */
	assert_int_equal(rig->inits, CPUS);
	assert_true(rig->kvm.has_irqchip);
	take_down(rig);
}

static void secondary_vcpus_wait(void **state)
{
	struct rig *rig = *state;
	const struct arm64_vm *vm;

	assert_int_equal(build(rig), 0);
	vm = rig->arch.priv;
	assert_false(rig->features[0] & 1u << KVM_ARM_VCPU_POWER_OFF);
	assert_true(rig->features[1] & 1u << KVM_ARM_VCPU_POWER_OFF);
	assert_true(rig->features[0] & rig->features[1] & 1u << KVM_ARM_VCPU_PSCI_0_2);
	assert_int_equal(rig->finalized, 0);
	assert_int_equal(vm->mpidr[0], 0); /* bit 31 is no affinity */
	assert_int_equal(vm->mpidr[1], 1);
	take_down(rig);
}

static void vectors_are_finalized_once(void **state)
{
	struct rig *rig = *state;

	rig->extensions[0] = KVM_CAP_ARM_SVE;
	assert_int_equal(build(rig), 0);
	assert_true(rig->features[0] & 1u << KVM_ARM_VCPU_SVE);
	assert_int_equal(rig->finalized, CPUS);
	/* KVM refuses it the second time. */
	assert_int_equal(arch_vcpu_reset(&rig->arch, &rig->vcpus[1]), 0);
	assert_int_equal(rig->finalized, CPUS);
	assert_true(rig->features[1] & 1u << KVM_ARM_VCPU_POWER_OFF);
	take_down(rig);
}

static bool has_feature(const struct rig *rig, unsigned feature)
{
	return rig->features[0] & rig->features[1] & 1u << feature;
}

/* KVM refuses one without the other. */
static void pointer_authentication_goes_by_both_kinds(void **state)
{
	struct rig *rig = *state;

	rig->extensions[0] = KVM_CAP_ARM_PTRAUTH_ADDRESS;
	assert_int_equal(build(rig), 0);
	assert_false(has_feature(rig, KVM_ARM_VCPU_PTRAUTH_ADDRESS));
	assert_false(has_feature(rig, KVM_ARM_VCPU_PTRAUTH_GENERIC));
	take_down(rig);

	rig->fake.vcpu_count = rig->device_count = rig->attr_count = 0;
	rig->extensions[1] = KVM_CAP_ARM_PTRAUTH_GENERIC;
	assert_int_equal(build(rig), 0);
	assert_true(has_feature(rig, KVM_ARM_VCPU_PTRAUTH_ADDRESS));
	assert_true(has_feature(rig, KVM_ARM_VCPU_PTRAUTH_GENERIC));
	assert_false(has_feature(rig, KVM_ARM_VCPU_SVE));
	take_down(rig);
}

/* Only if an abort can then be injected into the guest. */
static void undescribed_accesses_are_asked_for(void **state)
{
	struct rig *rig = *state;

	rig->extensions[0] = KVM_CAP_ARM_NISV_TO_USER;
	assert_int_equal(build(rig), 0);
	assert_int_equal(rig->enabled, 0);
	take_down(rig);

	rig->fake.vcpu_count = rig->device_count = rig->attr_count = 0;
	rig->extensions[1] = KVM_CAP_ARM_INJECT_EXT_DABT;
	assert_int_equal(build(rig), 0);
	assert_int_equal(rig->enabled, KVM_CAP_ARM_NISV_TO_USER);
	take_down(rig);
}

/* Exactly one line. */
static void assert_build_refused(struct rig *rig, int err, const char *why)
{
	struct capture capture;

	capture_stderr_begin(&capture);
	assert_int_equal(build(rig), err);
	capture_stderr_end(&capture, rig->said, sizeof(rig->said));
	if (!strstr(rig->said, why))
		fail_msg("\"%s\" is not in: %s", why, rig->said);
	assert_ptr_equal(strchr(rig->said, '\n') + 1, rig->said + strlen(rig->said));
	take_down(rig);
}

static void ram_beyond_the_address_bits_is_refused(void **state)
{
	struct rig *rig = *state;

	rig->address_bits = 40;
	rig->ram = 1ULL << 39;
	assert_int_equal(build(rig), 0);
	take_down(rig);
	rig->ram = 1ULL << 40;
	assert_build_refused(rig, -EINVAL, "have 40 address bits, and this one takes 41");
}

static void cpus_are_as_many_as_both_can(void **state)
{
	struct rig *rig = *state;

	rig->fake.max_vcpus = 8;
	assert_int_equal(build(rig), 0);
	assert_int_equal(arch_max_cpus(&rig->kvm), 8);
	rig->kvm.max_vcpus = 100000;
	assert_int_equal(arch_max_cpus(&rig->kvm), ARM64_CPUS_MAX);
	take_down(rig);
}

static void the_boot_cpu_gets_entry_and_tree(void **state)
{
	const struct boot_regs entry = { .pc = 0x40080000, .x0 = 0x43e00000 };
	struct boot_state boot = { 0 };
	struct rig *rig = *state;

	assert_int_equal(build(rig), 0);
	memcpy(boot.words, &entry, sizeof(entry));
	assert_int_equal(arch_boot_vcpu(&rig->vcpus[0], &boot), 0);
	assert_int_equal(rig->pc, entry.pc);
	assert_int_equal(rig->x0, entry.x0);
	take_down(rig);
}

/* KVM_ARM_VCPU_INIT does not change them; all vCPUs share the counter. */
static void a_reset_clears_what_kvm_leaves(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(build(rig), 0);
	rig->timer_cvals[0] = rig->timer_cvals[1] = rig->counter = 1000;
	assert_int_equal(arch_vcpu_reset(&rig->arch, &rig->vcpus[1]), 0);
	assert_int_equal(rig->timer_cvals[0] | rig->timer_cvals[1], 0);
	assert_int_equal(rig->cleared, 3);
	assert_int_equal(rig->counter, 1000);
	assert_int_equal(arch_vcpu_reset(&rig->arch, &rig->vcpus[0]), 0);
	assert_int_equal(rig->counter, 0);
	take_down(rig);
}

/*
 * LPIs off before the addresses of their tables are cleared; all vCPUs; enable bits by the clear
 * registers.
 */
static void a_reset_goes_over_the_whole_gic(void **state)
{
	struct rig *rig = *state;
	unsigned before, lpis, table;

	assert_int_equal(build(rig), 0);
	before = rig->attr_count;
	rig->icc_ctlr = 0x8403;
	assert_int_equal(arch_vm_reset(&rig->arch), 0);
	assert_int_equal(rig->icc_ctlr, 0x8400); /* keeps its capabilities */
	table = find_attr(rig, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_ITS_CTRL_RESET, before);
	find_attr(rig, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0x100, table); /* the ITS keeps it */
	find_attr(rig, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0x108, table);
	for (uint64_t cpu = 0; cpu < CPUS; cpu++) {
		lpis = find_attr(rig, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, cpu << 32, before);
		table = find_attr(rig, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, cpu << 32 | 0x70, before);
		assert_true(lpis < table);
		find_attr(rig, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, cpu << 32 | 0xc667, before);
	}
	find_attr(rig, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x184, before);
	find_attr(rig, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x61fc, before);
	take_down(rig);
}

static void an_access_that_kvm_cannot_tell_aborts(void **state)
{
	struct rig *rig = *state;
	struct kvm_run run = { .exit_reason = KVM_EXIT_ARM_NISV };
	char detail[80] = "";
	struct vcpu vcpu;

	assert_int_equal(build(rig), 0);
	vcpu = rig->vcpus[0];
	vcpu.run = &run;
	assert_int_equal(arch_vcpu_exit(&vcpu, detail, sizeof(detail)), VCPU_RUNNING);
	assert_int_equal(rig->events.exception.ext_dabt_pending, 1);
	run.exit_reason = 99;
	assert_int_equal(arch_vcpu_exit(&vcpu, detail, sizeof(detail)), VCPU_UNKNOWN_EXIT);
	assert_string_equal(detail, "KVM exit reason 99");
	take_down(rig);
}

static void a_host_without_gicv3_is_named(void **state)
{
	struct rig *rig = *state;

	rig->no_gic = true;
	assert_build_refused(rig, -ENODEV, "no GICv3");
}

static void every_failure_is_undone(void **state)
{
	struct rig *rig = *state;
	unsigned fds = fake_open_fds(), failures = 0;
	int ret = -1;

	for (unsigned n = 1; ret; n++) {
		struct capture capture;

		rig->fake.calls = 0;
		rig->fake.fail_at = n;
		rig->fake.fail_errno = EIO;
		rig->fake.vcpu_count = 0;
		rig->device_count = rig->attr_count = 0;
		capture_stderr_begin(&capture);
		ret = build(rig);
		capture_stderr_end(&capture, rig->said, sizeof(rig->said));
		if (ret)
			failures++;
		take_down(rig);
		assert_int_equal(fake_open_fds(), fds);
		/* Some failures are valid answers: an extension that KVM lacks. */
		if (!ret && rig->fake.calls >= n)
			ret = -1;
	}
	assert_in_range(failures, 10, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(address_bits_follow_the_ram),
		TEST(impossible_sizes_are_refused),
		TEST(the_gic_starts_behind_the_last_vcpu),
		TEST(secondary_vcpus_wait),
		TEST(vectors_are_finalized_once),
		TEST(pointer_authentication_goes_by_both_kinds),
		TEST(undescribed_accesses_are_asked_for),
		TEST(ram_beyond_the_address_bits_is_refused),
		TEST(cpus_are_as_many_as_both_can),
		TEST(the_boot_cpu_gets_entry_and_tree),
		TEST(a_reset_clears_what_kvm_leaves),
		TEST(a_reset_goes_over_the_whole_gic),
		TEST(an_access_that_kvm_cannot_tell_aborts),
		TEST(a_host_without_gicv3_is_named),
		TEST(every_failure_is_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
