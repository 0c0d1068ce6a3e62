/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the debugger share. */
#ifndef KINGLET_GDB_INTERNAL_H
#define KINGLET_GDB_INTERNAL_H

#include "gdb.h"
#include "packet.h"
#include "points.h"

enum gdb_action { GDB_STAY, GDB_RUN, GDB_STEP };

enum { GDB_SIGINT = 2, GDB_SIGTRAP = 5 };

struct gdb_vcpu {
	enum gdb_action action; /* at the next, or the last, gdb_resume() */
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
	bool tells_breaks; /* the debugger knows the stop reasons swbreak and hwbreak */
	unsigned current;  /* the vCPU that packets are about */
	unsigned listed;   /* threads that the debugger has been told of */
	struct gdb_parser parser;
	char stop[128];		   /* why all stand still, as a packet */
	char frame[GDB_FRAME_MAX]; /* the last one, should it get lost */
	size_t frame_len;
	char target[ARCH_DEBUG_TARGET_MAX];
};

static inline struct vcpu *gdb_vcpu(struct gdb *gdb, unsigned index)
{
	return &gdb->options.parts->vcpus[index];
}

/* --- run.c --- */

void gdb_send(struct gdb *gdb, const struct gdb_reply *reply);

/* All vCPUs stand still, without trap instructions in RAM. */
void gdb_stop(struct gdb *gdb);
/* Lets the vCPUs go by their actions. Negative errno, and then all stand still. */
__must_check int gdb_resume(struct gdb *gdb);
/* Stops, and tells the debugger why: a breakpoint if one was met meanwhile, else this signal. */
void gdb_interrupt(struct gdb *gdb, unsigned signal);
/* No breakpoints; everything runs. */
void gdb_let_go(struct gdb *gdb);
/* Remembers why all stand still. */
void gdb_set_stop(struct gdb *gdb, unsigned index, unsigned signal, const char *reason);

/* --- commands.c --- */

/* Obeys the packet in gdb->parser; false: no reply now. */
bool gdb_obey(struct gdb *gdb, struct gdb_reply *reply);

#endif
