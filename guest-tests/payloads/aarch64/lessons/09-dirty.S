/* SPDX-License-Identifier: Apache-2.0 */
/* Lesson 9: a guest that writes to a few pages and marks each round. */
ROUND = 0x10030000
PAGES = 0x40020000

	.globl	_start
_start:
	mov	x1, #ROUND
	strb	wzr, [x1]		/* nothing written yet */

	ldr	x2, =PAGES
	mov	w0, #1
	strb	w0, [x2, #0x123]	/* page 0x40020, twice: it is dirty once */
	strb	w0, [x2, #0x456]
	add	x3, x2, #0x3000
	strb	w0, [x3]		/* page 0x40023 */
	strb	wzr, [x1]

	strb	wzr, [x3, #0xfff]	/* page 0x40023 again: clean since the last round */
	strb	wzr, [x1]

	ldr	x3, =PAGES + 0x7ff8
	stp	x0, x0, [x3]		/* sixteen bytes, across a page boundary */
	strb	wzr, [x1]

	movz	w0, #0x8400, lsl #16	/* PSCI SYSTEM_OFF */
	movk	w0, #8
	hvc	#0
