/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For payloads in assembler. Define BITS as 16, 32 or 64 first: the mode that the code runs in.
 * All code is position-independent.
 */
#define COM1 0x3f8
#define EXIT_PORT 0xf4
#define I8042_COMMAND 0x64
#define PVPANIC_PORT 0x505
#define POWER_PORT 0x600

#if BITS == 16
#define REG(n) %n
#elif BITS == 32
#define REG(n) %e##n
#else
#define REG(n) %r##n
#endif

/*
 * Prints a text. REP OUTSB is one instruction, but with KVM an exit for each byte. CALL pushes the
 * address after it, which is that of the text. Changes SI, CX and DX.
 */
.macro print text
	call	2f
1:	.ascii	"\text"
2:	pop	REG(si)
	mov	$(2b - 1b), REG(cx)
	mov	$COM1, %dx
	rep outsb
.endm

/* Prints the string at SI up to its NUL. Changes AL, DX and SI. */
.macro print_string
	mov	$COM1, %dx
1:	lodsb
	test	%al, %al
	jz	2f
	out	%al, %dx
	jmp	1b
2:
.endm

/*
 * Prints BX in hexadecimal, all its digits, the most significant one first. Changes AL, CX and DX.
 */
.macro print_hex
	mov	$COM1, %dx
	mov	$(BITS / 4), REG(cx)
1:	rol	$4, REG(bx)
	mov	%bl, %al
	and	$15, %al
	cmp	$10, %al
	jb	2f
	add	$('a' - '0' - 10), %al
2:	add	$'0', %al
	out	%al, %dx
	dec	REG(cx)
	jnz	1b
.endm

/* Ends the run: Kinglet's exit status is the byte written. The write is the guest's last act. */
.macro exit status
	mov	$\status, %al
	out	%al, $EXIT_PORT
.endm
