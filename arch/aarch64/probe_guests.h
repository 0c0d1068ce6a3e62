/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by probe.c and probe_guests.S, so without C declarations. */
#ifndef KINGLET_AARCH64_PROBE_GUESTS_H
#define KINGLET_AARCH64_PROBE_GUESTS_H

/*
 * On a CPU this takes a fraction of a millisecond: some hundred ticks of the slowest generic timer.
 */
#define PROBE_ROUNDS 200000
#define PROBE_ATTEMPTS 5
#define PROBE_EXIT_BASE 0x10030000

#endif
