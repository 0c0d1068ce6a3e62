/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interrupt controller: KVM's GICv3 with an ITS, which translates MSIs to interrupts.
 * (KVM devices/arm-vgic-v3.rst, arm-vgic-its.rst; GIC architecture specification IHI 0069)
 */
#include "gic.h"

#include "arm64.h"

#include "base/log.h"

#include <string.h>

static int create_device(struct kvm *kvm, uint32_t type, int *fd)
{
	struct kvm_create_device device = { .type = type };
	int ret = kvm_vm_ioctl(kvm, KVM_CREATE_DEVICE, &device);

	if (ret < 0)
		return ret;
	*fd = (int)device.fd;
	return 0;
}

int gic_set_attr(struct kvm *kvm, int fd, uint32_t group, uint64_t attr, const void *value)
{
	struct kvm_device_attr args = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};
	int ret = sys_ioctl(kvm->sys, fd, KVM_SET_DEVICE_ATTR, &args);

	return ret < 0 ? ret : 0;
}

int gic_get_attr(struct kvm *kvm, int fd, uint32_t group, uint64_t attr, void *value)
{
	struct kvm_device_attr args = {
		.group = group,
		.attr = attr,
		.addr = (uintptr_t)value,
	};
	int ret = sys_ioctl(kvm->sys, fd, KVM_GET_DEVICE_ATTR, &args);

	return ret < 0 ? ret : 0;
}

static int set_address(struct kvm *kvm, int fd, uint64_t type, uint64_t gpa)
{
	return gic_set_attr(kvm, fd, KVM_DEV_ARM_VGIC_GRP_ADDR, type, &gpa);
}

static int set_up_gic(struct kvm *kvm, int fd)
{
	const uint32_t interrupts = 32 + ARM64_SPIS;
	int ret = gic_set_attr(kvm, fd, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &interrupts);

	if (!ret)
		ret = set_address(kvm, fd, KVM_VGIC_V3_ADDR_TYPE_DIST, ARM64_GICD_BASE);
	if (!ret)
		ret = set_address(kvm, fd, KVM_VGIC_V3_ADDR_TYPE_REDIST, ARM64_GICR_BASE);
	return ret;
}

int gic_create(struct kvm *kvm, struct arm64_vm *vm)
{
	int ret = create_device(kvm, KVM_DEV_TYPE_ARM_VGIC_V3, &vm->gic_fd);

	if (ret == -ENODEV) {
		log_error("/dev/kvm: this host has no GICv3 for its guests (a GICv2 alone will not "
			  "do: it has no MSI)");
		return ret;
	}
	if (!ret)
		ret = set_up_gic(kvm, vm->gic_fd);
	if (ret) {
		log_error("/dev/kvm: GICv3: %s", strerror(-ret));
		return ret;
	}
	ret = create_device(kvm, KVM_DEV_TYPE_ARM_VGIC_ITS, &vm->its_fd);
	if (!ret)
		ret = set_address(kvm, vm->its_fd, KVM_VGIC_ITS_ADDR_TYPE, ARM64_ITS_BASE);
	if (ret)
		log_error("/dev/kvm: ITS: %s", strerror(-ret));
	return ret;
}

int gic_start(struct kvm *kvm, struct arm64_vm *vm)
{
	int ret = gic_set_attr(kvm, vm->gic_fd, KVM_DEV_ARM_VGIC_GRP_CTRL,
			       KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);

	if (!ret)
		ret = gic_set_attr(kvm, vm->its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL,
				   KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(vm->its_tables) && !ret; i++)
		ret = gic_get_attr(kvm, vm->its_fd, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, GITS_BASER(i),
				   &vm->its_tables[i]);
	if (ret)
		log_error("/dev/kvm: KVM_DEV_ARM_VGIC_CTRL_INIT: %s", strerror(-ret));
	return ret;
}

/* --- Reset: KVM has none, so every register that a guest may have changed is written --------- */

struct gic_range {
	uint32_t first, last; /* offsets of 32-bit registers */
	uint32_t value;
};

/*
 * IHI 0069 §12.9: registers of the shared interrupts. Of a set and clear pair, the clear register;
 * but user space clears pending interrupts by zeros in the set register.
 */
static const struct gic_range distributor[] = {
	{ 0x0000, 0x0000, 0 },				      /* GICD_CTLR */
	{ 0x0084, 0x0084 + 4 * (ARM64_SPIS / 32 - 1), ~0u },  /* IGROUPR */
	{ 0x0184, 0x0184 + 4 * (ARM64_SPIS / 32 - 1), ~0u },  /* ICENABLER */
	{ 0x0204, 0x0204 + 4 * (ARM64_SPIS / 32 - 1), 0 },    /* ISPENDR */
	{ 0x0384, 0x0384 + 4 * (ARM64_SPIS / 32 - 1), ~0u },  /* ICACTIVER */
	{ 0x0420, 0x0420 + ARM64_SPIS - 4, 0 },		      /* IPRIORITYR */
	{ 0x0c08, 0x0c08 + ARM64_SPIS / 4 - 4, 0 },	      /* ICFGR */
	{ 0x6100, 0x6100 + 8 * ARM64_SPIS - 4, 0 },	      /* IROUTER */
};

/*
 * IHI 0069 §12.11: of each vCPU. LPIs are disabled first, else the tables' addresses cannot change.
 */
static const struct gic_range redistributor[] = {
	{ 0x00000, 0x00000, 0 },   /* GICR_CTLR */
	{ 0x00070, 0x00074, 0 },   /* PROPBASER */
	{ 0x00078, 0x00078, 0x580 }, /* PENDBASER: write-back, inner shareable */
	{ 0x0007c, 0x0007c, 0 },
	{ 0x10080, 0x10080, ~0u }, /* IGROUPR0 */
	{ 0x10180, 0x10180, ~0u }, /* ICENABLER0 */
	{ 0x10100, 0x10100, 0xffff }, /* ISENABLER0: SGIs, always enabled */
	{ 0x10200, 0x10200, 0 },   /* ISPENDR0 */
	{ 0x10380, 0x10380, ~0u }, /* ICACTIVER0 */
	{ 0x10400, 0x1041c, 0 },   /* IPRIORITYR */
	{ 0x10c04, 0x10c04, 0 },   /* ICFGR1 */
};

static const uint64_t cpu_interface[] = {
	ICC(4, 6, 0),	/* PMR_EL1 */
	ICC(12, 12, 6), /* IGRPEN0_EL1 */
	ICC(12, 12, 7), /* IGRPEN1_EL1 */
	ICC(12, 8, 3),	/* BPR0_EL1 */
	ICC(12, 12, 3), /* BPR1_EL1 */
	ICC(12, 8, 4),	/* AP0R0_EL1 */
	ICC(12, 9, 0),	/* AP1R0_EL1 */
};

#define ICC_CTLR ICC(12, 12, 4)
#define ICC_CTLR_GUESTS 3ULL /* EOImode, CBPR */

static int write_ranges(struct kvm *kvm, int fd, uint32_t group, uint64_t cpu,
			const struct gic_range *ranges, unsigned count)
{
	int ret = 0;

	for (unsigned i = 0; i < count; i++)
		for (uint32_t off = ranges[i].first; off <= ranges[i].last && !ret; off += 4)
			ret = gic_set_attr(kvm, fd, group, cpu | off, &ranges[i].value);
	return ret;
}

/* Its other bits are capabilities of this GIC, which a write of zeros would disable. */
static int reset_icc_ctlr(struct kvm *kvm, int fd, uint64_t cpu)
{
	const uint32_t group = KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS;
	uint64_t value = 0;
	int ret = gic_get_attr(kvm, fd, group, cpu | ICC_CTLR, &value);

	value &= ~ICC_CTLR_GUESTS;
	return ret ? ret : gic_set_attr(kvm, fd, group, cpu | ICC_CTLR, &value);
}

static int reset_cpu(struct kvm *kvm, int fd, uint64_t cpu)
{
	static const uint64_t zero;
	int ret = write_ranges(kvm, fd, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, cpu, redistributor,
			       ARRAY_SIZE(redistributor));

	/* CBPR first: with it, BPR1 cannot be written. */
	if (!ret)
		ret = reset_icc_ctlr(kvm, fd, cpu);
	for (unsigned i = 0; i < ARRAY_SIZE(cpu_interface) && !ret; i++)
		ret = gic_set_attr(kvm, fd, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS,
				   cpu | cpu_interface[i], &zero);
	return ret;
}

int gic_reset(struct kvm *kvm, struct arm64_vm *vm, unsigned cpus)
{
	int ret = gic_set_attr(kvm, vm->its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL,
			       KVM_DEV_ARM_ITS_CTRL_RESET, NULL);

	for (unsigned i = 0; i < ARRAY_SIZE(vm->its_tables) && !ret; i++)
		ret = gic_set_attr(kvm, vm->its_fd, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, GITS_BASER(i),
				   &vm->its_tables[i]);
	for (unsigned i = 0; i < cpus && !ret; i++)
		ret = reset_cpu(kvm, vm->gic_fd, gic_attr_of_cpu(vm->mpidr[i]));
	if (!ret)
		ret = write_ranges(kvm, vm->gic_fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0, distributor,
				   ARRAY_SIZE(distributor));
	if (ret)
		log_error("/dev/kvm: reset of the GIC: %s", strerror(-ret));
	return ret;
}
