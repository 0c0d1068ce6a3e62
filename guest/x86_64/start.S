/* SPDX-License-Identifier: Apache-2.0 */
/* Entry of a static program, and its system call: see sys.h. */
	.text
	.globl	_start
_start:
	xor	%ebp, %ebp
	mov	%rsp, %rdi
	call	init_main
	hlt

	.globl	sys_call
sys_call:
	mov	%rdi, %rax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	mov	%rcx, %rdx
	mov	%r8, %r10
	mov	%r9, %r8
	xor	%r9d, %r9d
	syscall
	ret

	.section .note.GNU-stack, "", @progbits
