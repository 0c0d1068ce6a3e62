/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For x86_64: a KVM behind the hook of a fake_sys that keeps what it is told, and says so: the
 * registers of one vCPU, the interrupt controllers, the clocks. What it tells of CPU and TSC is no
 * host's.
 */
#ifndef KINGLET_TESTS_KEPT_KVM_H
#define KINGLET_TESTS_KEPT_KVM_H

#include "fake_sys.h"

enum { KEPT_PAIRS = 10, KEPT_MSRS_MAX = 300 };

struct kept_kvm {
	uint8_t by_pair[KEPT_PAIRS][sizeof(struct kvm_xsave)]; /* of ioctls: KVM_GET_X, KVM_SET_X */
	struct kvm_irqchip chips[KVM_NR_IRQCHIPS];
	struct kvm_msr_entry msrs[KEPT_MSRS_MAX];
	unsigned msr_count;
};

void kept_kvm_init(struct kept_kvm *kvm);

/* FAKE_PASS: not one of these. */
int kept_kvm_ioctl(struct kept_kvm *kvm, unsigned long request, void *arg);

/* What a guest's own instructions do: registers of all kinds get values, the same each time. */
void kept_kvm_set_registers(struct kept_kvm *kvm);

#endif
