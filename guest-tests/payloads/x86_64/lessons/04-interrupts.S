/* SPDX-License-Identifier: Apache-2.0 */
/* Lesson 4: a timer that interrupts the CPU, in real mode, through the PC's original PIC. */
PIC = 0x20			/* command port; data at the next port */
PIT_CHANNEL_0 = 0x40
PIT_COMMAND = 0x43
TIMER_VECTOR = 0x20
EXIT_PORT = 0xf4

	.macro write port, value
	mov	$\value, %al
	out	%al, $\port
	.endm

	.code16
	.globl	_start
_start:
	/* Real mode's interrupt table: at 4 * vector, the handler's offset, then its segment. */
	xor	%ax, %ax
	mov	%ax, %ds
	call	1f
1:	pop	%bx
	add	$(tick - 1b), %bx
	mov	%bx, 4 * TIMER_VECTOR
	mov	%cs, 4 * TIMER_VECTOR + 2

	write	PIC, 0x11		/* ICW1: edge-triggered, ICW4 follows */
	write	PIC + 1, TIMER_VECTOR	/* ICW2: pin 0 is this vector, pin 1 the next */
	write	PIC + 1, 4		/* ICW3: a second PIC is on pin 2 */
	write	PIC + 1, 1		/* ICW4: 8086 mode */
	write	PIC + 1, 0xfe		/* mask all but pin 0, the timer */

	write	PIT_COMMAND, 0x34	/* channel 0, low byte then high, periodic */
	write	PIT_CHANNEL_0, 0	/* 1,193,182 / 0x1000: 291 times a second */
	write	PIT_CHANNEL_0, 0x10

	xor	%cx, %cx
sleep:	sti
	hlt				/* until an interrupt has been handled */
	cmp	$3, %cx
	jb	sleep
	mov	%cl, %al
	out	%al, $EXIT_PORT
	cli
	hlt

tick:	inc	%cx
	write	PIC, 0x20		/* end of interrupt: allows the next one */
	iret
