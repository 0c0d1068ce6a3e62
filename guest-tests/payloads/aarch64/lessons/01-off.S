/* SPDX-License-Identifier: Apache-2.0 */
/* Lesson 1: the smallest guest that ends. */
SYSTEM_OFF = 0x84000008		/* PSCI function; PSCI is the firmware of arm64 machines */

	.globl	_start
_start:
	movz	w0, #(SYSTEM_OFF >> 16), lsl #16
	movk	w0, #(SYSTEM_OFF & 0xffff)
	hvc	#0
