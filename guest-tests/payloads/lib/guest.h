/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For payloads in C, 32 or 64 bits, without any library: main() is entered with physical addresses
 * as they are, interrupts disabled, and what it returns is Kinglet's exit status.
 */
#ifndef PAYLOAD_GUEST_H
#define PAYLOAD_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	COM1 = 0x3f8,
	EXIT_PORT = 0xf4,
	I8042_COMMAND = 0x64,
	POWER_PORT = 0x600,
};

/* `handoff` is what the boot protocol left for the kernel: where, depends on the protocol. */
int main(const void *handoff);

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

/* --- console.c --- */

/* To the serial port. */
void print(const char *text);
void print_hex(uint64_t value);
void print_number(unsigned value);

void *memset(void *to, int byte, size_t len);
void *memcpy(void *to, const void *from, size_t len);
bool same_text(const char *a, const char *b);

/* Decimal; stops at the first other character. */
unsigned parse_number(const char *text);

/* Ends the run with this exit status. */
void exit_guest(uint8_t status) __attribute__((noreturn));

/* Prints the place and what was expected, and ends the run with status 1. */
void fail(const char *file, unsigned line, const char *what) __attribute__((noreturn));
#define check(condition) ((condition) ? (void)0 : fail(__FILE__, __LINE__, #condition))

#endif
