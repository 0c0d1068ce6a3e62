/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts in long mode: the IDT, the local APIC, the I/O APIC and the PICs.
 */
#ifndef PAYLOAD_INTERRUPT_H
#define PAYLOAD_INTERRUPT_H

#include "guest.h"

/* What the CPU pushes. */
struct interrupt_frame {
	uint64_t rip, cs, rflags, rsp, ss;
};
typedef void interrupt_handler(struct interrupt_frame *frame);
#define INTERRUPT __attribute__((interrupt)) static void

/* Registers of the local APIC: offsets of its page, in x2APIC mode MSR 0x800 + offset / 16. */
enum {
	LAPIC_ID = 0x20,
	LAPIC_EOI = 0xb0,
	LAPIC_SPURIOUS = 0xf0,
	LAPIC_ICR = 0x300,
	LAPIC_ICR_HIGH = 0x310,
	LAPIC_LVT_TIMER = 0x320,
	LAPIC_TIMER_INITIAL = 0x380,
	LAPIC_TIMER_CURRENT = 0x390,
	LAPIC_TIMER_DIVIDE = 0x3e0,
};

static inline uint64_t read_msr(uint32_t index)
{
	uint32_t low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index));
	return (uint64_t)high << 32 | low;
}

static inline void write_msr(uint32_t index, uint64_t value)
{
	asm volatile("wrmsr" : : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(index));
}

/* Installs a handler and, at the first call, the IDT. */
void interrupt_set(unsigned vector, interrupt_handler *handler);

/*
 * Sleeps until *count is no longer `old`. No interrupt can arrive between the test and HLT: they
 * are disabled during the test, and STI takes effect after the next instruction.
 */
void interrupt_wait(volatile unsigned *count, unsigned old);

uint32_t lapic_read(unsigned reg);
void lapic_write(unsigned reg, uint32_t value);

/* Also masks the PICs, until pic_init(). */
void lapic_enable(void);

/* Sends pin `gsi` of the I/O APIC to a vector of this CPU; vector 0 masks it. */
void ioapic_route(unsigned gsi, unsigned vector, bool level);

/* Vectors 0x20..0x2f for the PICs' 16 pins, all of them masked. */
enum { PIC_VECTORS = 0x20 };
void pic_init(void);
void pic_unmask(unsigned pin);
void pic_eoi(unsigned pin);

#endif
