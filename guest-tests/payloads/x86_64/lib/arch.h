/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An x86_64 machine, in 32 and 64 bits: addresses, ports, and how the CPU waits.
 */
#ifndef PAYLOAD_ARCH_H
#define PAYLOAD_ARCH_H

enum {
	COM1 = 0x3f8,
	EXIT_PORT = 0xf4,
	I8042_COMMAND = 0x64,
	POWER_PORT = 0x600,
	SERIAL_IRQ = 4,
};

static const uintptr_t ram_base = 0, pci_ecam_base = 0xe0000000, no_ram = 0xd0000000;
static const uintptr_t pci_new_home = 0xd8000000;

enum { STRICT_ALIGNMENT = 0 };

/* Device memory: exactly one access of exactly this width. */
static inline uint8_t read8(uintptr_t address)
{
	return *(volatile uint8_t *)address;
}

static inline uint16_t read16(uintptr_t address)
{
	return *(volatile uint16_t *)address;
}

static inline uint32_t read32(uintptr_t address)
{
	return *(volatile uint32_t *)address;
}

/* In long mode. */
static inline uint64_t read64(uintptr_t address)
{
	return *(volatile uint64_t *)address;
}

static inline void write8(uintptr_t address, uint8_t value)
{
	*(volatile uint8_t *)address = value;
}

static inline void write16(uintptr_t address, uint16_t value)
{
	*(volatile uint16_t *)address = value;
}

static inline void write32(uintptr_t address, uint32_t value)
{
	*(volatile uint32_t *)address = value;
}

static inline void write64(uintptr_t address, uint64_t value)
{
	*(volatile uint64_t *)address = value;
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t value;

	asm volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t value;

	asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void outb(uint16_t port, uint8_t value)
{
	asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outw(uint16_t port, uint16_t value)
{
	asm volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t value)
{
	asm volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t serial_read(unsigned reg)
{
	return inb((uint16_t)(COM1 + reg));
}

static inline void serial_write(unsigned reg, uint8_t value)
{
	outb((uint16_t)(COM1 + reg), value);
}

static inline void exit_port_write(uint32_t status)
{
	outl(EXIT_PORT, status);
}

/* The reset register of the ACPI tables (ACPI 6.4 §4.8.3.6). */
static inline void machine_reset(void)
{
	outb(POWER_PORT + 2, 1);
}

static inline void order_writes(void)
{
	asm volatile("" ::: "memory"); /* x86 keeps stores in order */
}

static inline void order_reads(void)
{
	asm volatile("" ::: "memory"); /* and loads */
}

static inline void relax(void)
{
	asm volatile("pause" ::: "memory");
}

static inline void sleep_forever(void)
{
	for (;;)
		asm volatile("cli; hlt");
}

/* Linux's 64-bit entry: from the zero page (Documentation/x86/zero-page.rst). */
static inline const char *command_line(const void *zero_page)
{
	enum { CMD_LINE_PTR = 0x228 };

	return (const char *)(uintptr_t)read32((uintptr_t)zero_page + CMD_LINE_PTR);
}

#endif
