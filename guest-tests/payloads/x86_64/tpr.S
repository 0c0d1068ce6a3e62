/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lowers the task priority, CR8. Without an in-kernel local APIC, KVM reports this to a monitor
 * that may have interrupts to deliver: KVM_EXIT_SET_TPR. Kinglet has none, and the run continues to
 * HLT: status 0.
 *
 *	kinglet run tpr.bin --flat 0x1000 --irqchip off
 */
	.code64
	.globl	_start
_start:
	mov	$15, %eax
	mov	%rax, %cr8
	xor	%eax, %eax
	mov	%rax, %cr8
	hlt
