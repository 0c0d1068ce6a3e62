/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reboots as PCs have since 1984: the keyboard controller pulses the CPU's reset line. Status 0.
 *
 *	kinglet run reset-i8042.bin --flat 0x1000,mode=16
 */
#define BITS 16
#include "asm.h"

	.code16
	.globl	_start
_start:
	mov	$0xfe, %al
	out	%al, $I8042_COMMAND
1:	jmp	1b
