/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Can this KVM run Linux? A flat 64-bit binary that writes 0 to the exit port when it can. It does
 * what every x86_64 kernel does before its first line of output, and what a KVM that interprets
 * its guests, for want of virtualisation hardware, cannot do: CMPXCHG16B, INT3 through the IDT,
 * CPUID as the VMM set it. Such a KVM ends the run with an internal error.
 */
	.globl _start
_start:
	xorl	%eax, %eax
	xorl	%edx, %edx
	movl	$1, %ebx
	xorl	%ecx, %ecx
	lock cmpxchg16b pair(%rip)
	cmpl	$1, pair(%rip)
	jne	unfit

	movl	$0x40000000, %eax	/* the hypervisor leaf of KVM: KVMKVMKVM */
	cpuid
	cmpl	$0x4b4d564b, %ebx
	jne	unfit

	leaq	trapped(%rip), %rax
	movw	%ax, gate(%rip)
	shrq	$16, %rax
	movw	%ax, gate + 6(%rip)
	movw	%cs, gate + 2(%rip)
	leaq	idt(%rip), %rax
	movq	%rax, idtr + 2(%rip)
	lidt	idtr(%rip)
	int3
unfit:
	movb	$1, %al
	jmp	leave
trapped:
	xorl	%eax, %eax
leave:
	outb	%al, $0xf4

	.balign	16
pair:	.quad	0, 0
idt:	.skip	3 * 16
gate:	.word	0, 0, 0x8e00, 0		/* interrupt gate, present, ring 0; below 4 GiB */
	.quad	0
idtr:	.word	idtr - idt - 1
	.quad	0
