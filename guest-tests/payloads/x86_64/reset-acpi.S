/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reboots by the reset register named in the ACPI tables (ACPI 6.4 §4.8.3.6). Status 0.
 *
 *	kinglet run reset-acpi.bin --flat 0x1000,mode=16
 */
#define BITS 16
#include "asm.h"

	.code16
	.globl	_start
_start:
	mov	$(POWER_PORT + 2), %dx
	mov	$1, %al
	out	%al, %dx
1:	jmp	1b
