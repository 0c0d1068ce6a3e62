/* SPDX-License-Identifier: Apache-2.0 */
#include "fault.h"

volatile bool faults_expected;
volatile unsigned fault_count;
volatile uint64_t fault_syndrome;

/* From start.S. */
void fault_taken(void);

void fault_taken(void)
{
	uint64_t esr, elr, far;

	asm volatile("mrs %0, esr_el1" : "=r"(esr));
	asm volatile("mrs %0, elr_el1" : "=r"(elr));
	asm volatile("mrs %0, far_el1" : "=r"(far));
	if (!faults_expected) {
		print("fault: esr 0x");
		print_hex(esr);
		print(", pc 0x");
		print_hex(elr);
		print(", address 0x");
		print_hex(far);
		print("\n");
		exit_guest(1);
	}
	fault_syndrome = esr;
	fault_count++;
	asm volatile("msr elr_el1, %0" : : "r"(elr + 4));
}
