/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hundred thousand exits of the cheapest kind, to a port without a device; then status 0. For
 * guest-tests/bench-watch.
 *
 *	kinglet run exits.bin --flat 0x1000,mode=16
 */
#define BITS 16
#include "asm.h"

	.code16
	.globl	_start
_start:
	mov	$100000, %ecx
1:	out	%al, $0xed
	dec	%ecx
	jnz	1b
	xor	%al, %al
	out	%al, $EXIT_PORT
2:	jmp	2b
