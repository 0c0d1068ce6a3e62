/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guests of probe.c, and the loop that they time. Nothing in them depends on where it lies, but
 * for probe_linux, which lies below 4 GiB.
 */
#include "probe_guests.h"

/* CX registers are written out: the loop counts in 32 bits in every mode. */
.macro	loop_rounds
	movl	$PROBE_ROUNDS, %ecx
9:	decl	%ecx
	jnz	9b
.endm

/* The fewest ticks of several attempts: whoever takes the CPU away now and then changes nothing. */
.macro	speed_guest name
	.globl	\name, \name\()_end
	.balign	16
\name:
	movl	$PROBE_ATTEMPTS, %ebx
	movl	$-1, %edi
1:	rdtsc
	movl	%eax, %esi
	loop_rounds
	rdtsc
	subl	%esi, %eax
	cmpl	%edi, %eax
	jae	2f
	movl	%eax, %edi
2:	decl	%ebx
	jnz	1b
	bsrl	%edi, %eax
	outb	%al, $PROBE_EXIT_PORT
\name\()_end:
.endm

	.section .rodata
	.code16
	speed_guest probe_speed_16
	.code32
	speed_guest probe_speed_32
	.code64
	speed_guest probe_speed_64

/*
 * What every x86_64 kernel does before its first line of output, and what a KVM that interprets its
 * guests cannot: CMPXCHG16B, CPUID as the VMM set it, INT3 through the IDT. Such a KVM ends the run
 * with an internal error.
 */
	.globl	probe_linux, probe_linux_end
	.balign	16
probe_linux:
	xorl	%eax, %eax
	xorl	%edx, %edx
	movl	$1, %ebx
	xorl	%ecx, %ecx
	lock cmpxchg16b .Lpair(%rip)
	cmpl	$1, .Lpair(%rip)
	jne	.Lunfit

	movl	$0x40000000, %eax	/* the hypervisor leaf of KVM: KVMKVMKVM */
	cpuid
	cmpl	$0x4b4d564b, %ebx
	jne	.Lunfit

	leaq	.Ltrapped(%rip), %rax
	movw	%ax, .Lgate(%rip)
	shrq	$16, %rax
	movw	%ax, .Lgate + 6(%rip)
	movw	%cs, .Lgate + 2(%rip)
	leaq	.Lidt(%rip), %rax
	movq	%rax, .Lidtr + 2(%rip)
	lidt	.Lidtr(%rip)
	int3
.Lunfit:
	movb	$1, %al
	jmp	.Lleave
.Ltrapped:
	xorl	%eax, %eax
.Lleave:
	outb	%al, $PROBE_EXIT_PORT

	.balign	16
.Lpair:	.quad	0, 0
.Lidt:	.skip	3 * 16
.Lgate:	.word	0, 0, 0x8e00, 0		/* interrupt gate, present, ring 0; below 4 GiB */
	.quad	0
.Lidtr:	.word	.Lidtr - .Lidt - 1
	.quad	0
probe_linux_end:

/* unsigned arch_host_rounds(void): the loop once, on this CPU; returns its ticks. */
	.text
	.globl	arch_host_rounds
	.type	arch_host_rounds, @function
	.balign	16
arch_host_rounds:
	rdtsc
	movl	%eax, %esi
	loop_rounds
	rdtsc
	subl	%esi, %eax
	ret
	.size	arch_host_rounds, . - arch_host_rounds

	.section .note.GNU-stack, "", @progbits
