/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Echoes what comes in on the serial port, up to a NUL byte: by polling, or with `irq` as its
 * command line by interrupts.
 *
 *	printf 'hello\0' | kinglet run echo.elf --append irq
 */
#include "interrupt.h"

enum {
	CMD_LINE_PTR = 0x228,
	INTERRUPT_ENABLE = COM1 + 1,
	FIFO_CONTROL = COM1 + 2,
	LINE_STATUS = COM1 + 5,
	DATA_READY = 1,
	SERIAL_GSI = 4,
	VECTOR = 0x34,
};

static volatile unsigned ended;

/* Everything that has come; true when the NUL was among it. */
static bool echo_available(void)
{
	while (inb(LINE_STATUS) & DATA_READY) {
		uint8_t byte = inb(COM1);

		if (!byte)
			return true;
		outb(COM1, byte);
	}
	return false;
}

INTERRUPT received(struct interrupt_frame *frame)
{
	(void)frame;
	if (echo_available())
		ended = 1;
	lapic_write(LAPIC_EOI, 0);
}

int main(const void *zero_page)
{
	const char *cmdline = (const char *)(uintptr_t)read32((uintptr_t)zero_page + CMD_LINE_PTR);

	if (same_text(cmdline, "irq")) {
		lapic_enable();
		interrupt_set(VECTOR, received);
		ioapic_route(SERIAL_GSI, VECTOR, false);
		outb(FIFO_CONTROL, 0x81); /* FIFOs, interrupt from 8 bytes on, or after a pause */
		outb(INTERRUPT_ENABLE, 1);
		interrupt_wait(&ended, 0);
	} else {
		while (!echo_available())
			;
	}
	return 0;
}
