/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breakpoints and single steps. (KVM api.rst 4.87; Arm ARM DDI 0487: D2 debug exceptions, D13.2.37
 * their syndromes)
 */
#include "debug_step.h"

#include "base/cleanup.h"
#include "regs.h"

#include <asm/ptrace.h>
#include <string.h>

enum {
	WORD_BYTES = 8, /* a watchpoint register selects some of them */
	EC_BREAKPOINT = 0x30,
	EC_STEP = 0x32,
	EC_WATCHPOINT = 0x34,
	EC_TRAP32 = 0x38,
	EC_TRAP = 0x3c,
};

#define ESR_EC_SHIFT 26
/* DBGBCR and DBGWCR: enabled, at EL0 and EL1; which bytes; loads, stores. */
#define CONTROL_ENABLE (1u | 3u << 1)
#define CONTROL_BYTES(mask) ((uint64_t)(mask) << 5)
#define CONTROL_LOAD (1u << 3)
#define CONTROL_STORE (2u << 3)

/* What the registers watch, and the point of each. */
struct slots {
	struct kvm_guest_debug_arch regs;
	unsigned breaks, watches;
	unsigned break_point[KVM_ARM_MAX_DBG_REGS], watch_point[KVM_ARM_MAX_DBG_REGS];
};

static bool add_break(struct slots *slots, uint64_t address, unsigned point)
{
	if (address % 4 || slots->breaks == KVM_ARM_MAX_DBG_REGS)
		return false;
	slots->regs.dbg_bvr[slots->breaks] = address;
	slots->regs.dbg_bcr[slots->breaks] = CONTROL_ENABLE | CONTROL_BYTES(0xf);
	slots->break_point[slots->breaks++] = point;
	return true;
}

/* Bytes of one aligned word. */
static bool add_watch(struct slots *slots, uint64_t address, unsigned len, uint64_t kind,
		      unsigned point)
{
	unsigned mask = ((1u << len) - 1) << address % WORD_BYTES;

	if (slots->watches == KVM_ARM_MAX_DBG_REGS)
		return false;
	slots->regs.dbg_wvr[slots->watches] = address - address % WORD_BYTES;
	slots->regs.dbg_wcr[slots->watches] = CONTROL_ENABLE | kind | CONTROL_BYTES(mask);
	slots->watch_point[slots->watches++] = point;
	return true;
}

static bool add_watches(struct slots *slots, const struct arch_debug_point *point, unsigned index)
{
	uint64_t kind = point->kind == ARCH_DEBUG_WRITE ? CONTROL_STORE :
							  CONTROL_STORE | CONTROL_LOAD;
	uint64_t address = point->address, left = point->len;

	if (!left)
		return false;
	while (left) {
		uint64_t len = WORD_BYTES - address % WORD_BYTES;

		if (len > left)
			len = left;
		if (!add_watch(slots, address, (unsigned)len, kind, index))
			return false;
		address += len;
		left -= len;
	}
	return true;
}

/* False: more than the possible number of registers. */
static bool make_slots(const struct arch_debug_point *points, unsigned count, struct slots *slots)
{
	*slots = (struct slots){ .breaks = 0 };
	for (unsigned i = 0; i < count; i++)
		if (points[i].kind == ARCH_DEBUG_EXECUTE ?
			    !add_break(slots, points[i].address, i) :
			    !add_watches(slots, &points[i], i))
			return false;
	return true;
}

bool arch_debug_points_fit(struct vcpu *vcpu, const struct arch_debug_point *points,
			   unsigned count)
{
	int breaks = kvm_check_extension(vcpu->kvm, KVM_CAP_GUEST_DEBUG_HW_BPS);
	int watches = kvm_check_extension(vcpu->kvm, KVM_CAP_GUEST_DEBUG_HW_WPS);
	struct slots slots;

	return make_slots(points, count, &slots) && slots.breaks <= (unsigned)breaks &&
	       slots.watches <= (unsigned)watches;
}

/* --- Reinjecting an exception of the guest ---------------------------------------------------- */

/* Arm ARM D1.10.2: the vector of a synchronous exception. */
static uint64_t vector_of(uint64_t pstate)
{
	if (pstate & PSR_MODE32_BIT)
		return 0x600;
	switch (pstate & PSR_MODE_MASK) {
	case PSR_MODE_EL1h:
		return 0x200;
	case PSR_MODE_EL1t:
		return 0;
	default:
		return 0x400;
	}
}

#define SCTLR_SPAN (1ULL << 23)
#define SCTLR_DSSBS (1ULL << 44)
#define PSTATE_SSBS (1ULL << 12)
#define PSTATE_DIT (1ULL << 24)
#define PSTATE_KEPT                                                                                \
	(PSR_N_BIT | PSR_Z_BIT | PSR_C_BIT | PSR_V_BIT | PSR_PAN_BIT | PSTATE_DIT)

/* Arm ARM D1.10.1: at the entry to EL1. */
static uint64_t pstate_at_entry(uint64_t pstate, uint64_t sctlr)
{
	uint64_t entry = pstate & PSTATE_KEPT;

	if (!(sctlr & SCTLR_SPAN))
		entry |= PSR_PAN_BIT;
	if (sctlr & SCTLR_DSSBS)
		entry |= PSTATE_SSBS;
	return entry | PSR_D_BIT | PSR_A_BIT | PSR_I_BIT | PSR_F_BIT | PSR_MODE_EL1h;
}

/*
 * The syndrome for EL1. KVM has that of EL2; debug exceptions, but not traps, have another class
 * when they are taken from the same exception level.
 */
static uint64_t syndrome_at_entry(uint32_t syndrome, uint64_t pstate)
{
	uint32_t class = syndrome >> ESR_EC_SHIFT;
	bool same_level = !(pstate & PSR_MODE32_BIT) && pstate & PSR_MODE_EL1t;

	return class < EC_TRAP32 && same_level ? syndrome + (1u << ESR_EC_SHIFT) : syndrome;
}

/* KVM cannot inject it into a vCPU, so this sets the registers as the CPU would. */
static int reinject(struct vcpu *vcpu)
{
	const struct kvm_debug_exit_arch *exit = &vcpu->run->debug.arch;
	uint64_t pc, pstate, sctlr, vbar;
	int ret = arm64_get_reg(vcpu, ARM64_CORE_REG(regs.pc), &pc);

	if (ret >= 0)
		ret = arm64_get_reg(vcpu, ARM64_CORE_REG(regs.pstate), &pstate);
	if (ret >= 0)
		ret = arm64_get_reg(vcpu, ARM64_SCTLR_EL1, &sctlr);
	if (ret >= 0)
		ret = arm64_get_reg(vcpu, ARM64_VBAR_EL1, &vbar);
	if (ret < 0)
		return ret;
	if (exit->hsr >> ESR_EC_SHIFT == EC_WATCHPOINT)
		ret = arm64_set_reg(vcpu, ARM64_FAR_EL1, exit->far);
	if (ret >= 0)
		ret = arm64_set_reg(vcpu, ARM64_ESR_EL1, syndrome_at_entry(exit->hsr, pstate));
	if (ret >= 0)
		ret = arm64_set_reg(vcpu, ARM64_CORE_REG(elr_el1), pc);
	if (ret >= 0)
		ret = arm64_set_reg(vcpu, ARM64_SPSR_EL1, pstate);
	if (ret >= 0)
		ret = arm64_set_reg(vcpu, ARM64_CORE_REG(regs.pstate),
				    pstate_at_entry(pstate, sctlr));
	if (ret >= 0)
		ret = arm64_set_reg(vcpu, ARM64_CORE_REG(regs.pc), vbar + vector_of(pstate));
	return ret;
}

int arch_debug_control(struct vcpu *vcpu, const struct arch_debug_control *control)
{
	struct kvm_guest_debug debug = { 0 };
	struct slots slots;
	int ret = control->reinject == ARCH_DEBUG_REINJECT_NONE ? 0 : reinject(vcpu);

	if (ret >= 0 && control->step)
		ret = debug_step_mask(control->mem, vcpu, control->note);
	if (ret < 0)
		return ret;
	if (control->step)
		debug.control |= KVM_GUESTDBG_SINGLESTEP;
	if (control->traps)
		debug.control |= KVM_GUESTDBG_USE_SW_BP;
	if (control->count && make_slots(control->points, control->count, &slots)) {
		debug.control |= KVM_GUESTDBG_USE_HW;
		debug.arch = slots.regs;
	}
	if (debug.control)
		debug.control |= KVM_GUESTDBG_ENABLE;
	return vcpu_ioctl(vcpu, KVM_SET_GUEST_DEBUG, &debug);
}

/* --- Why it stopped --------------------------------------------------------------------------- */

static int find_break(const struct slots *slots, uint64_t pc)
{
	for (unsigned i = 0; i < slots->breaks; i++)
		if (slots->regs.dbg_bvr[i] == pc)
			return (int)slots->break_point[i];
	return -1;
}

/*
 * The nearest: the CPU reports the address of the access, which may begin before the watched range.
 * (Arm ARM D2.10.5)
 */
static int find_watch(const struct slots *slots, uint64_t address)
{
	uint64_t nearest = UINT64_MAX;
	int point = -1;

	for (unsigned i = 0; i < slots->watches; i++) {
		uint64_t word = slots->regs.dbg_wvr[i];
		uint64_t away = address < word		    ? word - address :
				address - word < WORD_BYTES ? 0 :
							      address - word - WORD_BYTES + 1;

		if (away < nearest) {
			nearest = away;
			point = (int)slots->watch_point[i];
		}
	}
	return point;
}

void arch_debug_event(struct vcpu *vcpu, const struct arch_debug_point *points, unsigned count,
		      struct arch_debug_event *event)
{
	const struct kvm_debug_exit_arch *exit = &vcpu->run->debug.arch;
	struct slots slots;

	*event = (struct arch_debug_event){ .point = -1 };
	if (arm64_get_reg(vcpu, ARM64_CORE_REG(regs.pc), &event->pc) < 0 ||
	    !make_slots(points, count, &slots))
		return;
	switch (exit->hsr >> ESR_EC_SHIFT) {
	case EC_TRAP:
	case EC_TRAP32:
		event->trap = true;
		break;
	case EC_STEP:
		event->step = true;
		break;
	case EC_BREAKPOINT:
		event->point = find_break(&slots, event->pc);
		break;
	case EC_WATCHPOINT:
		event->point = find_watch(&slots, exit->far);
		break;
	}
}

/* BRK #0 */
unsigned arch_debug_trap(uint8_t bytes[ARCH_DEBUG_TRAP_MAX])
{
	memcpy(bytes, (const uint8_t[]){ 0x00, 0x00, 0x20, 0xd4 }, 4);
	return 4;
}

/*
 * Cleans to memory, because a guest without MMU bypasses the caches; and invalidates the
 * instruction caches. (Arm ARM B2.4.4; no cache line is shorter)
 */
void arch_debug_wrote(const void *code, size_t len)
{
	enum { LINE = 16 };
	uintptr_t start = (uintptr_t)code & ~(uintptr_t)(LINE - 1), end = (uintptr_t)code + len;

	for (uintptr_t line = start; line < end; line += LINE)
		__asm__ volatile("dc civac, %0" : : "r"(line) : "memory");
	__asm__ volatile("dsb ish" : : : "memory");
	for (uintptr_t line = start; line < end; line += LINE)
		__asm__ volatile("ic ivau, %0" : : "r"(line) : "memory");
	__asm__ volatile("dsb ish\n\tisb" : : : "memory");
}
