/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An arm64 machine: addresses, as in its device tree, and accesses to devices.
 */
#ifndef PAYLOAD_ARCH_H
#define PAYLOAD_ARCH_H

#include "psci.h"

static const uintptr_t ram_base = 0x40000000, pci_ecam_base = 0x3f000000, no_ram = 0x18000000;
static const uintptr_t pci_new_home = 0x30000000;
static const uintptr_t serial_base = 0x10000000, exit_base = 0x10030000;

enum { STRICT_ALIGNMENT = 1, SERIAL_IRQ = 32 };

/*
 * In assembler, because a compiler may choose an instruction with write-back, which the CPU does
 * not describe to KVM (Arm ARM, ESR_EL2.ISV).
 */
#define DEVICE_ACCESS(bits, load, store)                                                           \
	static inline uint##bits##_t read##bits(uintptr_t address)                                 \
	{                                                                                          \
		uint##bits##_t value;                                                              \
                                                                                                   \
		asm volatile(load ", [%1]" : "=r"(value) : "r"(address) : "memory");               \
		return value;                                                                      \
	}                                                                                          \
	static inline void write##bits(uintptr_t address, uint##bits##_t value)                    \
	{                                                                                          \
		asm volatile(store ", [%1]" : : "r"(value), "r"(address) : "memory");              \
	}

DEVICE_ACCESS(8, "ldrb %w0", "strb %w0")
DEVICE_ACCESS(16, "ldrh %w0", "strh %w0")
DEVICE_ACCESS(32, "ldr %w0", "str %w0")
DEVICE_ACCESS(64, "ldr %x0", "str %x0")

static inline uint8_t serial_read(unsigned reg)
{
	return read8(serial_base + reg);
}

static inline void serial_write(unsigned reg, uint8_t value)
{
	write8(serial_base + reg, value);
}

static inline void exit_port_write(uint32_t status)
{
	write32(exit_base, status);
}

static inline void machine_reset(void)
{
	psci(PSCI_SYSTEM_RESET, 0, 0, 0);
}

/* Also orders device memory: so not DMB ISHST. */
static inline void order_writes(void)
{
	asm volatile("dmb oshst" ::: "memory");
}

static inline void order_reads(void)
{
	asm volatile("dmb oshld" ::: "memory");
}

static inline void relax(void)
{
	asm volatile("yield" ::: "memory");
}

static inline void sleep_forever(void)
{
	for (;;)
		asm volatile("wfi");
}

/* From the device tree: fdt.c. */
const char *command_line(const void *fdt);

#endif
