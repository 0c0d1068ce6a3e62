/* SPDX-License-Identifier: Apache-2.0 */
#include "cpus.h"

static struct stack {
	uint8_t bytes[4096 - 16];
	void (*function)(void); /* at the end of the stack, for start.S */
	uint64_t unused;
} stacks[CPUS_MAX] __attribute__((aligned(16)));

extern const uint8_t next_cpu[];

/* KVM numbers the first sixteen CPUs in the lowest byte of MPIDR_EL1. */
int64_t cpu_start(unsigned n, void (*function)(void))
{
	check(n < CPUS_MAX);
	stacks[n].function = function;
	order_writes();
	return psci(PSCI_CPU_ON, n, (uintptr_t)next_cpu, (uintptr_t)&stacks[n].function);
}

void cpu_await_off(unsigned n)
{
	while (psci(PSCI_AFFINITY_INFO, n, 0, 0) != PSCI_OFF)
		relax();
}
