/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps without interrupts. A vCPU that was stopped for a while has a pending timer interrupt, and
 * a step would end in its handler: each "continue" from a breakpoint would return to it. KVM cannot
 * block interrupts for a step on arm64, so they are masked in the vCPU's PSTATE.
 */
#include "debug_step.h"

#include "regs.h"

#include <asm/ptrace.h>

#define MASKS (uint64_t)(PSR_I_BIT | PSR_F_BIT)
/* Arm ARM D1.10: sixteen vectors. */
#define VECTORS_BYTES 0x800
#define VECTOR_BYTES 0x80

/*
 * The note: the address of the stepped instruction, a multiple of 4, with the masks in the low
 * bits.
 */
#define NOTE_MASKS 3ULL
#define NOTE_SHIFT 6
_Static_assert(NOTE_MASKS << NOTE_SHIFT == MASKS, "I and F are side by side");

struct pattern {
	uint32_t mask, value;
};

/*
 * Arm ARM C6: instructions that read or write the masks, or change the exception level. A step over
 * one of these may take an interrupt.
 */
static const struct pattern mask_users[] = {
	{ 0xffffffe0, 0xd53b4220 }, /* MRS Xt, DAIF */
	{ 0xffffffe0, 0xd51b4220 }, /* MSR DAIF, Xt */
	{ 0xfffff0df, 0xd50340df }, /* MSR DAIFSet and DAIFClr */
	{ 0xfffff3e0, 0xd69f03e0 }, /* ERET, ERETAA, ERETAB */
	{ 0xff000000, 0xd4000000 }, /* SVC, HVC, SMC, BRK, HLT */
};

/* Also true if the instruction cannot be read. */
static bool uses_masks(const struct gmem *mem, struct vcpu *vcpu, uint64_t pc)
{
	uint32_t instruction;
	uint64_t gpa;

	if (pc % sizeof(instruction) || arch_debug_translate(mem, vcpu, pc, &gpa) < 0 ||
	    gmem_read(mem, gpa, &instruction, sizeof(instruction)))
		return true;
	for (unsigned i = 0; i < ARRAY_SIZE(mask_users); i++)
		if ((instruction & mask_users[i].mask) == mask_users[i].value)
			return true;
	return false;
}

int debug_step_mask(const struct gmem *mem, struct vcpu *vcpu, uint64_t *note)
{
	uint64_t pc, pstate, added;
	int ret = arm64_get_reg(vcpu, ARM64_CORE_REG(regs.pc), &pc);

	if (ret >= 0)
		ret = arm64_get_reg(vcpu, ARM64_CORE_REG(regs.pstate), &pstate);
	if (ret < 0)
		return ret;
	added = MASKS & ~pstate;
	if (!added || uses_masks(mem, vcpu, pc))
		return 0;
	ret = arm64_set_reg(vcpu, ARM64_CORE_REG(regs.pstate), pstate | added);
	if (ret < 0)
		return ret;
	*note = pc | added >> NOTE_SHIFT;
	return 0;
}

static int clear_bits(struct vcpu *vcpu, uint64_t id, uint64_t bits)
{
	uint64_t value;
	int ret = arm64_get_reg(vcpu, id, &value);

	return ret < 0 ? ret : arm64_set_reg(vcpu, id, value & ~bits);
}

/* The instruction at `from` took an exception: the vCPU is at a vector that returns there. */
static int took_exception(struct vcpu *vcpu, uint64_t from, bool *took)
{
	uint64_t pc, vbar, elr, offset;
	int ret = arm64_get_reg(vcpu, ARM64_CORE_REG(regs.pc), &pc);

	if (ret >= 0)
		ret = arm64_get_reg(vcpu, ARM64_VBAR_EL1, &vbar);
	if (ret >= 0)
		ret = arm64_get_reg(vcpu, ARM64_CORE_REG(elr_el1), &elr);
	if (ret < 0)
		return ret;
	offset = pc - vbar;
	*took = offset < VECTORS_BYTES && offset % VECTOR_BYTES == 0 && elr == from;
	return 0;
}

/* An exception has saved the masks in SPSR; those in PSTATE then belong to its handler. */
int arch_debug_stopped(struct vcpu *vcpu, uint64_t *note)
{
	bool took;
	int ret;

	if (!*note)
		return 0;
	ret = took_exception(vcpu, *note & ~NOTE_MASKS, &took);
	if (ret >= 0)
		ret = clear_bits(vcpu, took ? ARM64_SPSR_EL1 : ARM64_CORE_REG(regs.pstate),
				 (*note & NOTE_MASKS) << NOTE_SHIFT);
	if (ret >= 0)
		*note = 0;
	return ret;
}
