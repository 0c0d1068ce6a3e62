/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flat protected mode: segments of 4 GiB from 0, no paging. ESI points to the command line.
 *
 *	kinglet run flat32.bin --flat 0x100000,mode=32 --append 'hello'
 */
#define BITS 32
#include "asm.h"

	.code32
	.globl	_start
_start:
	mov	%esi, %edi		/* the command line */
	call	1f			/* EIP can only be read by CALL */
1:	pop	%ebx
	sub	$(1b - _start), %ebx

	mov	%cr0, %eax
	and	$0x80000001, %eax	/* PG and PE */
	cmp	$1, %eax
	jne	wrong

	print	"32-bit at "
	print_hex
	print	": "
	mov	%edi, %esi
	print_string
	print	"\n"
	exit	0

wrong:	exit	1
