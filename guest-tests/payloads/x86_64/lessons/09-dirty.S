/* SPDX-License-Identifier: Apache-2.0 */
/* Lesson 9: a guest that writes to a few pages and marks each round. */
ROUND_PORT = 0xf4

	.code16
	.globl	_start
_start:
	out	%al, $ROUND_PORT	/* nothing written yet */

	mov	$0x2000, %ax		/* segments count in 16 bytes: 0x20000 */
	mov	%ax, %ds
	movb	$1, 0x0123		/* page 0x20, twice: it is dirty once */
	movb	$1, 0x0456
	movb	$1, 0x3000		/* page 0x23 */
	out	%al, $ROUND_PORT

	movb	$0, 0x3fff		/* page 0x23 again: clean since the last round */
	out	%al, $ROUND_PORT

	movw	$-1, 0x7fff		/* two bytes, across a page boundary */
	out	%al, $ROUND_PORT
	hlt
