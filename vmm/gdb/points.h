/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A debugger's breakpoints and watchpoints, and its view of guest memory. Loop thread, with the
 * vCPUs stopped.
 */
#ifndef KINGLET_GDB_POINTS_H
#define KINGLET_GDB_POINTS_H

#include "arch/debug.h"
#include "core/memory.h"

enum { GDB_POINTS_MAX = 64 };

/* The numbers of gdb's packets Z and z. */
enum gdb_point_type {
	GDB_POINT_SOFT,
	GDB_POINT_HARD,
	GDB_POINT_WRITE,
	GDB_POINT_READ,
	GDB_POINT_ACCESS,
};

struct gdb_point {
	enum gdb_point_type type;
	uint64_t address, len; /* guest-virtual */
	bool patched;	       /* a trap instruction at gpa; else a hardware breakpoint */
	uint64_t gpa;
	uint8_t saved[ARCH_DEBUG_TRAP_MAX];
};

/* Initially all zeroes. */
struct gdb_points {
	struct gdb_point points[GDB_POINTS_MAX];
	unsigned count;
	struct arch_debug_point hard[GDB_POINTS_MAX]; /* of points that are not patched */
	unsigned hard_count;
	bool in_memory; /* the trap instructions are in place */
};

/*
 * A software breakpoint is an instruction in memory, or, if the address is not mapped yet, a
 * hardware breakpoint, while any is free. 0, also if it already exists; -EOPNOTSUPP for a type that
 * no CPU supports, -EFAULT, or -ENOSPC.
 */
__must_check int gdb_points_add(struct gdb_points *points, const struct gmem *mem, struct vcpu *vcpu,
				enum gdb_point_type type, uint64_t address, uint64_t len);
/* Does nothing if it does not exist. */
void gdb_points_remove(struct gdb_points *points, enum gdb_point_type type, uint64_t address,
		       uint64_t len);

/*
 * Puts trap instructions into memory, before vCPUs run, and takes them out again, so that
 * nothing else sees them.
 */
void gdb_points_insert(struct gdb_points *points, const struct gmem *mem);
void gdb_points_take_out(struct gdb_points *points, const struct gmem *mem);

bool gdb_points_have_traps(const struct gdb_points *points);
/* The point of an event, or NULL: the event is for the guest itself. */
const struct gdb_point *gdb_points_find(const struct gdb_points *points,
					const struct arch_debug_event *event);

/*
 * Copies between `data` and guest-virtual memory through the vCPU's page tables; RAM only. Returns
 * the bytes copied, up to the end of mapped RAM, or -EFAULT if there are none.
 */
__must_check int gdb_memory_read(const struct gmem *mem, struct vcpu *vcpu, uint64_t address,
				 void *data, size_t len);
__must_check int gdb_memory_write(const struct gmem *mem, struct vcpu *vcpu, uint64_t address,
				  const void *data, size_t len);

#endif
