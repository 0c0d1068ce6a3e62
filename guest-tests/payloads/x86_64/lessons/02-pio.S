/* SPDX-License-Identifier: Apache-2.0 */
/* Lesson 2: port I/O. One byte printed, one byte stored, and many read with one instruction. */
COM1 = 0x3f8
SCRATCH = COM1 + 7		/* a register that only stores a byte */
EXIT_PORT = 0xf4

	.code16
	.globl	_start
_start:
	mov	$COM1, %dx
	mov	$'!', %al
	out	%al, %dx
	mov	$'\n', %al
	out	%al, %dx

	mov	$SCRATCH, %dx
	mov	$42, %al
	out	%al, %dx

	xor	%ax, %ax
	mov	%ax, %es
	mov	$0x5000, %di
	mov	$8, %cx
	rep insb			/* eight times 42, to 0x5000 */

	mov	%es:0x5007, %al		/* the last of them */
	out	%al, $EXIT_PORT
	hlt				/* until Kinglet stops the guest */
