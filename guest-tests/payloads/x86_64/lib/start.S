/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 64-bit entry of Linux (Documentation/x86/boot.rst): long mode, the first 4 GiB
 * identity-mapped, RSI points to the zero page. There is no stack yet.
 */
	.code64
	.section .text.start, "ax"
	.globl	_start
_start:
	lea	stack_end(%rip), %rsp
	mov	%rsi, %rdi
	call	main
	mov	%eax, %edi
	call	exit_guest

	.section .bss
	.balign	16
	.skip	16384
stack_end:
	.section .note.GNU-stack, "", @progbits
