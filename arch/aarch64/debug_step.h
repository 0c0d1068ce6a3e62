/* SPDX-License-Identifier: Apache-2.0 */
/* Private to arch/aarch64. Threads as in arch/debug.h. */
#ifndef KINGLET_AARCH64_DEBUG_STEP_H
#define KINGLET_AARCH64_DEBUG_STEP_H

#include "arch/debug.h"

/*
 * Masks interrupts for one step of the vCPU, until arch_debug_stopped(). *note, initially 0,
 * records what that has to undo. On a negative errno nothing is changed.
 */
__must_check int debug_step_mask(const struct gmem *mem, struct vcpu *vcpu, uint64_t *note);

#endif
