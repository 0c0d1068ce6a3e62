/* SPDX-License-Identifier: Apache-2.0 */
/* The machine of lesson 9: the guest ends a round by a write to an address without RAM. */
#ifndef LESSON_DIRTY_MACHINE_H
#define LESSON_DIRTY_MACHINE_H

#include "arch/arch.h"

enum { RAM_BASE = 0x40000000, RAM_SIZE = 8 << 20, LOAD_ADDRESS = RAM_BASE };
enum { ROUND_IS_PORT = 0, ROUND = 0x10030000 };
static const enum cpu_mode guest_mode = CPU_MODE_64;
static const enum vcpu_end guest_ends = VCPU_POWEROFF;

#endif
