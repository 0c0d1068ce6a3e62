/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's clocks: kvmclock, the PIT, and each vCPU's time-stamp counter (TSC), which all go on
 * together when a restored machine starts. (KVM api.rst; virt/kvm/devices/vcpu.rst 4)
 */
#include "saved.h"

#include "base/log.h"

#include <string.h>

#define MSR_TSC_DEADLINE 0x6e0

/* KVM takes frequencies this close for the same. (its parameter tsc_tolerance_ppm) */
enum { TOLERANCE_PPM = 250 };

/* --- Each vCPU's counter ---------------------------------------------------------------------- */

/* KVM's difference between a vCPU's counter and that of the host, from Linux 5.16 on. */
static struct kvm_device_attr offset_attr(uint64_t *offset)
{
	return (struct kvm_device_attr){ .group = KVM_VCPU_TSC_CTRL,
					 .attr = KVM_VCPU_TSC_OFFSET,
					 .addr = (uintptr_t)offset };
}

static bool has_offset(struct vcpu *vcpu)
{
	struct kvm_device_attr attr = offset_attr(NULL);

	return vcpu_ioctl(vcpu, KVM_HAS_DEVICE_ATTR, &attr) >= 0;
}

static int get_offset(struct vcpu *vcpu, uint64_t *offset)
{
	struct kvm_device_attr attr = offset_attr(offset);

	return vcpu_call(vcpu, KVM_GET_DEVICE_ATTR, &attr);
}

static int set_offset(struct vcpu *vcpu, uint64_t offset)
{
	struct kvm_device_attr attr = offset_attr(&offset);

	return vcpu_call(vcpu, KVM_SET_DEVICE_ATTR, &attr);
}

static int tsc_msr(struct vcpu *vcpu, uint64_t *value)
{
	int ret = x86_msr(vcpu, KVM_GET_MSRS, MSR_TSC, value);

	if (ret < 0)
		log_error("vCPU %u: KVM_GET_MSRS: %s", vcpu->id, strerror(-ret));
	return ret;
}

/* KVM_GET_TSC_KHZ, api.rst 4.56; 0: the host does not know. */
static uint32_t frequency(struct vcpu *vcpu)
{
	int khz = vcpu_ioctl(vcpu, KVM_GET_TSC_KHZ, NULL);

	return khz > 0 ? (uint32_t)khz : 0;
}

static int read_tsc(struct vcpu *vcpu, struct x86_tsc *tsc)
{
	int ret;

	tsc->khz = frequency(vcpu);
	ret = has_offset(vcpu) ? get_offset(vcpu, &tsc->offset) : 0;
	return ret < 0 ? ret : tsc_msr(vcpu, &tsc->value);
}

static bool is_near(uint64_t a, uint64_t b)
{
	return (a > b ? a - b : b - a) * 1000000 <= b * TOLERANCE_PPM;
}

static int set_frequency(struct vcpu *vcpu, struct state *state, uint32_t khz)
{
	uint32_t here = frequency(vcpu);

	if (!khz || !here || khz == here)
		return 0;
	if (kvm_check_extension(vcpu->kvm, KVM_CAP_TSC_CONTROL))
		return vcpu_call(vcpu, KVM_SET_TSC_KHZ, (void *)(uintptr_t)khz);
	if (is_near(khz, here))
		return 0;
	return state_refuse(state, "the guest's runs at %u kHz, this host's at %u kHz, and this "
				   "CPU cannot scale it", khz, here);
}

int tsc_saved(struct arch_vm *arch, struct vcpu *vcpu, struct state *state, const char *name)
{
	struct x86_vm *vm = arch->priv;
	struct x86_tsc tsc = { 0 };
	int ret = 0;

	if (!state_loads(state))
		ret = read_tsc(vcpu, &tsc);
	if (ret >= 0)
		ret = state_section(state, &saved_tsc, name, &tsc);
	if (ret >= 0 && state_loads(state)) {
		vm->loaded_tscs[vcpu->id] = tsc;
		ret = set_frequency(vcpu, state, tsc.khz);
	}
	return ret;
}

/* --- The start -------------------------------------------------------------------------------- */

/*
 * Without loss and literally: the first vCPU's counter decides, and the others keep the distance to
 * it that they had. Each was read at a moment of its own, so that values say less than offsets.
 */
static int set_offsets(const struct x86_tsc *tscs, struct vcpu *vcpus, unsigned count,
		       uint64_t ticks)
{
	uint64_t now = 0, offset = 0;
	int ret = get_offset(&vcpus[0], &offset);

	if (ret >= 0)
		ret = tsc_msr(&vcpus[0], &now);
	offset += tscs[0].value + ticks - now;
	for (unsigned i = 0; i < count && ret >= 0; i++)
		ret = set_offset(&vcpus[i], offset + tscs[i].offset - tscs[0].offset);
	return ret;
}

/*
 * As KVM was before Linux 5.16: it takes values that are less than a second apart for attempts to
 * set all counters to the same, and does that.
 */
static int set_values(const struct x86_tsc *tscs, struct vcpu *vcpus, unsigned count,
		      uint64_t ticks)
{
	for (unsigned i = 0; i < count; i++) {
		uint64_t value = tscs[i].value + ticks;
		int ret = x86_msr(&vcpus[i], KVM_SET_MSRS, MSR_TSC, &value);

		if (ret < 0) {
			log_error("vCPU %u: KVM_SET_MSRS: %s", vcpus[i].id, strerror(-ret));
			return ret;
		}
	}
	return 0;
}

static int start_tscs(const struct x86_vm *vm, struct vcpu *vcpus, unsigned count,
		      uint64_t elapsed_ns)
{
	const struct x86_tsc *tscs = vm->loaded_tscs;
	uint64_t ms = elapsed_ns / 1000000, ns = elapsed_ns % 1000000;
	uint64_t ticks = ms * tscs[0].khz + ns * tscs[0].khz / 1000000;

	return has_offset(&vcpus[0]) ? set_offsets(tscs, vcpus, count, ticks) :
				       set_values(tscs, vcpus, count, ticks);
}

/* KVM has turned the deadline into real time by the counter as it was before: once more. */
static int restart_deadline(struct vcpu *vcpu)
{
	uint64_t deadline = 0;
	int ret = x86_msr(vcpu, KVM_GET_MSRS, MSR_TSC_DEADLINE, &deadline);

	if (ret > 0 && deadline)
		ret = x86_msr(vcpu, KVM_SET_MSRS, MSR_TSC_DEADLINE, &deadline);
	if (ret < 0)
		log_error("vCPU %u: TSC deadline: %s", vcpu->id, strerror(-ret));
	return ret;
}

/* KVM api.rst 4.70: EINVAL when the guest does not use kvmclock. */
static int tell_of_pause(struct vcpu *vcpu)
{
	int ret = vcpu_ioctl(vcpu, KVM_KVMCLOCK_CTRL, NULL);

	if (ret >= 0 || ret == -EINVAL)
		return 0;
	log_error("vCPU %u: KVM_KVMCLOCK_CTRL: %s", vcpu->id, strerror(-ret));
	return ret;
}

/* The counters first: KVM derives kvmclock from them when they are in step. */
int arch_clock_start(struct arch_vm *arch, struct vcpu *vcpus, unsigned count, uint64_t elapsed_ns)
{
	struct x86_vm *vm = arch->priv;
	struct kvm_clock_data clock = { .clock = vm->loaded.clock.clock + elapsed_ns };
	int ret = start_tscs(vm, vcpus, count, elapsed_ns);

	if (ret >= 0)
		ret = kvm_vm_call(arch->kvm, KVM_SET_CLOCK, &clock);
	if (ret >= 0 && arch->kvm->has_irqchip)
		ret = kvm_vm_call(arch->kvm, KVM_SET_PIT2, &vm->loaded.pit);
	for (unsigned i = 0; i < count && ret >= 0; i++) {
		ret = restart_deadline(&vcpus[i]);
		if (ret >= 0)
			ret = tell_of_pause(&vcpus[i]);
	}
	return ret < 0 ? ret : 0;
}
