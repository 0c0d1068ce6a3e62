/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device accesses that the CPU does not describe to KVM, so that no monitor could serve them: of
 * two registers, or with write-back. The guest gets an external abort, as from a bus that answers
 * with an error, and the machine runs on.
 *
 *	kinglet run mmio-abort.img
 */
#include "fault.h"

static void expect_abort(unsigned count)
{
	check(fault_count == count);
	check((fault_syndrome >> FAULT_CLASS_SHIFT & FAULT_CLASS_MASK) == FAULT_DATA_ABORT);
	check((fault_syndrome & FAULT_STATUS_MASK) == FAULT_STATUS_EXTERNAL);
}

static void access_undescribed(uintptr_t address)
{
	uintptr_t at = address;

	faults_expected = true;
	asm volatile("ldp x0, x1, [%0]" : : "r"(address) : "x0", "x1", "memory");
	expect_abort(1);
	asm volatile("stp xzr, xzr, [%0]" : : "r"(address) : "memory");
	expect_abort(2);
	asm volatile("ldr w0, [%0], #4" : "+r"(at) : : "x0", "memory");
	expect_abort(3);
	check(at == address);
	fault_count = 0;
	faults_expected = false;
}

int main(const void *handoff)
{
	(void)handoff;
	access_undescribed(no_ram);
	access_undescribed(pci_ecam_base);
	access_undescribed(serial_base + 16);
	check(read32(no_ram) == UINT32_MAX);
	print("ok\n");
	return 0;
}
