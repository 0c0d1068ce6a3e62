/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Powers off as an operating system does: writes sleep type S5 and the enable bit to the sleep
 * control register named in the ACPI tables (ACPI 6.4 §4.8.3.7). Status 0.
 *
 *	kinglet run poweroff.bin --flat 0x1000,mode=16
 */
#define BITS 16
#include "asm.h"

	.code16
	.globl	_start
_start:
	mov	$POWER_PORT, %dx
	mov	$(5 << 2 | 1 << 5), %al
	out	%al, %dx
1:	jmp	1b
