/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A boot sector: real mode, 512 bytes, no BIOS.
 *
 *	kinglet run flat16.bin --flat 0x7c00,mode=16
 *
 * CS * 16 + IP is the address it was loaded at. Below 64 KiB Kinglet sets CS to 0, as a PC's
 * firmware does; above, IP starts at 0. DS and ES equal CS, so that data is found where code is.
 */
#define BITS 16
#include "asm.h"

	.code16
	.globl	_start
_start:
	call	1f			/* pushes the address of the next instruction */
1:	pop	%bp
	sub	$(1b - _start), %bp	/* IP at the entry */

	smsw	%ax			/* the low half of CR0 */
	test	$1, %al			/* PE, protected mode: must be clear */
	jnz	wrong

	print	"16-bit at "
	mov	%cs, %bx
	print_hex
	print	":"
	mov	%bp, %bx
	print_hex
	print	"\n"
	exit	0

wrong:	exit	1

	.org	510			/* the boot signature */
	.word	0xaa55
