/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vCPUs' life, and what is done when the guest goes down or another thread asks for something.
 * Machine's thread where not said otherwise. Private to vmm/machine.
 */
#ifndef KINGLET_MACHINE_RUN_H
#define KINGLET_MACHINE_RUN_H

#include "board.h"

/* Of the machine's vCPUs; owner is the vm. */
extern const struct vcpu_ops run_vcpu_ops;

/* Kernel, initrd and firmware tables into RAM, vCPU 0 to the entry. Logs on failure. */
__must_check int run_load(struct vm *vm);
/* On failure, which is logged, none runs. */
__must_check int run_start(struct vm *vm);
void run_stop(struct vm *vm);

/* Of struct requests; owner is the vm. */
void run_serve(void *owner, enum request request);

/* pvpanic; owner is the vm. vCPU threads. */
void run_crashed(void *owner, enum pvpanic_event event);

#endif
