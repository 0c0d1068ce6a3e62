/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Echoes serial input up to a NUL byte: by polling, or by interrupts with `irq` as its command
 * line.
 *
 *	printf 'hello\0' | kinglet run echo.elf --append irq
 */
#include "irq.h"

static volatile unsigned ended;

/* Echoes all input that has arrived; true if it included the NUL. */
static bool echo_available(void)
{
	while (serial_read(SERIAL_LINE_STATUS) & SERIAL_DATA_READY) {
		uint8_t byte = serial_read(SERIAL_DATA);

		if (!byte)
			return true;
		serial_write(SERIAL_DATA, byte);
	}
	return false;
}

static void received(void)
{
	if (echo_available())
		ended = 1;
}

int main(const void *handoff)
{
	if (same_text(command_line(handoff), "irq")) {
		irq_init();
		irq_wire(SERIAL_IRQ, received);
		/* FIFOs, interrupt at 8 bytes or after a timeout */
		serial_write(SERIAL_FIFO_CONTROL, 0x81);
		serial_write(SERIAL_INTERRUPT_ENABLE, 1);
		irq_wait(&ended, 0);
	} else {
		while (!echo_available())
			;
	}
	return 0;
}
