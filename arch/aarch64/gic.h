/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers of GICv3 and ITS, which KVM has as attributes of their devices. Private to
 * arch/aarch64. (KVM devices/arm-vgic-v3.rst, arm-vgic-its.rst)
 */
#ifndef KINGLET_AARCH64_GIC_H
#define KINGLET_AARCH64_GIC_H

#include "core/kvm.h"

#define GITS_BASER(n) (0x100u + 8 * (n))

/* A system register of the CPU interface: op0, op1, CRn, CRm, op2 as in MSR. */
#define ICC(crn, crm, op2) (3ULL << 14 | (crn) << 7 | (crm) << 3 | (op2))

/* 0, or the errno of KVM_SET_DEVICE_ATTR and KVM_GET_DEVICE_ATTR. They do not log. */
__must_check int gic_set_attr(struct kvm *kvm, int fd, uint32_t group, uint64_t attr,
			      const void *value);
__must_check int gic_get_attr(struct kvm *kvm, int fd, uint32_t group, uint64_t attr, void *value);

/* KVM expects a vCPU's four affinity fields packed into the upper half of an attribute. */
static inline uint64_t gic_attr_of_cpu(uint64_t mpidr)
{
	return (mpidr >> 8 & 0xff000000) << 32 | (mpidr & 0xffffff) << 32;
}

#endif
