/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gdb's registers of an amd64 CPU, in the order of its target description, and where KVM keeps
 * each. (gdb manual, appendix G.5.3: features org.gnu.gdb.i386.*)
 */
#include "arch/debug.h"
#include "arch/debug_target.h"
#include "x86.h"

#include <string.h>

#define MSR_KERNEL_GS_BASE 0xc0000102

/* The state of a vCPU from KVM, and values derived from it. */
struct cpu_state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_fpu fpu;
	uint64_t kernel_gs_base;
	uint16_t tags; /* of the x87 stack, two bits each; KVM has one bit each */
	uint32_t zero;
};

#define SIZE(member) sizeof(((struct cpu_state *)0)->member)
#define REG(name, type, bits, member)                                                              \
	{ name, type, bits, SIZE(member), offsetof(struct cpu_state, member) }
#define R64(name) REG(#name, NULL, 64, regs.name)
#define SEGMENT(name) REG(#name, NULL, 32, sregs.name.selector)
#define ST(n) { "st" #n, "i387_ext", 80, 10, offsetof(struct cpu_state, fpu.fpr[n]) }
#define XMM(n) REG("xmm" #n, "vec128", 128, fpu.xmm[n])

static const struct debug_reg core_regs[] = {
	R64(rax),
	R64(rbx),
	R64(rcx),
	R64(rdx),
	R64(rsi),
	R64(rdi),
	REG("rbp", "data_ptr", 64, regs.rbp),
	REG("rsp", "data_ptr", 64, regs.rsp),
	R64(r8),
	R64(r9),
	R64(r10),
	R64(r11),
	R64(r12),
	R64(r13),
	R64(r14),
	R64(r15),
	REG("rip", "code_ptr", 64, regs.rip),
	REG("eflags", "eflags", 32, regs.rflags),
	SEGMENT(cs),
	SEGMENT(ss),
	SEGMENT(ds),
	SEGMENT(es),
	SEGMENT(fs),
	SEGMENT(gs),
	ST(0),
	ST(1),
	ST(2),
	ST(3),
	ST(4),
	ST(5),
	ST(6),
	ST(7),
	REG("fctrl", NULL, 32, fpu.fcw),
	REG("fstat", NULL, 32, fpu.fsw),
	REG("ftag", NULL, 32, tags),
	/* In 64-bit mode there are no segments of the last instruction and operand. */
	REG("fiseg", NULL, 32, zero),
	REG("fioff", NULL, 32, fpu.last_ip),
	REG("foseg", NULL, 32, zero),
	REG("fooff", NULL, 32, fpu.last_dp),
	REG("fop", NULL, 32, fpu.last_opcode),
};

static const struct debug_reg sse_regs[] = {
	XMM(0),	 XMM(1),  XMM(2),  XMM(3),  XMM(4),  XMM(5),  XMM(6),  XMM(7),
	XMM(8),	 XMM(9),  XMM(10), XMM(11), XMM(12), XMM(13), XMM(14), XMM(15),
	REG("mxcsr", "i386_mxcsr", 32, fpu.mxcsr),
};

static const struct debug_reg segment_regs[] = {
	REG("fs_base", NULL, 64, sregs.fs.base),
	REG("gs_base", NULL, 64, sregs.gs.base),
};

static const struct debug_reg system_regs[] = {
	REG("k_gs_base", NULL, 64, kernel_gs_base),
	REG("cr0", NULL, 64, sregs.cr0),
	REG("cr2", NULL, 64, sregs.cr2),
	REG("cr3", NULL, 64, sregs.cr3),
	REG("cr4", NULL, 64, sregs.cr4),
	REG("cr8", NULL, 64, sregs.cr8),
	REG("efer", NULL, 64, sregs.efer),
	REG("gdtr_base", NULL, 64, sregs.gdt.base),
	REG("idtr_base", NULL, 64, sregs.idt.base),
};

static const char core_types[] =
	"<flags id=\"eflags\" size=\"4\">"
	"<field name=\"CF\" start=\"0\" end=\"0\"/><field name=\"PF\" start=\"2\" end=\"2\"/>"
	"<field name=\"AF\" start=\"4\" end=\"4\"/><field name=\"ZF\" start=\"6\" end=\"6\"/>"
	"<field name=\"SF\" start=\"7\" end=\"7\"/><field name=\"TF\" start=\"8\" end=\"8\"/>"
	"<field name=\"IF\" start=\"9\" end=\"9\"/><field name=\"DF\" start=\"10\" end=\"10\"/>"
	"<field name=\"OF\" start=\"11\" end=\"11\"/><field name=\"NT\" start=\"14\" end=\"14\"/>"
	"<field name=\"RF\" start=\"16\" end=\"16\"/><field name=\"VM\" start=\"17\" end=\"17\"/>"
	"<field name=\"AC\" start=\"18\" end=\"18\"/></flags>";

static const char sse_types[] =
	"<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
	"<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
	"<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>"
	"<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
	"<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>"
	"<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
	"<union id=\"vec128\"><field name=\"v4_float\" type=\"v4f\"/>"
	"<field name=\"v2_double\" type=\"v2d\"/><field name=\"v16_int8\" type=\"v16i8\"/>"
	"<field name=\"v8_int16\" type=\"v8i16\"/><field name=\"v4_int32\" type=\"v4i32\"/>"
	"<field name=\"v2_int64\" type=\"v2i64\"/><field name=\"uint128\" type=\"uint128\"/></union>"
	"<flags id=\"i386_mxcsr\" size=\"4\"><field name=\"IE\" start=\"0\" end=\"0\"/>"
	"<field name=\"DE\" start=\"1\" end=\"1\"/><field name=\"ZE\" start=\"2\" end=\"2\"/>"
	"<field name=\"OE\" start=\"3\" end=\"3\"/><field name=\"UE\" start=\"4\" end=\"4\"/>"
	"<field name=\"PE\" start=\"5\" end=\"5\"/></flags>";

static const struct debug_feature features[] = {
	{ "org.gnu.gdb.i386.core", core_types, core_regs, ARRAY_SIZE(core_regs) },
	{ "org.gnu.gdb.i386.sse", sse_types, sse_regs, ARRAY_SIZE(sse_regs) },
	{ "org.gnu.gdb.i386.segments", "", segment_regs, ARRAY_SIZE(segment_regs) },
	{ "org.kinglet.x86.system", "", system_regs, ARRAY_SIZE(system_regs) },
};

const struct debug_target arch_debug_target = { "i386:x86-64", features, ARRAY_SIZE(features) };

static int read_state(struct vcpu *vcpu, struct cpu_state *state)
{
	int ret;

	*state = (struct cpu_state){ 0 };
	ret = vcpu_ioctl(vcpu, KVM_GET_REGS, &state->regs);
	if (ret >= 0)
		ret = vcpu_ioctl(vcpu, KVM_GET_SREGS, &state->sregs);
	if (ret >= 0)
		ret = vcpu_ioctl(vcpu, KVM_GET_FPU, &state->fpu);
	if (ret >= 0)
		ret = x86_msr(vcpu, KVM_GET_MSRS, MSR_KERNEL_GS_BASE,
			      &state->kernel_gs_base);
	/*
	 * FXSAVE keeps one bit for "not empty"; gdb expects 3 for empty and computes the rest
	 * itself.
	 */
	for (unsigned i = 0; i < 8; i++)
		if (!(state->fpu.ftwx >> i & 1))
			state->tags |= (uint16_t)(3u << 2 * i);
	return ret < 0 ? ret : 0;
}

/* Only what differs: setting a part, even to its current value, has side effects. */
static int write_state(struct vcpu *vcpu, const struct cpu_state *old, struct cpu_state *state)
{
	int ret = 0;

	state->fpu.ftwx = 0;
	for (unsigned i = 0; i < 8; i++)
		if ((state->tags >> 2 * i & 3) != 3)
			state->fpu.ftwx |= (uint8_t)(1u << i);
	if (memcmp(&old->sregs, &state->sregs, sizeof(old->sregs)) != 0)
		ret = vcpu_ioctl(vcpu, KVM_SET_SREGS, &state->sregs);
	if (ret >= 0 && memcmp(&old->regs, &state->regs, sizeof(old->regs)) != 0)
		ret = vcpu_ioctl(vcpu, KVM_SET_REGS, &state->regs);
	if (ret >= 0 && memcmp(&old->fpu, &state->fpu, sizeof(old->fpu)) != 0)
		ret = vcpu_ioctl(vcpu, KVM_SET_FPU, &state->fpu);
	if (ret >= 0 && old->kernel_gs_base != state->kernel_gs_base)
		ret = x86_msr(vcpu, KVM_SET_MSRS, MSR_KERNEL_GS_BASE,
			      &state->kernel_gs_base);
	return ret < 0 ? ret : 0;
}

int arch_debug_get_registers(struct vcpu *vcpu, uint8_t *block)
{
	struct cpu_state state;
	const struct debug_reg *reg;
	size_t at;
	int ret = read_state(vcpu, &state);

	if (ret < 0)
		return ret;
	memset(block, 0, arch_debug_registers_size());
	for (unsigned n = 0; (reg = debug_target_find(n, &at)); n++)
		memcpy(block + at, (const char *)&state + reg->where, debug_reg_copied(reg));
	return 0;
}

int arch_debug_set_registers(struct vcpu *vcpu, const uint8_t *block)
{
	struct cpu_state old, state;
	const struct debug_reg *reg;
	size_t at;
	int ret = read_state(vcpu, &old);

	if (ret < 0)
		return ret;
	state = old;
	for (unsigned n = 0; (reg = debug_target_find(n, &at)); n++)
		memcpy((char *)&state + reg->where, block + at, debug_reg_copied(reg));
	return write_state(vcpu, &old, &state);
}
