/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PSCI, firmware that KVM implements: HVC turns CPUs and the machine on and off. (Arm DEN0022)
 */
#ifndef PAYLOAD_PSCI_H
#define PAYLOAD_PSCI_H

#include <stdint.h>

enum psci_function {
	PSCI_VERSION = 0x84000000,
	PSCI_CPU_OFF = 0x84000002,
	PSCI_SYSTEM_OFF = 0x84000008,
	PSCI_SYSTEM_RESET = 0x84000009,
	PSCI_FEATURES = 0x8400000a,
	PSCI_CPU_ON = 0xc4000003,
	PSCI_AFFINITY_INFO = 0xc4000004,
};

enum { PSCI_SUCCESS = 0, PSCI_NOT_SUPPORTED = -1, PSCI_INVALID = -2, PSCI_ALREADY_ON = -4 };

/* AFFINITY_INFO's answers. */
enum { PSCI_ON = 0, PSCI_OFF = 1 };

static inline int64_t psci(uint32_t function, uint64_t a, uint64_t b, uint64_t c)
{
	register uint64_t x0 asm("x0") = function;
	register uint64_t x1 asm("x1") = a;
	register uint64_t x2 asm("x2") = b;
	register uint64_t x3 asm("x3") = c;

	asm volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
	return (int32_t)x0;
}

#endif
