/* SPDX-License-Identifier: Apache-2.0 */
/* What probe.c and probe_guests.S agree on; the latter has no use for C's declarations. */
#ifndef KINGLET_X86_PROBE_GUESTS_H
#define KINGLET_X86_PROBE_GUESTS_H

/* On a CPU 20,000 ticks or so; interpreted, a hundredth of a second. */
#define PROBE_ROUNDS 20000
#define PROBE_ATTEMPTS 5
#define PROBE_EXIT_PORT 0xf4

#endif
