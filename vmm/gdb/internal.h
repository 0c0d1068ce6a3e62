/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the debugger. */
#ifndef KINGLET_GDB_INTERNAL_H
#define KINGLET_GDB_INTERNAL_H

#include "gdb.h"
#include "packet.h"
#include "points.h"

enum gdb_action { GDB_STAY, GDB_RUN, GDB_STEP };

enum { GDB_SIGINT = 2, GDB_SIGTRAP = 5 };

struct gdb_vcpu {
	enum gdb_action action; /* of the next, or the last, gdb_resume() */
	bool running;
	enum arch_debug_reinject reinject; /* at the next gdb_resume() */
	uint64_t note; /* of a step: arch_debug_stopped() */
	_Atomic bool hit; /* set by the vCPU after `event`, cleared when that is dealt with */
	struct arch_debug_event event;
};

struct gdb {
	struct gdb_options options;
	struct gdb_vcpu *vcpus; /* owned */
	struct gdb_points points;
	bool attached, running;
	bool no_ack;
	bool tells_breaks; /* the debugger supports the stop reasons swbreak and hwbreak */
	unsigned current;  /* the vCPU that packets refer to */
	unsigned listed;   /* threads reported to the debugger */
	struct gdb_parser parser;
	char stop[128];		   /* the stop reason, as a packet */
	char frame[GDB_FRAME_MAX]; /* the last one, for retransmission */
	size_t frame_len;
	char target[ARCH_DEBUG_TARGET_MAX];
};

static inline struct vcpu *gdb_vcpu(struct gdb *gdb, unsigned index)
{
	return &gdb->options.parts->vcpus[index];
}

/* --- run.c --- */

void gdb_send(struct gdb *gdb, const struct gdb_reply *reply);

/* Stops all vCPUs and removes trap instructions from RAM. */
void gdb_stop(struct gdb *gdb);
/* Resumes the vCPUs with their actions. On a negative errno all are stopped. */
__must_check int gdb_resume(struct gdb *gdb);
/*
 * Stops, and reports the reason to the debugger: a breakpoint if one was hit meanwhile, else this
 * signal.
 */
void gdb_interrupt(struct gdb *gdb, unsigned signal);
/* Removes breakpoints and resumes everything. */
void gdb_let_go(struct gdb *gdb);
/* Stores the stop reason. */
void gdb_set_stop(struct gdb *gdb, unsigned index, unsigned signal, const char *reason);

/* --- commands.c --- */

/* Executes the packet in gdb->parser; false: no reply now. */
bool gdb_obey(struct gdb *gdb, struct gdb_reply *reply);

#endif
