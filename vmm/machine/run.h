/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting and stopping the vCPUs, and handling the guest's end and requests of other threads.
 * Machine's thread unless stated otherwise. Private to vmm/machine.
 */
#ifndef KINGLET_MACHINE_RUN_H
#define KINGLET_MACHINE_RUN_H

#include "board.h"

/* Of the machine's vCPUs; owner is the vm. */
extern const struct vcpu_ops run_vcpu_ops;

/*
 * Loads kernel, initrd and firmware tables into RAM, and sets vCPU 0 to the entry. Logs on failure.
 */
__must_check int run_load(struct vm *vm);
/* On failure, which is logged, no vCPU runs. */
__must_check int run_start(struct vm *vm);
void run_stop(struct vm *vm);

/* The run has ended: without the snapshot of its config, a success is none. */
void run_check_saved(struct vm *vm);

/* Of struct requests; owner is the vm. */
void run_serve(void *owner, enum request request);

/* pvpanic; owner is the vm. vCPU threads. */
void run_crashed(void *owner, enum pvpanic_event event);

#endif
