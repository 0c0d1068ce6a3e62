/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gdb's registers of an AArch64 CPU, in the order of its target description, by KVM's ids. (gdb
 * manual, appendix G.5.1: features org.gnu.gdb.aarch64.*; KVM api.rst 4.68)
 */
#include "arch/debug.h"
#include "arch/debug_target.h"
#include "regs.h"

#include <asm/ptrace.h>
#include <string.h>

enum { VECTOR_BYTES = 16, REG_BYTES_MAX = 256 /* an SVE register's slice */ };

#define REG(name, type, bits, id) { name, type, bits, (bits) / 8, id }
#define X(n) REG("x" #n, NULL, 64, ARM64_X(n))
#define V_ID(n)                                                                                    \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U128 | KVM_REG_ARM_CORE |                                    \
	 KVM_REG_ARM_CORE_REG(fp_regs.vregs[n]))
#define V(n) REG("v" #n, "aarch64v", 128, V_ID(n))
#define FP(name, field)                                                                            \
	REG(name, NULL, 32,                                                                        \
	    KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(field))

static const struct debug_reg core_regs[] = {
	X(0), X(1), X(2), X(3), X(4), X(5), X(6), X(7), X(8), X(9), X(10), X(11), X(12), X(13),
	X(14), X(15), X(16), X(17), X(18), X(19), X(20), X(21), X(22), X(23), X(24), X(25), X(26),
	X(27), X(28), X(29), X(30),
	REG("sp", "data_ptr", 64, ARM64_CORE_REG(regs.sp)), /* or EL1's own: place() */
	REG("pc", "code_ptr", 64, ARM64_CORE_REG(regs.pc)),
	REG("cpsr", "cpsr_flags", 32, ARM64_CORE_REG(regs.pstate)),
};

static const struct debug_reg fpu_regs[] = {
	V(0), V(1), V(2), V(3), V(4), V(5), V(6), V(7), V(8), V(9), V(10), V(11), V(12), V(13),
	V(14), V(15), V(16), V(17), V(18), V(19), V(20), V(21), V(22), V(23), V(24), V(25), V(26),
	V(27), V(28), V(29), V(30), V(31),
	FP("fpsr", fp_regs.fpsr), FP("fpcr", fp_regs.fpcr),
};

static const struct debug_reg system_regs[] = {
	REG("elr_el1", "code_ptr", 64, ARM64_CORE_REG(elr_el1)),
	REG("spsr_el1", NULL, 64, ARM64_SPSR_EL1),
	REG("esr_el1", NULL, 64, ARM64_ESR_EL1),
	REG("far_el1", "data_ptr", 64, ARM64_FAR_EL1),
	REG("vbar_el1", "data_ptr", 64, ARM64_VBAR_EL1),
	REG("sctlr_el1", NULL, 64, ARM64_SCTLR_EL1),
	REG("tcr_el1", NULL, 64, ARM64_TCR_EL1),
	REG("ttbr0_el1", NULL, 64, ARM64_TTBR0_EL1),
	REG("ttbr1_el1", NULL, 64, ARM64_TTBR1_EL1),
};

static const char core_types[] =
	"<flags id=\"cpsr_flags\" size=\"4\">"
	"<field name=\"SP\" start=\"0\" end=\"0\"/><field name=\"EL\" start=\"2\" end=\"3\"/>"
	"<field name=\"nRW\" start=\"4\" end=\"4\"/><field name=\"F\" start=\"6\" end=\"6\"/>"
	"<field name=\"I\" start=\"7\" end=\"7\"/><field name=\"A\" start=\"8\" end=\"8\"/>"
	"<field name=\"D\" start=\"9\" end=\"9\"/><field name=\"IL\" start=\"20\" end=\"20\"/>"
	"<field name=\"SS\" start=\"21\" end=\"21\"/><field name=\"PAN\" start=\"22\" end=\"22\"/>"
	"<field name=\"UAO\" start=\"23\" end=\"23\"/><field name=\"V\" start=\"28\" end=\"28\"/>"
	"<field name=\"C\" start=\"29\" end=\"29\"/><field name=\"Z\" start=\"30\" end=\"30\"/>"
	"<field name=\"N\" start=\"31\" end=\"31\"/></flags>";

static const char fpu_types[] =
	"<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
	"<vector id=\"v2u\" type=\"uint64\" count=\"2\"/>"
	"<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
	"<vector id=\"v4u\" type=\"uint32\" count=\"4\"/>"
	"<vector id=\"v8u\" type=\"uint16\" count=\"8\"/>"
	"<vector id=\"v16u\" type=\"uint8\" count=\"16\"/>"
	"<vector id=\"v1u\" type=\"uint128\" count=\"1\"/>"
	"<union id=\"vnd\"><field name=\"f\" type=\"v2d\"/><field name=\"u\" type=\"v2u\"/></union>"
	"<union id=\"vns\"><field name=\"f\" type=\"v4f\"/><field name=\"u\" type=\"v4u\"/></union>"
	"<union id=\"vnh\"><field name=\"u\" type=\"v8u\"/></union>"
	"<union id=\"vnb\"><field name=\"u\" type=\"v16u\"/></union>"
	"<union id=\"vnq\"><field name=\"u\" type=\"v1u\"/></union>"
	"<union id=\"aarch64v\"><field name=\"d\" type=\"vnd\"/><field name=\"s\" type=\"vns\"/>"
	"<field name=\"h\" type=\"vnh\"/><field name=\"b\" type=\"vnb\"/>"
	"<field name=\"q\" type=\"vnq\"/></union>";

static const struct debug_feature features[] = {
	{ "org.gnu.gdb.aarch64.core", core_types, core_regs, ARRAY_SIZE(core_regs) },
	{ "org.gnu.gdb.aarch64.fpu", fpu_types, fpu_regs, ARRAY_SIZE(fpu_regs) },
	{ "org.kinglet.aarch64.system", "", system_regs, ARRAY_SIZE(system_regs) },
};

const struct debug_target arch_debug_target = { "aarch64", features, ARRAY_SIZE(features) };

/*
 * The vCPU's id where the table has a more general one: at EL1 its own stack pointer; for vector
 * registers with SVE, their lower parts. (KVM api.rst 4.68: there are no others)
 */
static uint64_t place(uint64_t id, uint64_t pstate, bool sve)
{
	if (id == ARM64_CORE_REG(regs.sp) && (pstate & PSR_MODE_MASK) == PSR_MODE_EL1h)
		return ARM64_CORE_REG(sp_el1);
	if (sve && id >= V_ID(0) && id <= V_ID(31))
		return KVM_REG_ARM64_SVE_ZREG((id - V_ID(0)) / (V_ID(1) - V_ID(0)), 0);
	return id;
}

struct cpu {
	struct vcpu *vcpu;
	uint64_t pstate;
	bool sve;
};

static int look(struct cpu *cpu, struct vcpu *vcpu)
{
	uint8_t vector[VECTOR_BYTES];
	int ret;

	cpu->vcpu = vcpu;
	cpu->sve = arm64_get_any(vcpu, V_ID(0), vector) < 0;
	ret = arm64_get_reg(vcpu, ARM64_CORE_REG(regs.pstate), &cpu->pstate);
	return ret < 0 ? ret : 0;
}

int arch_debug_get_registers(struct vcpu *vcpu, uint8_t *block)
{
	const struct debug_reg *reg;
	struct cpu cpu;
	size_t at;
	int ret = look(&cpu, vcpu);

	for (unsigned n = 0; ret >= 0 && (reg = debug_target_find(n, &at)); n++) {
		uint8_t value[REG_BYTES_MAX];

		ret = arm64_get_any(vcpu, place(reg->where, cpu.pstate, cpu.sve), value);
		if (ret >= 0)
			memcpy(block + at, value, debug_reg_copied(reg));
	}
	return ret < 0 ? ret : 0;
}

/* Only what differs: KVM does not accept every value that it returns. */
static int set_register(const struct cpu *cpu, const struct debug_reg *reg, const uint8_t *wanted)
{
	uint64_t id = place(reg->where, cpu->pstate, cpu->sve);
	uint8_t value[REG_BYTES_MAX];
	int ret = arm64_get_any(cpu->vcpu, id, value);

	if (ret < 0 || !memcmp(value, wanted, debug_reg_copied(reg)))
		return ret;
	memcpy(value, wanted, debug_reg_copied(reg));
	return arm64_set_any(cpu->vcpu, id, value);
}

int arch_debug_set_registers(struct vcpu *vcpu, const uint8_t *block)
{
	const struct debug_reg *reg;
	struct cpu cpu;
	size_t at;
	int ret = look(&cpu, vcpu);

	for (unsigned n = 0; ret >= 0 && (reg = debug_target_find(n, &at)); n++)
		ret = set_register(&cpu, reg, block + at);
	return ret < 0 ? ret : 0;
}
