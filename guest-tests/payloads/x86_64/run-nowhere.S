/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jumps to an address with neither memory nor a device. KVM tries to emulate the instruction there
 * and cannot fetch it: KVM_EXIT_INTERNAL_ERROR, status 104.
 *
 *	kinglet run run-nowhere.bin --flat 0x100000,mode=32
 */
	.code32
	.globl	_start
_start:
	mov	$0xd0000000, %eax
	jmp	*%eax
