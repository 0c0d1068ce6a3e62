/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by probe.c and probe_guests.S, so without C declarations. */
#ifndef KINGLET_X86_PROBE_GUESTS_H
#define KINGLET_X86_PROBE_GUESTS_H

/* About 20,000 ticks on a CPU; emulated, a hundredth of a second. */
#define PROBE_ROUNDS 20000
#define PROBE_ATTEMPTS 5
#define PROBE_EXIT_PORT 0xf4

#endif
