/* SPDX-License-Identifier: Apache-2.0 */
/* The guests of probe.c, and the loop that they time. Nothing in them depends on where it lies. */
#include "probe_guests.h"

/* Ticks of the generic timer for the loop, in X0. */
.macro	time_loop
	isb
	mrs	x1, cntvct_el0
	movz	w2, #(PROBE_ROUNDS & 0xffff)
	movk	w2, #(PROBE_ROUNDS >> 16), lsl #16
9:	subs	w2, w2, #1
	b.ne	9b
	isb
	mrs	x0, cntvct_el0
	sub	x0, x0, x1
.endm

/* Leaves with the status in W0. */
.macro	leave
	movz	x1, #(PROBE_EXIT_BASE >> 16), lsl #16
	strb	w0, [x1]
8:	wfi
	b	8b
.endm

	.section .rodata

/* The fewest ticks of several attempts: whoever takes the CPU away now and then changes nothing. */
	.globl	probe_speed, probe_speed_end
	.balign	16
probe_speed:
	mov	w5, #PROBE_ATTEMPTS
	mov	x6, #-1
1:	time_loop
	cmp	x0, x6
	csel	x6, x0, x6, lo
	subs	w5, w5, #1
	b.ne	1b
	orr	x6, x6, #1
	clz	x6, x6
	mov	w0, #63
	sub	w0, w0, w6
	leave
probe_speed_end:

/* What Linux relies on at its start: that it is at EL1, and PSCI 0.2 or newer behind HVC. */
	.globl	probe_linux, probe_linux_end
	.balign	16
probe_linux:
	mrs	x0, CurrentEL
	cmp	x0, #(1 << 2)
	b.ne	2f
	movz	x0, #0x8400, lsl #16	/* PSCI_VERSION */
	hvc	#0
	cmp	w0, #2			/* negative: not supported */
	b.lt	2f
	mov	w0, #0
	b	3f
2:	mov	w0, #1
3:	leave
probe_linux_end:

/* unsigned arch_host_rounds(void): the loop once, on this CPU; returns its ticks. */
	.text
	.globl	arch_host_rounds
	.type	arch_host_rounds, %function
	.balign	16
arch_host_rounds:
	time_loop
	ret
	.size	arch_host_rounds, . - arch_host_rounds

	.section .note.GNU-stack, "", %progbits
