/* SPDX-License-Identifier: Apache-2.0 */
/* The program of guest/init.c, byte for byte: see include/cmd/guest_init.h. */
	.section .rodata
	.globl	guest_init, guest_init_len
	.type	guest_init, %object
	.type	guest_init_len, %object
guest_init:
	.incbin	GUEST_INIT
guest_init_end:
	.balign	4
guest_init_len:
	.long	guest_init_end - guest_init

	.section .note.GNU-stack, "", %progbits
