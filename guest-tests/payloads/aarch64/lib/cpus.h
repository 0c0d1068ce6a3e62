/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PAYLOAD_CPUS_H
#define PAYLOAD_CPUS_H

#include "guest.h"

enum { CPUS_MAX = 16 };

/*
 * Turns CPU `n` (1 or higher) on: it calls the function, and turns itself off when that returns.
 * Returns the status from PSCI.
 */
int64_t cpu_start(unsigned n, void (*function)(void));

/* Waits until it is off again. */
void cpu_await_off(unsigned n);

#endif
