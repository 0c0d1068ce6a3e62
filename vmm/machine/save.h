/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine to a snapshot and back. Machine's thread. Private to vmm/machine.
 */
#ifndef KINGLET_MACHINE_SAVE_H
#define KINGLET_MACHINE_SAVE_H

#include "vm.h"

/* This is the last thing to be done with the machine; a crash of the host may lose what is saved. */
enum { SAVE_LAST = 1 << 0, SAVE_UNSYNCED = 1 << 1 };

/*
 * Saves the machine in the folder `dir`: its vCPUs are parked meanwhile, its devices stand still,
 * and afterwards both go on, unless it is the last. With a base, a snapshot of the same machine, or
 * NULL, only RAM that differs from it is written: gmem_save(). Logs. Errors of snapshot_open() for
 * the base, -EINVAL: it has another size of RAM; -EBUSY: a debugger decides about the vCPUs, or
 * another process saves there; -ECANCELED: the run has ended; -ENOSPC and the like.
 */
__must_check int vm_save(struct vm *vm, const char *dir, const char *base, unsigned flags);

/*
 * The state file of a machine that stands still as for vm_save(), to an empty file; or, not whole,
 * of what it is only, at any time. Errors of state_write() and snapshot_describe().
 */
__must_check int vm_save_to(struct vm *vm, int fd, bool whole);

/*
 * Loads the sections of a machine whose RAM is there into one that has just been built, and sets its
 * clocks: its vCPUs could start then. Errors as below.
 */
__must_check int vm_load(struct vm *vm, struct snapshot *snapshot);
/* After a load, before the vCPUs start. */
void vm_restart_devices(struct vm *vm);

/*
 * Loads config->restore into a machine that has just been built on its memory, up to the start of
 * its vCPUs. The guest's clocks go on as if they had run meanwhile; those of a guest with a program
 * as if they had stood still, since its init sets the time of day. Logs. -EBADMSG: the snapshot is
 * not one of such a machine, or damaged; other errors of the host.
 */
__must_check int vm_restore(struct vm *vm);

#endif
