/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For reset.c and saved.c: arm64's machine. (KVM api.rst 4.68, 4.84; devices/arm-vgic-v3.rst, arm-vgic-its.rst)
 */
#include "machine.h"

#include "../../arch/aarch64/arm64.h"
#include "../../arch/aarch64/regs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CACHEABLE "KVM makes a table of no kind of memory cacheable when it is written"
const struct exception exceptions[] = {
	{ "vCPU 0 GICR_PROPBASER0", CACHEABLE },
	{ "vCPU 1 GICR_PROPBASER0", CACHEABLE },
	{ NULL, NULL },
};

const char *const dirty[] = {
	"vCPU 0 pc",
	"vCPU 0 SCTLR",
	"vCPU 0 CNTV_CVAL",
	"vCPU 0 counter, in hours",
	"vCPU 1 SCTLR",
	"vCPU 0 mp_state",
	"vCPU 1 mp_state",
	"vCPU 0 events",
	"vCPU 0 GICR_CTLR",
	"vCPU 0 GICR_PROPBASER0",
	"vCPU 1 GICR_IGROUPR",
	"vCPU 0 ICC_PMR",
	"vCPU 1 ICC_IGRPEN1",
	"GICD_CTLR",
	"GICD_IGROUPR1",
	"GICD_ISENABLER1",
	"ITS_CTLR",
	"ITS_CBASER",
	"ITS_BASER0",
	NULL,
};

/* The few named in dirty[]; all others are identified by their number. */
static const struct {
	uint64_t id;
	const char *name;
} names[] = {
	{ ARM64_CORE_REG(regs.pc), "pc" },
	{ ARM64_SCTLR_EL1, "SCTLR" },
	{ ARM64_SYS_REG(3, 3, 14, 0, 2), "CNTV_CVAL" }, /* KVM swaps CVAL and CNT */
};

enum { REGS_MAX = 1024 };

static unsigned list_regs(struct vcpu *vcpu, uint64_t ids[REGS_MAX])
{
	static struct {
		struct kvm_reg_list list;
		uint64_t room[REGS_MAX];
	} buf;

	buf.list.n = REGS_MAX;
	require(vcpu_ioctl(vcpu, KVM_GET_REG_LIST, &buf.list) >= 0, "KVM_GET_REG_LIST");
	memcpy(ids, buf.list.reg, buf.list.n * sizeof(ids[0]));
	return (unsigned)buf.list.n;
}

static size_t size_of(uint64_t id)
{
	return (size_t)1 << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT);
}

static bool runs(uint64_t id)
{
	return id == KVM_REG_ARM_TIMER_CNT || id == KVM_REG_ARM_PTIMER_CNT;
}

static void take_reg(struct vcpu *vcpu, uint64_t id, struct inventory *inventory)
{
	uint64_t words[32] = { 0 };
	size_t size = size_of(id);
	char name[48];

	require(arm64_get_any(vcpu, id, words) >= 0, "KVM_GET_ONE_REG");
	if (runs(id)) {
		add_value(inventory, words[0] >> 40, "vCPU %u %scounter, in hours", vcpu->id,
			  id == KVM_REG_ARM_TIMER_CNT ? "" : "physical ");
		return;
	}
	snprintf(name, sizeof(name), "vCPU %u 0x%llx", vcpu->id, (unsigned long long)id);
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].id == id)
			snprintf(name, sizeof(name), "vCPU %u %s", vcpu->id, names[i].name);
	if (size <= sizeof(words[0]))
		add_value(inventory, words[0], "%s", name);
	else
		add_words(inventory, name, words, size);
}

static void take_vcpu(struct vcpu *vcpu, struct inventory *inventory)
{
	uint64_t ids[REGS_MAX];
	unsigned count = list_regs(vcpu, ids);
	struct kvm_mp_state state;
	struct kvm_vcpu_events events = { 0 };
	char name[48];

	for (unsigned i = 0; i < count; i++)
		take_reg(vcpu, ids[i], inventory);
	require(vcpu_ioctl(vcpu, KVM_GET_MP_STATE, &state) >= 0, "KVM_GET_MP_STATE");
	add_value(inventory, state.mp_state, "vCPU %u mp_state", vcpu->id);
	require(vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, &events) >= 0, "KVM_GET_VCPU_EVENTS");
	snprintf(name, sizeof(name), "vCPU %u events", vcpu->id);
	add_words(inventory, name, &events, sizeof(events));
}

/* --- GIC and ITS ------------------------------------------------------------------------------ */

static bool access_attr(struct machine *m, int fd, bool set, uint32_t group, uint64_t attr,
			uint64_t *value)
{
	struct kvm_device_attr args = { .group = group, .attr = attr, .addr = (uintptr_t)value };

	return sys_ioctl(&m->sys, fd, set ? KVM_SET_DEVICE_ATTR : KVM_GET_DEVICE_ATTR, &args) >= 0;
}

/* Consecutive registers, `step` bytes apart, read at those offsets. */
struct registers {
	const char *name;
	uint64_t first, count, step;
	uint64_t fixed; /* bits that no guest can write */
};

static const struct registers distributor[] = {
	{ "GICD_CTLR", 0, 1, 4, 0 },
	{ "GICD_TYPER", 4, 1, 4, 0 },
	{ "GICD_IIDR", 8, 1, 4, ~0ULL },
	{ "GICD_STATUSR", 0x10, 1, 4, 0 },
	{ "GICD_IGROUPR", 0x80, 2, 4, 0 },
	{ "GICD_ISENABLER", 0x100, 2, 4, 0 },
	{ "GICD_ISPENDR", 0x200, 2, 4, 0 },
	{ "GICD_ISACTIVER", 0x300, 2, 4, 0 },
	{ "GICD_IPRIORITYR", 0x400, 16, 4, 0 },
	{ "GICD_ICFGR", 0xc00, 4, 4, 0 },
	{ "GICD_IGRPMODR", 0xd00, 2, 4, 0 },
	{ "GICD_NSACR", 0xe00, 4, 4, 0 },
	{ "GICD_IROUTER", 0x6100, 64, 4, 0 },
};

/* CTLR is last: with LPIs on, their tables cannot be moved. */
static const struct registers redistributor[] = {
	{ "GICR_IIDR", 4, 1, 4, ~0ULL },
	{ "GICR_TYPER", 8, 2, 4, 0 },
	{ "GICR_STATUSR", 0x10, 1, 4, 0 },
	{ "GICR_WAKER", 0x14, 1, 4, 0 },
	{ "GICR_PROPBASER", 0x70, 2, 4, 0 },
	{ "GICR_PENDBASER", 0x78, 2, 4, 0 },
	{ "GICR_IGROUPR", 0x10080, 1, 4, 0 },
	{ "GICR_ISENABLER", 0x10100, 1, 4, 0 },
	{ "GICR_ISPENDR", 0x10200, 1, 4, 0 },
	{ "GICR_ISACTIVER", 0x10300, 1, 4, 0 },
	{ "GICR_IPRIORITYR", 0x10400, 8, 4, 0 },
	{ "GICR_ICFGR", 0x10c00, 2, 4, 0 },
	{ "GICR_IGRPMODR", 0x10d00, 1, 4, 0 },
	{ "GICR_NSACR", 0x10e00, 1, 4, 0 },
	{ "GICR_CTLR", 0, 1, 4, 0 },
};

#define ICC(crn, crm, op2) (3ULL << 14 | (crn) << 7 | (crm) << 3 | (op2))
static const struct registers cpu_interface[] = {
	{ "ICC_PMR", ICC(4, 6, 0), 1, 1, 0 },     { "ICC_BPR0_", ICC(12, 8, 3), 1, 1, 0 },
	{ "ICC_AP0R", ICC(12, 8, 4), 4, 1, 0 },   { "ICC_AP1R", ICC(12, 9, 0), 4, 1, 0 },
	{ "ICC_BPR1_", ICC(12, 12, 3), 1, 1, 0 }, { "ICC_CTLR", ICC(12, 12, 4), 1, 1, ~3ULL },
	{ "ICC_SRE", ICC(12, 12, 5), 1, 1, 0 },   { "ICC_IGRPEN", ICC(12, 12, 6), 2, 1, 0 },
};

/* Levels of 32 lines at a time: of devices, which are reset with them. */
static const struct registers levels[] = { { "levels", 0, 2, 32, ~0ULL } };

/* CTLR is last again. Tables of the ITS remain in RAM: KVM uses them when it is saved. */
#define BASER_FIXED (~(1ULL << 63 | 0x40f00000))
static const struct registers its[] = {
	{ "ITS_TYPER", 8, 1, 8, 0 },      { "ITS_CBASER", 0x80, 1, 8, 0 },
	{ "ITS_CWRITER", 0x88, 1, 8, 0 }, { "ITS_CREADR", 0x90, 1, 8, 0 },
	{ "ITS_BASER", 0x100, 8, 8, BASER_FIXED },  { "ITS_CTLR", 0, 1, 4, 0 },
};

static const struct part {
	uint32_t group;
	bool of_its, of_vcpu;
	const struct registers *registers;
	unsigned count;
} parts[] = {
	{ KVM_DEV_ARM_VGIC_GRP_DIST_REGS, false, false, distributor, ARRAY_SIZE(distributor) },
	{ KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, false, true, redistributor, ARRAY_SIZE(redistributor) },
	{ KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, false, true, cpu_interface, ARRAY_SIZE(cpu_interface) },
	{ KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, false, true, levels, ARRAY_SIZE(levels) },
	{ KVM_DEV_ARM_VGIC_GRP_ITS_REGS, true, false, its, ARRAY_SIZE(its) },
};

typedef void part_fn(struct machine *m, int fd, uint32_t group, uint64_t attr, const char *name,
		     uint64_t fixed, void *data);

static void for_registers(struct machine *m, const struct part *part, uint64_t cpu, const char *of,
			  part_fn *fn, void *data)
{
	const struct arm64_vm *vm = m->arch.priv;

	for (unsigned i = 0; i < part->count; i++)
		for (uint64_t n = 0; n < part->registers[i].count; n++) {
			const struct registers *r = &part->registers[i];
			char name[48];

			snprintf(name, sizeof(name), "%s%s", of, r->name);
			if (r->count > 1)
				snprintf(name, sizeof(name), "%s%s%u", of, r->name, (unsigned)n);
			fn(m, part->of_its ? vm->its_fd : vm->gic_fd, part->group,
			   cpu | (r->first + n * r->step), name, r->fixed, data);
		}
}

static void for_parts(struct machine *m, part_fn *fn, void *data)
{
	const struct arm64_vm *vm = m->arch.priv;

	for (unsigned i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!parts[i].of_vcpu)
			for_registers(m, &parts[i], 0, "", fn, data);
		for (unsigned cpu = 0; cpu < CPUS && parts[i].of_vcpu; cpu++) {
			char of[16];

			snprintf(of, sizeof(of), "vCPU %u ", cpu);
			for_registers(m, &parts[i], vm->mpidr[cpu] << 32, of, fn, data);
		}
	}
}

static void take_register(struct machine *m, int fd, uint32_t group, uint64_t attr,
			  const char *name, uint64_t fixed, void *data)
{
	uint64_t value = 0;

	(void)fixed;
	if (access_attr(m, fd, false, group, attr, &value))
		add_value(data, value, "%s", name);
}

void take_inventory(struct machine *m, struct inventory *inventory)
{
	inventory->count = 0;
	for (unsigned i = 0; i < CPUS; i++)
		take_vcpu(&m->vcpus[i], inventory);
	for_parts(m, take_register, inventory);
}

/* --- Changing everything ---------------------------------------------------------------------- */

static const uint64_t flips[] = {
	~0ULL, 0x5a5a5a5a5a5a5a5a, 0x41000000, 0x8000000041000000, 0xf0, 1, 3, 8, 0x10
};

/* KVM's own registers and identification registers: no guest can write them. */
static bool is_fixed(uint64_t id)
{
	uint64_t kind = id & KVM_REG_ARM_COPROC_MASK;
	bool identification = (id & 0xc000) == 0xc000 && (id & 0x780) == 0 &&
			      id != ARM64_SYS_REG(3, 2, 0, 0, 0); /* CSSELR */

	return kind == KVM_REG_ARM_FW || kind == KVM_REG_ARM_FW_FEAT_BMAP ||
	       kind == KVM_REG_ARM64_SVE || (kind == KVM_REG_ARM64_SYSREG && identification);
}

/* Any other value that KVM accepts. */
static void dirty_reg(struct vcpu *vcpu, uint64_t id)
{
	uint64_t old[32] = { 0 }, words[32] = { 0 };

	if (is_fixed(id) || arm64_get_any(vcpu, id, old) < 0)
		return;
	/* Far from its overflow. */
	if (runs(id) && arm64_set_reg(vcpu, id, 1ULL << 60) >= 0)
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(flips); i++) {
		words[0] = old[0] ^ flips[i];
		words[1] = old[1] ^ flips[i];
		if (arm64_set_any(vcpu, id, words) >= 0 && arm64_get_any(vcpu, id, words) >= 0 &&
		    memcmp(words, old, size_of(id)) != 0)
			return;
	}
}

static void dirty_vcpu(struct vcpu *vcpu)
{
	uint64_t ids[REGS_MAX];
	unsigned count = list_regs(vcpu, ids);
	struct kvm_vcpu_events events = { .exception.serror_pending = 1 };
	struct kvm_mp_state state = { .mp_state = vcpu->id ? KVM_MP_STATE_RUNNABLE
							   : KVM_MP_STATE_STOPPED };

	for (unsigned i = 0; i < count; i++)
		dirty_reg(vcpu, ids[i]);
	require(vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, &events) >= 0, "KVM_SET_VCPU_EVENTS");
	require(vcpu_ioctl(vcpu, KVM_SET_MP_STATE, &state) >= 0, "KVM_SET_MP_STATE");
}

static void dirty_register(struct machine *m, int fd, uint32_t group, uint64_t attr,
			   const char *name, uint64_t fixed, void *data)
{
	uint64_t old = 0, value = 0;

	(void)name;
	(void)data;
	if (!access_attr(m, fd, false, group, attr, &old))
		return;
	/* PROPBASER is shared by all vCPUs: the second must not flip it back. */
	for (unsigned i = attr >> 32 & 1; i < ARRAY_SIZE(flips); i++) {
		uint64_t other = old ^ (flips[i] & ~fixed);

		if (access_attr(m, fd, true, group, attr, &other) &&
		    access_attr(m, fd, false, group, attr, &value) && value != old)
			return;
	}
}

void make_dirty(struct machine *m)
{
	for (unsigned i = 0; i < CPUS; i++)
		dirty_vcpu(&m->vcpus[i]);
	for_parts(m, dirty_register, NULL);
}
