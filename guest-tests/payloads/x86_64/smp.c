/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts the other CPUs: INIT and start-up interrupts wake each in real mode, where it increments a
 * counter. The command line has their number.
 *
 *	kinglet run smp.elf --cpus 4 --append 4
 */
#include "cpus.h"
#include "interrupt.h"

enum {
	TRAMPOLINE = 0x8000, /* below 1 MiB, on a page: its number is the start-up vector */
	STARTED = 0x9000,
	DONE = 0x9004,
};

/* Real mode; CS is TRAMPOLINE / 16. */
extern const uint8_t trampoline[], trampoline_end[];
asm(".section .rodata\n"
    "	.code16\n"
    "trampoline:\n"
    "	xor	%ax, %ax\n"
    "	mov	%ax, %ds\n"
    "	lock incl 0x9000\n"
    "	lock incl 0x9004\n"
    "1:	cli\n"
    "	hlt\n"
    "	jmp	1b\n"
    "trampoline_end:\n"
    "	.code64\n"
    ".text\n");

static void wait_for(uintptr_t counter, unsigned count)
{
	while (read32(counter) != count)
		relax();
}

int main(const void *handoff)
{
	unsigned others = parse_number(command_line(handoff)) - 1;

	/* RAM is zero at the first boot and at each later one. */
	check(read32(STARTED) == 0 && read32(DONE) == 0);
	memcpy((void *)TRAMPOLINE, trampoline, (size_t)(trampoline_end - trampoline));
	lapic_enable();
	for (unsigned id = 1; id <= others; id++) {
		cpu_wake(id, TRAMPOLINE);
		wait_for(DONE, id);
	}
	check(read32(STARTED) == others);

	/* INIT returns a running CPU to its initial state. */
	for (unsigned id = 1; id <= others; id++) {
		cpu_wake(id, TRAMPOLINE);
		wait_for(DONE, others + id);
	}
	print_number(others + 1);
	print(" CPUs\n");
	return 0;
}
