/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PAYLOAD_CPUS_H
#define PAYLOAD_CPUS_H

#include "guest.h"

enum { CPUS_MAX = 16 };

/*
 * Starts a CPU, running or not, in real mode at the start of this page, which is below 1 MiB (INIT
 * and start-up interrupts, Intel SDM vol. 3A §8.4.4.1). After lapic_enable().
 */
void cpu_wake(unsigned apic_id, unsigned page);

/*
 * CPU `n` (1 or higher) calls the function in long mode, and sleeps when that returns. Returns 0.
 */
int64_t cpu_start(unsigned n, void (*function)(void));

#endif
