/* SPDX-License-Identifier: Apache-2.0 */
/* For saved.c: an MSI on its way through the ITS. (IHI 0069 §5, §12.19) */
#include "saved.h"

#include "../../arch/aarch64/arm64.h"
#include "../../arch/aarch64/gic.h"

/* Where a guest might have the tables, in RAM. */
enum {
	PROPERTIES = 0x40800000, /* one byte for each LPI, from 8,192 on */
	PENDING = 0x40900000,	 /* one bit for each interrupt */
	DEVICES = 0x40a00000,
	COLLECTIONS = 0x40b00000,
	COMMANDS = 0x40c00000,
	EVENTS = 0x40d00000, /* of the one device */
};

enum { DEVICE = 5, EVENT = 3, LPI = 8192 + 7 };

#define VALID (1ULL << 63)

static void set(struct machine *m, int fd, uint32_t group, uint64_t attr, uint64_t value)
{
	require(!gic_set_attr(&m->kvm, fd, group, attr, &value), "KVM_SET_DEVICE_ATTR");
}

static void set_its(struct machine *m, uint64_t offset, uint64_t value)
{
	const struct arm64_vm *vm = m->arch.priv;

	set(m, vm->its_fd, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, offset, value);
}

static void set_gic(struct machine *m, uint32_t group, uint64_t offset, uint64_t value)
{
	const struct arm64_vm *vm = m->arch.priv;

	set(m, vm->gic_fd, group, gic_attr_of_cpu(vm->mpidr[0]) | offset, value);
}

static void enable_lpis(struct machine *m)
{
	const uint8_t enabled = 0xa1; /* priority 0xa0 */

	require(!gmem_write(&m->mem, PROPERTIES + LPI - 8192, &enabled, 1), "gmem_write");
	set_gic(m, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x0, 2); /* GICD_CTLR: group 1 */
	set_gic(m, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, 0x70, PROPERTIES | 15); /* PROPBASER */
	set_gic(m, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, 0x78, PENDING);
	set_gic(m, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, 0x0, 1);
}

/* The device's event becomes the LPI, for the first vCPU. */
static void start_its(struct machine *m)
{
	const struct arm64_vm *vm = m->arch.priv;
	const uint64_t commands[][4] = {
		{ 0x08 | (uint64_t)DEVICE << 32, 4, VALID | EVENTS, 0 }, /* MAPD, 2^5 events */
		{ 0x09, 0, VALID, 0 },					  /* MAPC 0 to vCPU 0 */
		{ 0x0a | (uint64_t)DEVICE << 32, EVENT | (uint64_t)LPI << 32, 0, 0 }, /* MAPTI */
	};

	require(!gmem_write(&m->mem, COMMANDS, commands, sizeof(commands)), "gmem_write");
	set_its(m, GITS_BASER(0), vm->its_tables[0] | VALID | DEVICES);
	set_its(m, GITS_BASER(1), vm->its_tables[1] | VALID | COLLECTIONS);
	set_its(m, 0x80, VALID | COMMANDS); /* CBASER: 4 KiB */
	set_its(m, 0x0, 1);
	set_its(m, 0x88, sizeof(commands)); /* CWRITER */
}

/* Whether the ITS knows the event. */
static bool send(struct machine *m)
{
	struct kvm_msi msi = {
		.address_lo = ARM64_ITS_BASE + 0x10040, /* GITS_TRANSLATER */
		.data = EVENT,
		.flags = KVM_MSI_VALID_DEVID,
		.devid = DEVICE,
	};

	return kvm_vm_ioctl(&m->kvm, KVM_SIGNAL_MSI, &msi) > 0;
}

static bool is_pending(struct machine *m)
{
	const struct arm64_vm *vm = m->arch.priv;
	uint8_t bits = 0;

	require(!gic_set_attr(&m->kvm, vm->gic_fd, KVM_DEV_ARM_VGIC_GRP_CTRL,
			      KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES, NULL),
		"KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES");
	require(!gmem_read(&m->mem, PENDING + LPI / 8, &bits, 1), "gmem_read");
	return bits >> LPI % 8 & 1;
}

static void send_msi(struct machine *m)
{
	enable_lpis(m);
	start_its(m);
	require(!is_pending(m), "an MSI before it was sent");
	require(send(m), "KVM_SIGNAL_MSI");
}

/* KVM takes the bit from RAM when it loads the table, so that it can only come from KVM again. */
static bool msi_is_there(struct machine *m)
{
	return is_pending(m) && send(m);
}

static void leave(struct machine *m)
{
	(void)m;
}

const struct saved_case saved_cases[] = {
	{ "after power-on", leave, NULL },
	{ "all that can be set", make_dirty, NULL },
	{ "an MSI", send_msi, msi_is_there },
	{ NULL, NULL, NULL },
};
