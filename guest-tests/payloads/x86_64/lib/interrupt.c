/* SPDX-License-Identifier: Apache-2.0 */
#include "interrupt.h"

static const uintptr_t lapic = 0xfee00000, ioapic = 0xfec00000;

/* Intel SDM vol. 3A §6.14.1 */
static struct {
	uint16_t low, selector;
	uint16_t flags; /* present, interrupt gate: 0x8e00 */
	uint16_t middle;
	uint32_t high, reserved;
} idt[256] __attribute__((aligned(16)));

void interrupt_set(unsigned vector, interrupt_handler *handler)
{
	uintptr_t address = (uintptr_t)handler;
	const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr = { sizeof(idt) - 1, (uintptr_t)idt };
	uint16_t cs;

	asm("mov %%cs, %0" : "=r"(cs));
	idt[vector].low = (uint16_t)address;
	idt[vector].middle = (uint16_t)(address >> 16);
	idt[vector].high = (uint32_t)(address >> 32);
	idt[vector].selector = cs;
	idt[vector].flags = 0x8e00;
	asm volatile("lidt %0" : : "m"(idtr), "m"(idt));
}

void interrupt_wait(volatile unsigned *count, unsigned old)
{
	while (*count == old)
		asm volatile("sti; hlt; cli" ::: "memory");
}

uint32_t lapic_read(unsigned reg)
{
	return read32(lapic + reg);
}

void lapic_write(unsigned reg, uint32_t value)
{
	write32(lapic + reg, value);
}

enum { PIC_MASTER = 0x20, PIC_SLAVE = 0xa0, PIC_CASCADE = 2 };

/* The PICs may have latched an interrupt, and at power-on their vectors are those of exceptions. */
void lapic_enable(void)
{
	outb(PIC_MASTER + 1, 0xff);
	outb(PIC_SLAVE + 1, 0xff);
	lapic_write(LAPIC_SPURIOUS, 0x1ff);
}

/* Its registers are accessed through an index and a data register. */
static void ioapic_write(unsigned reg, uint32_t value)
{
	write32(ioapic, reg);
	write32(ioapic + 0x10, value);
}

void ioapic_route(unsigned gsi, unsigned vector, bool level)
{
	enum { LEVEL = 1 << 15, MASKED = 1 << 16 };

	ioapic_write(0x11 + 2 * gsi, lapic_read(LAPIC_ID));
	ioapic_write(0x10 + 2 * gsi, (vector ? vector : MASKED) | (level ? LEVEL : 0));
}

void pic_init(void)
{
	/* ICW1: edge, ICW4 follows; ICW2: vectors; ICW3: the cascade; ICW4: 8086 mode. */
	outb(PIC_MASTER, 0x11);
	outb(PIC_MASTER + 1, PIC_VECTORS);
	outb(PIC_MASTER + 1, 1 << PIC_CASCADE);
	outb(PIC_MASTER + 1, 0x01);
	outb(PIC_SLAVE, 0x11);
	outb(PIC_SLAVE + 1, PIC_VECTORS + 8);
	outb(PIC_SLAVE + 1, PIC_CASCADE);
	outb(PIC_SLAVE + 1, 0x01);
	outb(PIC_MASTER + 1, 0xff & ~(1 << PIC_CASCADE));
	outb(PIC_SLAVE + 1, 0xff);
}

void pic_unmask(unsigned pin)
{
	uint16_t port = pin < 8 ? PIC_MASTER + 1 : PIC_SLAVE + 1;

	outb(port, (uint8_t)(inb(port) & ~(1 << pin % 8)));
}

void pic_eoi(unsigned pin)
{
	if (pin >= 8)
		outb(PIC_SLAVE, 0x20);
	outb(PIC_MASTER, 0x20);
}
