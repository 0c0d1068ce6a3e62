/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a guest from memory instead of a file, on a minimal but real machine: so a probe of the
 * host's KVM tests what machine_run() uses.
 */
#ifndef KINGLET_CMD_PROBE_H
#define KINGLET_CMD_PROBE_H

#include "arch/probe.h"
#include "machine/machine.h"

/*
 * machine_run(), with its effects on the process, for one vCPU, 16 MiB and at most ten seconds.
 * Main thread.
 */
void machine_run_probe(const struct arch_probe *probe, struct sys *sys, struct verdict *verdict);

#endif
