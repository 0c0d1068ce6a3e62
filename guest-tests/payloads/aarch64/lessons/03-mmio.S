/* SPDX-License-Identifier: Apache-2.0 */
/* Lesson 3: memory that is a device, and addresses without a device. */
RAM = 0x40001000
ECAM = 0x3f000000		/* PCI configuration space, mapped into memory */
NOBODY = 0x18000000
SERIAL = 0x10000000
EXIT = 0x10030000

	.globl	_start
_start:
	ldr	x1, =RAM		/* RAM: no exit */
	mov	w0, #7
	str	w0, [x1]
	ldr	w5, [x1]

	mov	x1, #SERIAL
	mov	w0, #'!'
	strb	w0, [x1]
	mov	w0, #'\n'
	strb	w0, [x1]

	mov	x1, #ECAM
	ldr	w0, [x1]		/* the host bridge: vendor 1b36, device 0008 */
	ldr	w2, =0x00081b36
	cmp	w0, w2
	b.ne	wrong

	mov	x1, #NOBODY
	mov	w0, #0x1234
	strh	w0, [x1]		/* lost */
	ldrh	w0, [x1]		/* all ones, as an empty bus reads */
	mov	w2, #0xffff
	cmp	w0, w2
	b.eq	leave
wrong:
	mov	w5, #1
leave:
	mov	x1, #EXIT
	strb	w5, [x1]
	wfi
