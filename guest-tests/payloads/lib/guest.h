/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For payloads in C without any library: main() is entered with identity-mapped memory and
 * interrupts disabled, and its return value is Kinglet's exit status. arch.h, one per architecture,
 * has what differs between machines.
 */
#ifndef PAYLOAD_GUEST_H
#define PAYLOAD_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `handoff` is what the boot protocol passes to the kernel; its form depends on the protocol. */
int main(const void *handoff);

/*
 * arch.h has, besides what is specific to its machine:
 *
 *	read8 ... write64	device memory: exactly one access of exactly this width
 *	serial_read, _write	registers of the serial port, by number
 *	exit_port_write		ends the run with this status; what is above 255 counts as 255
 *	machine_reset		as an operating system does it; may take effect a little later
 *	order_writes, _reads	for others, what is written (read) before comes before the rest
 *	relax			in a loop that waits for somebody
 *	sleep_forever		there is nothing more to do
 *	command_line		Linux's, from what main() gets
 *	ram_base, pci_ecam_base	where they begin
 *	no_ram			an address at which there is nothing
 *	pci_new_home		a free address in the bridge's window below 4 GiB
 *	STRICT_ALIGNMENT	a device access across a multiple of its width is a fault
 *	SERIAL_IRQ		see irq.h
 */
#include "arch.h"

/* Registers of the serial port, a 16550. */
enum {
	SERIAL_DATA = 0,
	SERIAL_INTERRUPT_ENABLE = 1,
	SERIAL_FIFO_CONTROL = 2,
	SERIAL_LINE_CONTROL = 3,
	SERIAL_MODEM_CONTROL = 4,
	SERIAL_LINE_STATUS = 5,
	SERIAL_SCRATCH = 7,
	SERIAL_DATA_READY = 1, /* in the line status */
};

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

/* Prints the location and the failed condition, and ends the run with status 1. */
void fail(const char *file, unsigned line, const char *what) __attribute__((noreturn));
#define check(condition) ((condition) ? (void)0 : fail(__FILE__, __LINE__, #condition))

#endif
