/* SPDX-License-Identifier: Apache-2.0 */
/* The machine of lesson 9: real mode; the guest ends a round by a write to a port. */
#ifndef LESSON_DIRTY_MACHINE_H
#define LESSON_DIRTY_MACHINE_H

#include "arch/arch.h"

enum { RAM_BASE = 0, RAM_SIZE = 1 << 20, LOAD_ADDRESS = 0x1000 };
enum { ROUND_IS_PORT = 1, ROUND = 0xf4 };
static const enum cpu_mode guest_mode = CPU_MODE_16;
static const enum vcpu_end guest_ends = VCPU_HALTED;

#endif
