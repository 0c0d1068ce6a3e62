/* SPDX-License-Identifier: Apache-2.0 */
/* The platform devices of an arm64 machine are memory-mapped. */
#include "storm.h"
#include "fault.h"

enum { ONE_DEVICE = 0x10000, DEVICES = 0x30000 };

/*
 * Serial port, clock, panic device, and the addresses between them, except the registers that print
 * or end the run.
 */
static void storm_devices(unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		uintptr_t offset = dice(4) ? dice(3) * ONE_DEVICE + dice(64) : dice(DEVICES);
		bool ends = offset < 8 ? offset == 0 : offset >= 2 * ONE_DEVICE &&
							offset < 2 * ONE_DEVICE + 8;

		if (!ends)
			storm_memory(serial_base + offset);
	}
}

/* Two registers at once, write-back: accesses without a valid syndrome. */
static void storm_undescribed(unsigned rounds)
{
	faults_expected = true;
	for (unsigned i = 0; i < rounds; i++) {
		uintptr_t address = serial_base + dice(DEVICES / 16) * 16;

		if (dice(2))
			asm volatile("ldp x0, x1, [%0]" : : "r"(address) : "x0", "x1", "memory");
		else
			asm volatile("ldr x0, [%0], #8" : "+r"(address) : : "x0", "memory");
	}
	faults_expected = false;
	check(fault_count == rounds);
}

void storm_platform(unsigned rounds)
{
	storm_devices(rounds);
	storm_undescribed(rounds / 10);
	serial_write(SERIAL_LINE_CONTROL, 0); /* the divisor latch may hide the data register */
	serial_write(SERIAL_MODEM_CONTROL, 0); /* and the port's loopback may be on */
}
