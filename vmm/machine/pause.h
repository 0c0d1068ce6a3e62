/* SPDX-License-Identifier: Apache-2.0 */
/* All vCPUs stand still, and go on. Machine's thread. Private to vmm/machine. */
#ifndef KINGLET_MACHINE_PAUSE_H
#define KINGLET_MACHINE_PAUSE_H

#include "vm.h"

/*
 * As in struct machine_ops. Between them, vCPUs are parked, those of a restart included.
 */
__must_check int run_pause(struct vm *vm);
__must_check int run_resume(struct vm *vm);

/* Parks all vCPUs, also those that are not started yet; run_resume() lets them go. */
void run_park(struct vm *vm);

#endif
