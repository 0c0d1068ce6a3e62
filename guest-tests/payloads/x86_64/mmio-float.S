/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floating-point arithmetic on an address without memory. KVM would have to emulate the
 * instruction, which it cannot: KVM_EXIT_INTERNAL_ERROR with its bytes, status 104.
 *
 *	kinglet run mmio-float.bin --flat 0x100000,mode=32
 */
	.code32
	.globl	_start
_start:
	mov	$0x12345678, %ebx
	fiaddl	0xd0000000
