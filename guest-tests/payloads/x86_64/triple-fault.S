/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exception whose handler cannot be invoked is a double fault; if the double-fault handler
 * cannot be invoked either, it is a triple fault, and the CPU shuts down: KVM_EXIT_SHUTDOWN, status
 * 103.
 *
 *	kinglet run triple-fault.bin --flat 0x100000,mode=32
 */
	.code32
	.globl	_start
_start:
	lidt	no_idt - _start + 0x100000
	ud2

	.balign	8
no_idt:	.word	0			/* limit 0: not even one byte of a table */
	.long	0
