/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts from the PC's timers, old and new, each on a different path to the CPU.
 *
 *	kinglet run timers.elf
 */
#include "interrupt.h"

enum {
	PIT_CHANNEL_0 = 0x40,
	PIT_COMMAND = 0x43,
	PIT_ONE_SHOT = 0x30, /* channel 0, low byte then high byte, mode 0 */
	PIT_PERIODIC = 0x34, /* mode 2 */
	PIT_HZ = 1193182,

	PIT_GSI = 0, /* of both PICs and I/O APIC: no override to 2 here */
	PIT_VECTOR = PIC_VECTORS + PIT_GSI,
	IOAPIC_VECTOR = 0x40,
	LAPIC_VECTOR = 0x50,

	MSR_APIC_BASE = 0x1b,
	APIC_BASE_X2APIC = 1 << 10,
	MSR_X2APIC = 0x800,
};

static volatile unsigned pic_ticks, ioapic_ticks, lapic_ticks, x2apic_ticks;

INTERRUPT pic_tick(struct interrupt_frame *frame)
{
	(void)frame;
	pic_ticks++;
	pic_eoi(PIT_GSI);
}

INTERRUPT ioapic_tick(struct interrupt_frame *frame)
{
	(void)frame;
	ioapic_ticks++;
	lapic_write(LAPIC_EOI, 0);
}

INTERRUPT lapic_tick(struct interrupt_frame *frame)
{
	(void)frame;
	lapic_ticks++;
	lapic_write(LAPIC_EOI, 0);
}

static uint32_t x2apic_read(unsigned reg)
{
	return (uint32_t)read_msr(MSR_X2APIC + reg / 16);
}

static void x2apic_write(unsigned reg, uint64_t value)
{
	write_msr(MSR_X2APIC + reg / 16, value);
}

INTERRUPT x2apic_tick(struct interrupt_frame *frame)
{
	(void)frame;
	x2apic_ticks++;
	x2apic_write(LAPIC_EOI, 0);
}

static void pit_start(uint8_t mode, unsigned count)
{
	outb(PIT_COMMAND, mode);
	outb(PIT_CHANNEL_0, (uint8_t)count);
	outb(PIT_CHANNEL_0, (uint8_t)(count >> 8));
}

/* The original way: the PIC raises INTR, and the CPU asks it for the vector. */
static void test_pic(void)
{
	interrupt_set(PIT_VECTOR, pic_tick);
	pic_init();
	pic_unmask(PIT_GSI);
	pit_start(PIT_PERIODIC, PIT_HZ / 200);
	for (unsigned i = 0; i < 3; i++)
		interrupt_wait(&pic_ticks, i);
	outb(0x21, 0xff);
	print("PIT, PIC\n");
}

static void test_ioapic(void)
{
	interrupt_set(IOAPIC_VECTOR, ioapic_tick);
	lapic_enable();
	ioapic_route(PIT_GSI, IOAPIC_VECTOR, false);
	pit_start(PIT_PERIODIC, PIT_HZ / 200);
	for (unsigned i = 0; i < 3; i++)
		interrupt_wait(&ioapic_ticks, i);
	ioapic_route(PIT_GSI, 0, false);
	pit_start(PIT_ONE_SHOT, 0);
	print("PIT, I/O APIC\n");
}

static void test_lapic(void)
{
	interrupt_set(LAPIC_VECTOR, lapic_tick);
	lapic_write(LAPIC_TIMER_DIVIDE, 0x3); /* by 16 */
	lapic_write(LAPIC_LVT_TIMER, LAPIC_VECTOR);
	lapic_write(LAPIC_TIMER_INITIAL, 100000);
	interrupt_wait(&lapic_ticks, 0);
	check(lapic_read(LAPIC_TIMER_CURRENT) == 0);
	print("local APIC timer\n");
}

/* The same registers as MSRs, and an interrupt command in one write (SDM vol. 3A §10.12). */
static void test_x2apic(void)
{
	uint32_t id = lapic_read(LAPIC_ID) >> 24;

	write_msr(MSR_APIC_BASE, read_msr(MSR_APIC_BASE) | APIC_BASE_X2APIC);
	check(x2apic_read(LAPIC_ID) == id);
	interrupt_set(LAPIC_VECTOR, x2apic_tick);
	x2apic_write(LAPIC_TIMER_INITIAL, 100000);
	interrupt_wait(&x2apic_ticks, 0);
	x2apic_write(LAPIC_ICR, (uint64_t)id << 32 | LAPIC_VECTOR);
	interrupt_wait(&x2apic_ticks, 1);
	print("x2APIC timer and self-IPI\n");
}

int main(const void *handoff)
{
	(void)handoff;
	test_pic();
	test_ioapic();
	test_lapic();
	test_x2apic();
	return 0;
}
