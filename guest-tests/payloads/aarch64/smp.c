/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns the other CPUs on and off, by PSCI; each increments a counter. The command line has their
 * number.
 *
 *	kinglet run smp.img --cpus 4 --append 4
 */
#include "cpus.h"

static volatile unsigned alive;

/* One CPU at a time, so no lock. */
static void count_itself(void)
{
	alive++;
	order_writes();
}

static void start(unsigned n)
{
	unsigned before = alive;

	check(psci(PSCI_AFFINITY_INFO, n, 0, 0) == PSCI_OFF);
	check(cpu_start(n, count_itself) == PSCI_SUCCESS);
	while (alive == before)
		relax();
	cpu_await_off(n);
}

int main(const void *handoff)
{
	unsigned cpus = parse_number(command_line(handoff));

	/* RAM is zero at the first boot and at each later one. */
	check(alive == 0);
	for (unsigned n = 1; n < cpus; n++) {
		start(n);
		start(n); /* can be turned on again */
	}
	check(alive == 2 * (cpus - 1));
	check(cpu_start(0, count_itself) == PSCI_ALREADY_ON);
	check(cpu_start(cpus, count_itself) == PSCI_INVALID); /* no such CPU */
	print_number(cpus);
	print(" CPUs\n");
	return 0;
}
