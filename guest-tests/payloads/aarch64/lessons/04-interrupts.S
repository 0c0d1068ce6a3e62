/* SPDX-License-Identifier: Apache-2.0 */
/* Lesson 4: the CPU's own timer, through a GICv3. */
GICD = 0x08000000		/* the distributor, shared */
GICR_PRIVATE = 0x080b0000	/* the first CPU's redistributor: page of SGIs and PPIs */
CTLR = 0			/* registers of both */
GROUP = 0x080
ENABLE = 0x100
TIMER = 27			/* INTID of the virtual timer, on every arm64 machine */
EXIT = 0x10030000

	.globl	_start
_start:
	adr	x0, vectors
	msr	vbar_el1, x0

	mov	x1, #GICD
	mov	w0, #0x12		/* affinity routing, group 1 */
	str	w0, [x1, #CTLR]
	ldr	x1, =GICR_PRIVATE
	mov	w0, #(1 << TIMER)
	str	w0, [x1, #GROUP]
	str	w0, [x1, #ENABLE]
	mov	x0, #0xff
	msr	s3_0_c4_c6_0, x0	/* ICC_PMR_EL1: unmask all priorities */
	mov	x0, #1
	msr	s3_0_c12_c12_7, x0	/* ICC_IGRPEN1_EL1: enable group 1 */
	isb

	mrs	x4, cntfrq_el0		/* ticks in a second */
	lsr	x4, x4, #8		/* 256 times a second */
	msr	cntv_tval_el0, x4	/* from now on */
	mov	x0, #1
	msr	cntv_ctl_el0, x0

	mov	w5, #0
	msr	daifclr, #2		/* enable interrupts */
sleep:	wfi				/* until an interrupt */
	cmp	w5, #3
	b.lo	sleep
	mov	x1, #EXIT
	strb	w5, [x1]
	wfi

tick:	mrs	x0, s3_0_c12_c12_0	/* ICC_IAR1_EL1: which interrupt? */
	add	w5, w5, #1
	msr	cntv_tval_el0, x4	/* restart; lowers the timer's line */
	msr	s3_0_c12_c12_1, x0	/* ICC_EOIR1_EL1: end of interrupt */
	eret

	.balign	2048
vectors:
	.skip	0x280			/* IRQ at EL1, with its own stack pointer */
	b	tick
