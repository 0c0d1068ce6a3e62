/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entry of PVH and of Multiboot 1: flat protected mode, no paging, EBX points to the loader's
 * information. Each protocol is recognised by its header in the image; link one of them.
 */
	.code32
	.section .text.start, "ax"
	.globl	_start
_start:
	mov	$stack_end, %esp
	mov	%eax, loader_magic
	push	%ebx
	call	main
	push	%eax
	call	exit_guest

	.section .bss
	.balign	16
	.skip	16384
stack_end:
	.globl	loader_magic
loader_magic:
	.skip	4
	.section .note.GNU-stack, "", @progbits
