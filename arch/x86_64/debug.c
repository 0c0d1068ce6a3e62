/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breakpoints and single steps. (KVM api.rst 4.87; Intel SDM vol. 3B §17.2, debug registers)
 */
#include "arch/debug.h"

#include "base/cleanup.h"

enum {
	SLOTS = 4, /* DR0 to DR3 */
	SLOT_BYTES = 8,
	EXCEPTION_DEBUG = 1,
};

#define DR6_SLOTS 0xfu
#define DR6_STEP (1u << 14)
#define DR7_FIXED 0x400u
#define DR7_EXACT 0x200u
#define DR7_GLOBAL(slot) (2u << 2 * (slot))
#define DR7_TYPE(slot, type) ((uint64_t)(type) << (16 + 4 * (slot)))
#define DR7_LEN(slot, len) ((uint64_t)(len) << (18 + 4 * (slot)))

/* The bits of DR7 for type and length. */
static const uint8_t type_bits[] = {
	[ARCH_DEBUG_EXECUTE] = 0, [ARCH_DEBUG_WRITE] = 1, [ARCH_DEBUG_ACCESS] = 3
};
static const uint8_t len_bits[] = { [1] = 0, [2] = 1, [4] = 3, [8] = 2 };

struct slot {
	uint64_t address;
	unsigned len; /* 1, 2, 4 or 8, and the address a multiple of it */
	unsigned point;
};

/*
 * Splits points into ranges for one debug register each. Returns the number of slots; SLOTS + 1:
 * too many.
 */
static unsigned make_slots(const struct arch_debug_point *points, unsigned count,
			   struct slot slots[SLOTS])
{
	unsigned used = 0;

	for (unsigned i = 0; i < count; i++) {
		bool execute = points[i].kind == ARCH_DEBUG_EXECUTE;
		uint64_t address = points[i].address;
		uint64_t left = execute ? 1 : points[i].len;

		if (!left || left > SLOTS * SLOT_BYTES)
			return SLOTS + 1;
		while (left) {
			unsigned len = SLOT_BYTES;

			while (len > left || address % len)
				len /= 2;
			if (used == SLOTS)
				return SLOTS + 1;
			slots[used++] = (struct slot){ address, len, i };
			address += len;
			left -= len;
		}
	}
	return used;
}

bool arch_debug_points_fit(struct vcpu *vcpu, const struct arch_debug_point *points,
			   unsigned count)
{
	struct slot slots[SLOTS];

	(void)vcpu; /* the same on every CPU */
	return make_slots(points, count, slots) <= SLOTS;
}

static void set_points(struct kvm_guest_debug *debug, const struct arch_debug_point *points,
		       unsigned count)
{
	struct slot slots[SLOTS];
	unsigned used = make_slots(points, count, slots);
	uint64_t dr7 = DR7_FIXED | DR7_EXACT;

	if (!used || used > SLOTS)
		return;
	for (unsigned i = 0; i < used; i++) {
		debug->arch.debugreg[i] = slots[i].address;
		dr7 |= DR7_GLOBAL(i) | DR7_TYPE(i, type_bits[points[slots[i].point].kind]) |
		       DR7_LEN(i, len_bits[slots[i].len]);
	}
	debug->arch.debugreg[7] = dr7;
	debug->control |= KVM_GUESTDBG_USE_HW_BP;
}

/*
 * Otherwise a pending interrupt would be taken before the instruction, and a step over a breakpoint
 * would end in its handler.
 */
static uint32_t step_bits(struct kvm *kvm)
{
	int can = kvm_check_extension(kvm, KVM_CAP_SET_GUEST_DEBUG2);

	return KVM_GUESTDBG_SINGLESTEP | ((uint32_t)can & KVM_GUESTDBG_BLOCKIRQ);
}

int arch_debug_control(struct vcpu *vcpu, const struct arch_debug_control *control)
{
	struct kvm_guest_debug debug = { 0 };

	if (control->step)
		debug.control |= step_bits(vcpu->kvm);
	if (control->traps)
		debug.control |= KVM_GUESTDBG_USE_SW_BP;
	if (control->reinject == ARCH_DEBUG_REINJECT_TRAP)
		debug.control |= KVM_GUESTDBG_INJECT_BP;
	if (control->reinject == ARCH_DEBUG_REINJECT_DEBUG)
		debug.control |= KVM_GUESTDBG_INJECT_DB;
	set_points(&debug, control->points, control->count);
	if (debug.control)
		debug.control |= KVM_GUESTDBG_ENABLE;
	return vcpu_ioctl(vcpu, KVM_SET_GUEST_DEBUG, &debug);
}

/* KVM blocks interrupts by itself. */
int arch_debug_stopped(struct vcpu *vcpu, uint64_t *note)
{
	(void)vcpu;
	(void)note;
	return 0;
}

void arch_debug_event(struct vcpu *vcpu, const struct arch_debug_point *points, unsigned count,
		      struct arch_debug_event *event)
{
	const struct kvm_debug_exit_arch *exit = &vcpu->run->debug.arch;
	struct slot slots[SLOTS];
	unsigned used = make_slots(points, count, slots);

	*event = (struct arch_debug_event){
		.trap = exit->exception != EXCEPTION_DEBUG, .pc = exit->pc, .point = -1
	};
	if (event->trap)
		return;
	event->step = exit->dr6 & DR6_STEP;
	for (unsigned i = 0; i < used && i < SLOTS && event->point < 0; i++)
		if (exit->dr6 & DR6_SLOTS & 1u << i)
			event->point = (int)slots[i].point;
}

int arch_debug_translate(const struct gmem *mem, struct vcpu *vcpu, uint64_t address,
			 uint64_t *gpa)
{
	struct kvm_translation translation = { .linear_address = address };
	int ret = vcpu_ioctl(vcpu, KVM_TRANSLATE, &translation);

	(void)mem; /* KVM walks the tables */
	if (ret < 0)
		return ret;
	if (!translation.valid)
		return -EFAULT;
	*gpa = translation.physical_address;
	return 0;
}

/* INT3 */
unsigned arch_debug_trap(uint8_t bytes[ARCH_DEBUG_TRAP_MAX])
{
	bytes[0] = 0xcc;
	return 1;
}

/* x86 instruction caches are coherent. */
void arch_debug_wrote(const void *code, size_t len)
{
	(void)code;
	(void)len;
}
