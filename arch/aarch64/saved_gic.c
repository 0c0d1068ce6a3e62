/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The saved state of the interrupt controller, which is all that is VM-wide: distributor, each
 * vCPU's redistributor and CPU interface, ITS. Tables of registers are in the order in which they
 * are loaded. (KVM devices/arm-vgic-v3.rst, arm-vgic-its.rst; IHI 0069 §12)
 */
#include "arm64.h"
#include "gic.h"
#include "saved.h"

#include <stdio.h>

enum register_kind {
	REG_SET,      /* read to save, written to load */
	REG_EQUAL,    /* what this GIC can do: a state with another value is refused */
	REG_OPTIONAL, /* 0 if this GIC has none */
	ON_SAVE,      /* no register: an attribute that makes KVM do something */
	ON_LOAD,
};

struct gic_register {
	const char *name; /* NULL ends a table */
	uint8_t kind;	  /* enum register_kind */
	uint8_t size;	  /* of one access, bytes */
	uint8_t step;	  /* from one attribute to the next */
	uint32_t group;	  /* of attributes */
	uint64_t attr;	  /* the first one */
	uint64_t clear;	  /* those that clear its bits, which are written first; 0: none */
	size_t offset;	  /* in the object */
	size_t count;	  /* accesses */
};

#define REGISTERS(register_name, type, member, access_size, ...)                                   \
	{                                                                                          \
		.name = (register_name), .offset = offsetof(type, member), .size = (access_size),  \
		.count = STATE_SIZEOF(type, member) / (access_size), __VA_ARGS__                   \
	}

/* --- Distributor: of the shared interrupts ---------------------------------------------------- */

struct saved_gic {
	uint32_t iidr, typer, ctlr;
	uint32_t igroupr[ARM64_SPIS / 32], icfgr[ARM64_SPIS / 16], ipriorityr[ARM64_SPIS / 4];
	uint64_t irouter[ARM64_SPIS];
	uint32_t levels[ARM64_SPIS / 32], ispendr[ARM64_SPIS / 32], isactiver[ARM64_SPIS / 32];
	uint32_t isenabler[ARM64_SPIS / 32];
};

static const struct state_field gic_fields[] = {
	STATE_NUMBER(struct saved_gic, iidr),
	STATE_NUMBER(struct saved_gic, typer),
	STATE_NUMBER(struct saved_gic, ctlr),
	STATE_NUMBERS(struct saved_gic, igroupr),
	STATE_NUMBERS(struct saved_gic, icfgr),
	STATE_NUMBERS(struct saved_gic, ipriorityr),
	STATE_NUMBERS(struct saved_gic, irouter),
	STATE_NUMBERS(struct saved_gic, levels),
	STATE_NUMBERS(struct saved_gic, ispendr),
	STATE_NUMBERS(struct saved_gic, isactiver),
	STATE_NUMBERS(struct saved_gic, isenabler),
	STATE_END,
};

const struct state_table arm64_gic_table = {
	.name = "arm64-gic",
	.version = 1,
	.size = sizeof(struct saved_gic),
	.fields = gic_fields,
};

#define GICD(name, member, offset, ...)                                                            \
	REGISTERS(name, struct saved_gic, member, 4, .group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS,      \
		  .attr = (offset), .step = 4, __VA_ARGS__)
/*
 * IIDR tells KVM whose behaviour the guest expects. CTLR comes before what is pending: KVM gives a
 * pending interrupt to a vCPU when it becomes pending, not when the distributor becomes enabled.
 */
static const struct gic_register distributor[] = {
	{ .name = "KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES",
	  .kind = ON_SAVE,
	  .count = 1,
	  .group = KVM_DEV_ARM_VGIC_GRP_CTRL,
	  .attr = KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES },
	GICD("GICD_IIDR", iidr, 0x8),
	GICD("GICD_TYPER", typer, 0x4, .kind = REG_EQUAL),
	GICD("GICD_CTLR", ctlr, 0x0),
	GICD("GICD_IGROUPR", igroupr, 0x84),
	GICD("GICD_ICFGR", icfgr, 0xc08),
	GICD("GICD_IPRIORITYR", ipriorityr, 0x420),
	GICD("GICD_IROUTER", irouter, 0x6100),
	REGISTERS("KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO", struct saved_gic, levels, 4,
		  .group = KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO, .attr = 32, .step = 32),
	GICD("GICD_ISPENDR", ispendr, 0x204),
	GICD("GICD_ISACTIVER", isactiver, 0x304, .clear = 0x384),
	GICD("GICD_ISENABLER", isenabler, 0x104, .clear = 0x184),
	{ .name = NULL },
};

/* --- Redistributor and CPU interface: of one vCPU --------------------------------------------- */

struct saved_gic_cpu {
	uint64_t propbaser, pendbaser;
	uint32_t ctlr, igroupr0, icfgr1, ipriorityr[8], levels, ispendr0, isactiver0, isenabler0;
	uint64_t sre, pmr, bpr0, bpr1, igrpen0, igrpen1, ap0r[4], ap1r[4], icc_ctlr;
};

static const struct state_field gic_cpu_fields[] = {
	STATE_NUMBER(struct saved_gic_cpu, propbaser),
	STATE_NUMBER(struct saved_gic_cpu, pendbaser),
	STATE_NUMBER(struct saved_gic_cpu, ctlr),
	STATE_NUMBER(struct saved_gic_cpu, igroupr0),
	STATE_NUMBER(struct saved_gic_cpu, icfgr1),
	STATE_NUMBERS(struct saved_gic_cpu, ipriorityr),
	STATE_NUMBER(struct saved_gic_cpu, levels),
	STATE_NUMBER(struct saved_gic_cpu, ispendr0),
	STATE_NUMBER(struct saved_gic_cpu, isactiver0),
	STATE_NUMBER(struct saved_gic_cpu, isenabler0),
	STATE_NUMBER(struct saved_gic_cpu, sre),
	STATE_NUMBER(struct saved_gic_cpu, pmr),
	STATE_NUMBER(struct saved_gic_cpu, bpr0),
	STATE_NUMBER(struct saved_gic_cpu, bpr1),
	STATE_NUMBER(struct saved_gic_cpu, igrpen0),
	STATE_NUMBER(struct saved_gic_cpu, igrpen1),
	STATE_NUMBERS(struct saved_gic_cpu, ap0r),
	STATE_NUMBERS(struct saved_gic_cpu, ap1r),
	STATE_NUMBER(struct saved_gic_cpu, icc_ctlr),
	STATE_END,
};

const struct state_table arm64_gic_cpu_table = {
	.name = "arm64-gic-cpu",
	.version = 1,
	.size = sizeof(struct saved_gic_cpu),
	.fields = gic_cpu_fields,
};

#define GICR(name, member, offset, ...)                                                            \
	REGISTERS(name, struct saved_gic_cpu, member, 4,                                           \
		  .group = KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, .attr = (offset), .step = 4,          \
		  __VA_ARGS__)
#define GICC(name, member, encoding, ...)                                                          \
	REGISTERS(name, struct saved_gic_cpu, member, 8,                                           \
		  .group = KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, .attr = (encoding), .step = 1,        \
		  __VA_ARGS__)
/*
 * The LPIs' tables before CTLR, which enables LPIs and so fixes the addresses; BPR1 before CTLR's
 * CBPR, with which it cannot be written. A GIC of few priorities has only the first AP0R and AP1R.
 */
static const struct gic_register of_cpu[] = {
	GICR("GICR_PROPBASER", propbaser, 0x70),
	GICR("GICR_PENDBASER", pendbaser, 0x78),
	GICR("GICR_CTLR", ctlr, 0x0),
	GICR("GICR_IGROUPR0", igroupr0, 0x10080),
	GICR("GICR_ICFGR1", icfgr1, 0x10c04),
	GICR("GICR_IPRIORITYR", ipriorityr, 0x10400),
	REGISTERS("KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO", struct saved_gic_cpu, levels, 4,
		  .group = KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO),
	GICR("GICR_ISPENDR0", ispendr0, 0x10200),
	GICR("GICR_ISACTIVER0", isactiver0, 0x10300, .clear = 0x10380),
	GICR("GICR_ISENABLER0", isenabler0, 0x10100, .clear = 0x10180),
	GICC("ICC_SRE_EL1", sre, ICC(12, 12, 5)),
	GICC("ICC_PMR_EL1", pmr, ICC(4, 6, 0)),
	GICC("ICC_BPR0_EL1", bpr0, ICC(12, 8, 3)),
	GICC("ICC_BPR1_EL1", bpr1, ICC(12, 12, 3)),
	GICC("ICC_IGRPEN0_EL1", igrpen0, ICC(12, 12, 6)),
	GICC("ICC_IGRPEN1_EL1", igrpen1, ICC(12, 12, 7)),
	GICC("ICC_AP0R_EL1", ap0r, ICC(12, 8, 4), .kind = REG_OPTIONAL),
	GICC("ICC_AP1R_EL1", ap1r, ICC(12, 9, 0), .kind = REG_OPTIONAL),
	GICC("ICC_CTLR_EL1", icc_ctlr, ICC(12, 12, 4)),
	{ .name = NULL },
};

/* --- ITS -------------------------------------------------------------------------------------- */

struct saved_its {
	uint64_t iidr, typer, cbaser, creadr, cwriter, baser[2], ctlr;
};

static const struct state_field its_fields[] = {
	STATE_NUMBER(struct saved_its, iidr),
	STATE_NUMBER(struct saved_its, typer),
	STATE_NUMBER(struct saved_its, cbaser),
	STATE_NUMBER(struct saved_its, creadr),
	STATE_NUMBER(struct saved_its, cwriter),
	STATE_NUMBERS(struct saved_its, baser),
	STATE_NUMBER(struct saved_its, ctlr),
	STATE_END,
};

const struct state_table arm64_its_table = {
	.name = "arm64-its",
	.version = 1,
	.size = sizeof(struct saved_its),
	.fields = its_fields,
};

#define GITS(name, member, offset, ...)                                                            \
	REGISTERS(name, struct saved_its, member, 8, .group = KVM_DEV_ARM_VGIC_GRP_ITS_REGS,       \
		  .attr = (offset), .step = 8, __VA_ARGS__)
/* "ITS Restore Sequence" in arm-vgic-its.rst: a write to CBASER clears CREADR. */
static const struct gic_register its_registers[] = {
	{ .name = "KVM_DEV_ARM_ITS_SAVE_TABLES",
	  .kind = ON_SAVE,
	  .count = 1,
	  .group = KVM_DEV_ARM_VGIC_GRP_CTRL,
	  .attr = KVM_DEV_ARM_ITS_SAVE_TABLES },
	GITS("GITS_IIDR", iidr, 0x4),
	GITS("GITS_TYPER", typer, 0x8, .kind = REG_EQUAL),
	GITS("GITS_CBASER", cbaser, 0x80),
	GITS("GITS_CREADR", creadr, 0x90),
	GITS("GITS_CWRITER", cwriter, 0x88),
	GITS("GITS_BASER", baser, GITS_BASER(0)),
	{ .name = "KVM_DEV_ARM_ITS_RESTORE_TABLES",
	  .kind = ON_LOAD,
	  .count = 1,
	  .group = KVM_DEV_ARM_VGIC_GRP_CTRL,
	  .attr = KVM_DEV_ARM_ITS_RESTORE_TABLES },
	GITS("GITS_CTLR", ctlr, 0x0),
	{ .name = NULL },
};

/* --- Both directions -------------------------------------------------------------------------- */

/* Where registers are. */
struct gic_part {
	struct kvm *kvm;
	int fd;	      /* GIC or ITS */
	uint64_t cpu; /* attribute bits */
};

static int read_register(const struct gic_part *part, const struct gic_register *reg, uint64_t attr,
			 uint64_t *value)
{
	int ret;

	*value = 0;
	ret = gic_get_attr(part->kvm, part->fd, reg->group, attr, value);
	return reg->kind == REG_OPTIONAL && (ret == -EINVAL || ret == -ENXIO) ? 0 : ret;
}

/*
 * A register that has the value already is not written: KVM makes another one of a PROPBASER that
 * is 0.
 */
static int load_register(const struct gic_part *part, struct state *state,
			 const struct gic_register *reg, size_t n, uint64_t value)
{
	static const uint32_t all = ~0u;
	uint64_t own, attr = part->cpu | (reg->attr + n * reg->step);
	int ret = read_register(part, reg, attr, &own);

	if (ret || own == value)
		return ret;
	if (reg->kind == REG_EQUAL)
		return state_refuse(state, "%s is 0x%llx; this machine's is 0x%llx", reg->name,
				    (unsigned long long)value, (unsigned long long)own);
	if (reg->clear)
		ret = gic_set_attr(part->kvm, part->fd, reg->group,
				   part->cpu | (reg->clear + n * reg->step), &all);
	return ret ? ret : gic_set_attr(part->kvm, part->fd, reg->group, attr, &value);
}

static int transfer_one(const struct gic_part *part, struct state *state,
			const struct gic_register *reg, size_t n, uint8_t *data)
{
	bool loads = state_loads(state);
	uint64_t value = 0;
	int ret;

	if (reg->kind == ON_SAVE || reg->kind == ON_LOAD)
		return loads == (reg->kind == ON_LOAD) ?
			       gic_set_attr(part->kvm, part->fd, reg->group, reg->attr, NULL) :
			       0;
	if (loads) {
		memcpy(&value, data, reg->size);
		return load_register(part, state, reg, n, value);
	}
	ret = read_register(part, reg, part->cpu | (reg->attr + n * reg->step), &value);
	memcpy(data, &value, reg->size);
	return ret;
}

static int transfer(const struct gic_part *part, struct state *state,
		    const struct gic_register *registers, uint8_t *object)
{
	int ret;

	for (const struct gic_register *reg = registers; reg->name; reg++)
		for (size_t n = 0; n < reg->count; n++) {
			ret = transfer_one(part, state, reg, n,
					   object + reg->offset + n * reg->size);
			if (ret)
				return arm64_state_failed(state, reg->name, ret);
		}
	return 0;
}

static int saved_part(const struct gic_part *part, struct state *state,
		      const struct state_table *table, const char *name,
		      const struct gic_register *registers, void *object)
{
	int ret = 0;

	if (!state_loads(state))
		ret = transfer(part, state, registers, object);
	if (!ret)
		ret = state_section(state, table, name, object);
	if (!ret && state_loads(state))
		ret = transfer(part, state, registers, object);
	return ret;
}

/* The ITS last: LPIs go to redistributors, which KVM therefore wants first. */
int arch_vm_saved(struct arch_vm *arch, struct state *state)
{
	const struct arm64_vm *vm = arch->priv;
	struct gic_part part = { .kvm = arch->kvm, .fd = vm->gic_fd };
	struct saved_gic gic = { 0 };
	struct saved_its its = { 0 };
	int ret = saved_part(&part, state, &arm64_gic_table, "", distributor, &gic);

	for (unsigned i = 0; i < arch->cpus && !ret; i++) {
		struct saved_gic_cpu cpu = { 0 };
		char name[STATE_NAME_MAX + 1];

		snprintf(name, sizeof(name), "vcpu %u", i);
		part.cpu = gic_attr_of_cpu(vm->mpidr[i]);
		ret = saved_part(&part, state, &arm64_gic_cpu_table, name, of_cpu, &cpu);
	}
	part = (struct gic_part){ .kvm = arch->kvm, .fd = vm->its_fd };
	return ret ? ret : saved_part(&part, state, &arm64_its_table, "", its_registers, &its);
}
