/* SPDX-License-Identifier: Apache-2.0 */
/* What probe.c and probe_guests.S agree on; the latter has no use for C's declarations. */
#ifndef KINGLET_AARCH64_PROBE_GUESTS_H
#define KINGLET_AARCH64_PROBE_GUESTS_H

/* On a CPU a fraction of a millisecond: some hundred ticks of the slowest generic timer. */
#define PROBE_ROUNDS 200000
#define PROBE_ATTEMPTS 5
#define PROBE_EXIT_BASE 0x10030000

#endif
