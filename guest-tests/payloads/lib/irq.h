/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts, in the form common to all machines: wires and messages call a function. They are
 * delivered to the first CPU, and only while it waits for them.
 */
#ifndef PAYLOAD_IRQ_H
#define PAYLOAD_IRQ_H

#include "guest.h"

typedef void irq_handler(void);

/* Before any of the others. */
void irq_init(void);

/* Sleeps until *count, which a handler changes, is no longer `old`. */
void irq_wait(volatile unsigned *count, unsigned old);

/* Takes what is pending. */
void irq_take(void);

/*
 * Calls the handler when the wire (SERIAL_IRQ, a function's PCI_INTERRUPT_LINE) is raised; NULL
 * masks it. Wires may be level-triggered: the handler must make the device lower its line.
 */
void irq_wire(unsigned line, irq_handler *handler);

/* What a PCI function writes as an interrupt, and where. */
struct irq_message {
	uint64_t address;
	uint32_t data;
};
enum { IRQ_MESSAGES = 4 };

/*
 * Message `number`, below IRQ_MESSAGES, of the function in this slot. It calls the handler, and
 * from now on so does the message with this number of any other function.
 */
struct irq_message irq_message(unsigned slot, unsigned number, irq_handler *handler);

#endif
