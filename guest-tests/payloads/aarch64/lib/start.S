/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An arm64 Image (Documentation/arm64/booting.rst): its header, then the entry at EL1, with the MMU
 * off and the device tree's address in X0. RAM is zero, so .bss is.
 */
	.section .text.start, "ax"
	.globl	_start
_start:
	b	first_cpu
	.word	0
	.quad	0			/* text_offset from a 2 MiB boundary: 0 */
	.quad	image_size
	.quad	0xa			/* flags: little-endian, pages of 4 KiB, anywhere in RAM */
	.quad	0, 0, 0
	.ascii	"ARM\x64"
	.word	0

first_cpu:
	adrp	x1, stack_end
	add	sp, x1, :lo12:stack_end
	bl	enter_memory
	bl	main
	bl	exit_guest

/* Entry of the other CPUs (cpus.c): X0 is the end of a stack, which holds the function to call. */
	.globl	next_cpu
next_cpu:
	mov	sp, x0
	bl	enter_memory
	ldr	x1, [sp]
	blr	x1
	mov	w0, #2			/* PSCI CPU_OFF */
	movk	w0, #0x8400, lsl #16
	hvc	#0
	b	.

/*
 * MMU and caches on. Kinglet accesses RAM through the caches; a CPU without its MMU bypasses them.
 * (Arm ARM D13.2: MAIR_EL1, TCR_EL1, SCTLR_EL1) Keeps X0.
 */
enter_memory:
	adrp	x1, vectors
	add	x1, x1, :lo12:vectors
	msr	vbar_el1, x1
	mov	x1, #0xff04		/* attribute 0: Device-nGnRE; 1: Normal, write-back */
	msr	mair_el1, x1
	mov	x1, #25			/* T0SZ: 39 bits, the walk begins at level 1 */
	movk	x1, #0x0080, lsl #16	/* EPD1: nothing in the upper half; tables not cached */
	movk	x1, #2, lsl #32		/* IPS: 40 bits out */
	msr	tcr_el1, x1
	adrp	x1, memory_map
	add	x1, x1, :lo12:memory_map
	msr	ttbr0_el1, x1
	isb
	mrs	x1, sctlr_el1
	mov	x2, #0x1005		/* I, C, M: caches and MMU */
	orr	x1, x1, x2
	msr	sctlr_el1, x1
	isb
	ret

/* --- Exceptions (Arm ARM D1.10.2): sixteen entries, of which those from EL1 are used --- */

.macro	save_and_call function
	stp	x29, x30, [sp, #-176]!
	stp	x0, x1, [sp, #16]
	stp	x2, x3, [sp, #32]
	stp	x4, x5, [sp, #48]
	stp	x6, x7, [sp, #64]
	stp	x8, x9, [sp, #80]
	stp	x10, x11, [sp, #96]
	stp	x12, x13, [sp, #112]
	stp	x14, x15, [sp, #128]
	stp	x16, x17, [sp, #144]
	str	x18, [sp, #160]
	bl	\function
	ldr	x18, [sp, #160]
	ldp	x16, x17, [sp, #144]
	ldp	x14, x15, [sp, #128]
	ldp	x12, x13, [sp, #112]
	ldp	x10, x11, [sp, #96]
	ldp	x8, x9, [sp, #80]
	ldp	x6, x7, [sp, #64]
	ldp	x4, x5, [sp, #48]
	ldp	x2, x3, [sp, #32]
	ldp	x0, x1, [sp, #16]
	ldp	x29, x30, [sp], #176
	eret
.endm

on_fault:
	save_and_call fault_taken
on_irq:
	save_and_call irq_taken

.macro	vector target
	.balign	128
	b	\target
.endm

	.balign	2048
vectors:
	.rept	4			/* on SP_EL0: not used */
	vector	on_fault
	.endr
	vector	on_fault		/* synchronous */
	vector	on_irq
	vector	on_fault		/* FIQ */
	vector	on_fault		/* SError */
	.rept	8			/* from EL0: not used */
	vector	on_fault
	.endr

	.section .bss
	.balign	16
	.skip	16384
stack_end:
	.section .note.GNU-stack, "", %progbits
