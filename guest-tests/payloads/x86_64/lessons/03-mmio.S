/* SPDX-License-Identifier: Apache-2.0 */
/* Lesson 3: memory that is a device, and addresses without a device. */
ECAM = 0xe0000000		/* PCI configuration space, mapped into memory */
NOBODY = 0xd0000000
EXIT_PORT = 0xf4

	.code32
	.globl	_start
_start:
	movl	$7, 0x5000		/* RAM: no exit */
	movl	0x5000, %ebx

	movl	ECAM, %eax		/* the host bridge: vendor 1b36, device 0008 */
	cmpl	$0x00081b36, %eax
	jne	wrong

	movw	$0x1234, NOBODY		/* lost */
	movw	NOBODY, %ax		/* all ones, as an empty bus reads */
	cmpw	$0xffff, %ax
	jne	wrong

	jmp	leave
wrong:
	mov	$1, %bl
leave:
	movb	%bl, %al
	out	%al, $EXIT_PORT
	hlt
