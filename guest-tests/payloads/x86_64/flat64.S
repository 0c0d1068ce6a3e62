/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Long mode: the first 4 GiB of physical addresses are identity-mapped. RSI points to the command
 * line.
 *
 *	kinglet run flat64.bin --flat 0x200000,mode=64 --append 'hello'
 */
#define BITS 64
#include "asm.h"

#define MSR_EFER 0xc0000080
#define EFER_LMA (1 << 10)

	.code64
	.globl	_start
_start:
	mov	%rsi, %rdi		/* the command line */
	lea	_start(%rip), %rbx

	mov	$MSR_EFER, %ecx
	rdmsr
	test	$EFER_LMA, %eax		/* long mode is active */
	jz	wrong

	print	"64-bit at "
	print_hex
	print	": "
	mov	%rdi, %rsi
	print_string
	print	"\n"
	exit	0

wrong:	exit	1
