/* SPDX-License-Identifier: Apache-2.0 */
/* irq.h for local APIC and I/O APIC. Each vector has its own entry, which calls a handler. */
#include "irq.h"
#include "interrupt.h"

enum { MESSAGE_VECTOR = 0x50, WIRE_VECTOR = 0x60, WIRES = 2 };

static irq_handler *message_handlers[IRQ_MESSAGES], *wire_handlers[WIRES];
static unsigned wire_lines[WIRES];

#define ENTRY(name, handler)                                                                       \
	INTERRUPT name(struct interrupt_frame *frame)                                              \
	{                                                                                          \
		(void)frame;                                                                       \
		handler();                                                                         \
		lapic_write(LAPIC_EOI, 0);                                                         \
	}

ENTRY(message_0, message_handlers[0])
ENTRY(message_1, message_handlers[1])
ENTRY(message_2, message_handlers[2])
ENTRY(message_3, message_handlers[3])
ENTRY(wire_0, wire_handlers[0])
ENTRY(wire_1, wire_handlers[1])

void irq_init(void)
{
	lapic_enable();
	interrupt_set(MESSAGE_VECTOR, message_0);
	interrupt_set(MESSAGE_VECTOR + 1, message_1);
	interrupt_set(MESSAGE_VECTOR + 2, message_2);
	interrupt_set(MESSAGE_VECTOR + 3, message_3);
	interrupt_set(WIRE_VECTOR, wire_0);
	interrupt_set(WIRE_VECTOR + 1, wire_1);
}

void irq_wait(volatile unsigned *count, unsigned old)
{
	interrupt_wait(count, old);
}

/* STI takes effect after the next instruction. */
void irq_take(void)
{
	asm volatile("sti; nop; nop; cli" ::: "memory");
}

/* Line 0 is the PIT's, which no payload uses here: so 0 marks a free wire. */
void irq_wire(unsigned line, irq_handler *handler)
{
	unsigned wire = 0;

	while (wire < WIRES && wire_lines[wire] && wire_lines[wire] != line)
		wire++;
	check(line && wire < WIRES);
	wire_lines[wire] = line;
	wire_handlers[wire] = handler;
	/* ISA interrupts are edge-triggered. */
	ioapic_route(line, handler ? WIRE_VECTOR + wire : 0, line != SERIAL_IRQ);
}

/* A message is a write to the local APIC's page, with the vector as data (SDM vol. 3A §10.11). */
struct irq_message irq_message(unsigned slot, unsigned number, irq_handler *handler)
{
	(void)slot; /* a message to the local APIC does not identify its sender */
	message_handlers[number] = handler;
	return (struct irq_message){
		.address = 0xfee00000 | (lapic_read(LAPIC_ID) >> 24) << 12,
		.data = MESSAGE_VECTOR + number,
	};
}
