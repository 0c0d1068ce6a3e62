/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports a panic to the host. The register reads as the supported events. Status 102.
 *
 *	kinglet run pvpanic.bin --flat 1G
 */
#include "asm.h"

	.globl	_start
_start:
	mov	x1, #PVPANIC_BASE
	ldrb	w0, [x1]
	cmp	w0, #3			/* panicked, crash kernel loaded */
	b.ne	wrong
	mov	w0, #2			/* a crash kernel takes over: the run goes on */
	strb	w0, [x1]
	mov	w0, #1			/* panicked: it ends */
	strb	w0, [x1]
1:	b	1b

wrong:	exit	1
