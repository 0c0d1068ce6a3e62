/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a debugger needs from an architecture: registers in gdb's order, addresses, breakpoints.
 *
 * Every function except arch_debug_event() needs a vCPU that is parked, has ended or was never
 * started, and runs on the thread that pauses it.
 */
#ifndef KINGLET_ARCH_DEBUG_H
#define KINGLET_ARCH_DEBUG_H

#include "core/memory.h"
#include "core/vcpu.h"

enum {
	ARCH_DEBUG_REGISTERS_MAX = 1024, /* bytes of all registers */
	ARCH_DEBUG_TARGET_MAX = 8192,	 /* bytes of the target description */
	ARCH_DEBUG_TRAP_MAX = 4,	 /* bytes of the trap instruction */
};

/*
 * Writes gdb's target description (gdb manual, appendix G), with a NUL, at most
 * ARCH_DEBUG_TARGET_MAX bytes. Its registers, in this order, form the register block of the other
 * functions.
 */
void arch_debug_describe(char *text, size_t len);

/* Where register `number` is in the block, in bytes; false when there is none. */
bool arch_debug_register(unsigned number, size_t *offset, size_t *size);

/*
 * The block is arch_debug_registers_size() bytes, at most ARCH_DEBUG_REGISTERS_MAX. Negative errno.
 */
size_t arch_debug_registers_size(void);
__must_check int arch_debug_get_registers(struct vcpu *vcpu, uint8_t *block);
__must_check int arch_debug_set_registers(struct vcpu *vcpu, const uint8_t *block);

/*
 * Guest-virtual to guest-physical by the vCPU's own page tables, which are in mem. -EFAULT when it
 * is not mapped.
 */
__must_check int arch_debug_translate(const struct gmem *mem, struct vcpu *vcpu, uint64_t address,
				      uint64_t *gpa);

/* The instruction of a software breakpoint; its length in bytes. */
unsigned arch_debug_trap(uint8_t bytes[ARCH_DEBUG_TRAP_MAX]);

/* Makes vCPUs fetch the code that this process has just written to guest RAM at `code`. */
void arch_debug_wrote(const void *code, size_t len);

enum arch_debug_kind { ARCH_DEBUG_EXECUTE, ARCH_DEBUG_WRITE, ARCH_DEBUG_ACCESS };

/* A hardware breakpoint or watchpoint, at guest-virtual addresses. */
struct arch_debug_point {
	enum arch_debug_kind kind;
	uint64_t address;
	uint64_t len; /* watched bytes */
};

/* Whether the CPU supports this number of points at these addresses. */
bool arch_debug_points_fit(struct vcpu *vcpu, const struct arch_debug_point *points,
			   unsigned count);

enum arch_debug_reinject { ARCH_DEBUG_REINJECT_NONE, ARCH_DEBUG_REINJECT_TRAP, ARCH_DEBUG_REINJECT_DEBUG };

/* All zeroes: the vCPU is not debugged. */
struct arch_debug_control {
	bool step;  /* one instruction; without interrupts in between, where KVM can */
	bool traps; /* trap instructions go to the debugger */
	enum arch_debug_reinject reinject; /* an exception for the guest itself, to inject */
	const struct arch_debug_point *points; /* they fit */
	unsigned count;
	/* For a step. The note is private to the architecture, one per vCPU, initially 0. */
	const struct gmem *mem;
	uint64_t *note;
};

/* From the next vcpu_resume() on. Negative errno. */
__must_check int arch_debug_control(struct vcpu *vcpu, const struct arch_debug_control *control);

/*
 * Undoes the changes of arch_debug_control() to the vCPU's registers for a step, completed or not.
 * To be called each time the vCPU has stopped, before its registers are read. A reset undoes them
 * too: then set the note to 0. Negative errno.
 */
__must_check int arch_debug_stopped(struct vcpu *vcpu, uint64_t *note);

/* The reason of a KVM_EXIT_DEBUG. */
struct arch_debug_event {
	bool trap; /* a trap instruction */
	bool step;
	uint64_t pc;
	int point; /* the index of the point that was hit, or -1 */
};

/* In vcpu_ops.debugged(). `points` are those of arch_debug_control(). vCPU thread. */
void arch_debug_event(struct vcpu *vcpu, const struct arch_debug_point *points, unsigned count,
		      struct arch_debug_event *event);

#endif
