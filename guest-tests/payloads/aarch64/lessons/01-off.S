/* SPDX-License-Identifier: Apache-2.0 */
/* Lesson 1: the smallest guest that ends. */
SYSTEM_OFF = 0x84000008		/* of PSCI, an arm64 machine's firmware */

	.globl	_start
_start:
	movz	w0, #(SYSTEM_OFF >> 16), lsl #16
	movk	w0, #(SYSTEM_OFF & 0xffff)
	hvc	#0
