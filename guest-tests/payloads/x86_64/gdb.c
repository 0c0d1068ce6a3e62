/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Something to debug: variables, a function whose first instruction touches a device, and, with
 * "wait" on the command line, a loop that only a debugger ends. The debugger can change the exit
 * status.
 *
 *	kinglet run gdb.elf --gdb 1234 &
 *	gdb gdb.elf -ex 'target remote :1234'
 */
#include "guest.h"

volatile uint32_t number = 42;
volatile uint32_t turns;
volatile uint32_t released;

uint32_t touch(uintptr_t address);
asm(".text\n"
    "	.globl	touch\n"
    "	.type	touch, @function\n"
    "touch:	mov	(%rdi), %eax\n"
    "	ret\n"
    "	.size	touch, .-touch\n");

__attribute__((noinline)) static uint32_t turn(uint32_t value)
{
	turns++;
	return value + 1;
}

int main(const void *handoff)
{
	uint32_t value = number;

	if (same_text(command_line(handoff), "wait")) {
		print("waiting\n");
		while (!released)
			relax();
	}
	check(touch(no_ram) == UINT32_MAX);
	for (int i = 0; i < 3; i++)
		value = turn(value);
	return (int)(value - turns);
}
