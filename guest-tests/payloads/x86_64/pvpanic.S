/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports a panic to the host. The port reads as the supported events. Status 102.
 *
 *	kinglet run pvpanic.bin --flat 0x1000,mode=16
 */
#define BITS 16
#include "asm.h"

	.code16
	.globl	_start
_start:
	mov	$PVPANIC_PORT, %dx
	in	%dx, %al
	cmp	$3, %al			/* panicked, crash kernel loaded */
	jne	wrong
	mov	$2, %al			/* a crash kernel takes over: the run goes on */
	out	%al, %dx
	mov	$1, %al			/* panicked: it ends */
	out	%al, %dx
1:	jmp	1b

wrong:	exit	1
