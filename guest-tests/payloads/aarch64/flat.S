/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entry of a flat binary: EL1, MMU off, X0 points to the device tree.
 *
 *	kinglet run flat.bin --flat 0x40200000
 */
#include "asm.h"

	.globl	_start
_start:
	mov	x19, x0
	adr	x20, _start

	mrs	x0, CurrentEL
	cmp	x0, #1 << 2
	b.ne	wrong
	mrs	x0, sctlr_el1
	tbnz	x0, #0, wrong		/* M: the MMU */
	ldr	w0, [x19]
	rev	w0, w0
	ldr	w1, =0xd00dfeed		/* the device tree's magic, big-endian */
	cmp	w0, w1
	b.ne	wrong

	print	"EL1 at "
	print_hex x20
	print	"\n"
	exit	0

wrong:	exit	1
