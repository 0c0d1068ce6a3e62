/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A debugger on the machine: gdb's remote protocol over the vCPUs and guest RAM. It does no I/O
 * (server.c does) and knows nothing of the architecture (arch/debug.h does).
 *
 * All-stop: every vCPU is a thread, numbered from 1; when one hits a breakpoint, all stop. Guest
 * RAM holds trap instructions only while vCPUs run. A guest that is reset within the process stops
 * again before its first instruction, without breakpoints.
 *
 * Loop thread, except for gdb_vcpu_debugged().
 */
#ifndef KINGLET_GDB_GDB_H
#define KINGLET_GDB_GDB_H

#include "core/memory.h"
#include "core/vcpu.h"
#include "machine/observer.h"
#include "packet.h"

enum { GDB_SEND_MAX = 2 * GDB_FRAME_MAX + 16 };

struct gdb_ops {
	/* To the debugger: GDB_SEND_MAX bytes at most before gdb_take() is called again. */
	void (*send)(void *owner, const char *data, size_t len);
	/* Wakes the loop, which calls gdb_look(). vCPU thread. */
	void (*wake)(void *owner);
	/*
	 * The debugger detaches, or kills the guest; the connection ends once everything is sent.
	 */
	void (*leaves)(void *owner);
};

struct gdb_options {
	/* Uses its vCPUs, which are not started yet, memory and operations; borrowed. */
	const struct machine_parts *parts;
	bool wait; /* the vCPUs wait until a debugger resumes them */
	const struct gdb_ops *ops;
	void *owner;
};

struct gdb;

/* -ENOMEM. */
__must_check int gdb_new(struct gdb **gdb, const struct gdb_options *options);
/* The vCPUs are stopped. NULL is allowed. */
void gdb_free(struct gdb *gdb);

/* A debugger has connected: stops all vCPUs. */
void gdb_attach(struct gdb *gdb);
/* Whether there is a debugger, or the vCPUs wait for one. */
bool gdb_holds(const struct gdb *gdb);
/* A byte from the debugger, untrusted. */
void gdb_take(struct gdb *gdb, uint8_t byte);
/* The connection is lost: breakpoints are removed, and the guest runs on. */
void gdb_hang_up(struct gdb *gdb);

/* vcpu_ops.debugged(). vCPU thread. */
void gdb_vcpu_debugged(struct gdb *gdb, struct vcpu *vcpu);
/* A vCPU may have hit a breakpoint. */
void gdb_look(struct gdb *gdb);

/* The machine was reset and its vCPUs are stopped: before, and after they are started again. */
void gdb_restarting(struct gdb *gdb);
void gdb_restarted(struct gdb *gdb);
/* The run is over, with this exit status. */
void gdb_ended(struct gdb *gdb, int status);

#endif
