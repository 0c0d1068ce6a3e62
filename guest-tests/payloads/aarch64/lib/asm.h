/* SPDX-License-Identifier: Apache-2.0 */
/* For payloads in assembler. All code is position-independent. */
#define SERIAL_BASE 0x10000000
#define PVPANIC_BASE 0x10020000
#define EXIT_BASE 0x10030000

#define PSCI_SYSTEM_OFF 0x84000008
#define PSCI_SYSTEM_RESET 0x84000009

/* Calls the firmware, which KVM implements. Changes X0 to X3. */
.macro psci function
	movz	w0, #(\function & 0xffff)
	movk	w0, #(\function >> 16), lsl #16
	hvc	#0
.endm

/* Prints a text. Changes X0 to X2. */
.macro print text
	mov	x2, #SERIAL_BASE
	adr	x1, 3f
1:	ldrb	w0, [x1], #1
	cbz	w0, 2f
	strb	w0, [x2]
	b	1b
2:	b	4f
3:	.asciz	"\text"
	.balign	4
4:
.endm

/* Prints a register in hexadecimal, all its digits, the most significant one first. */
.macro print_hex register
	mov	x2, #SERIAL_BASE
	mov	x1, #64
1:	sub	x1, x1, #4
	lsr	x0, \register, x1
	and	w0, w0, #15
	cmp	w0, #10
	add	w0, w0, #'0'
	b.lo	2f
	add	w0, w0, #('a' - '0' - 10)
2:	strb	w0, [x2]
	cbnz	x1, 1b
.endm

/* Ends the run: Kinglet's exit status is the byte written. The write is the guest's last act. */
.macro exit status
	mov	x1, #EXIT_BASE
	mov	w0, #\status
	strb	w0, [x1]
1:	b	1b
.endm
