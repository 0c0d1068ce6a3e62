/* SPDX-License-Identifier: Apache-2.0 */
/* Lesson 5: from protected to long mode, as every x86_64 kernel does it. */
BASE = 0x100000			/* where --flat puts us */
PML4 = 0x5000			/* three pages of tables: 512 GiB an entry, 1 GiB, 2 MiB */
PDPT = 0x6000
PD = 0x7000
CR0_PG = 1 << 31
CR4_PAE = 1 << 5
MSR_EFER = 0xc0000080
EFER_LME = 1 << 8
EFER_LMA = 1 << 10
EXIT_PORT = 0xf4

	.code32
	.globl	_start
_start:
	movl	$(PDPT | 3), PML4	/* present, writable */
	movl	$(PD | 3), PDPT
	movl	$(0x000000 | 0x83), PD	/* a large page: the first 2 MiB, identity-mapped */

	movl	$PML4, %eax
	movl	%eax, %cr3
	movl	%cr4, %eax
	orl	$CR4_PAE, %eax
	movl	%eax, %cr4

	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$EFER_LME, %eax		/* enables long mode ... */
	wrmsr
	movl	%cr0, %eax
	orl	$CR0_PG, %eax		/* ... and paging activates it */
	movl	%eax, %cr0

	lgdt	gdtr + BASE		/* a 64-bit code segment */
	ljmp	$8, $(BASE + long_mode)

	.code64
long_mode:
	mov	$0x123456789, %rbx	/* needs more than 32 bits */
	shr	$32, %rbx
	movl	$MSR_EFER, %ecx
	rdmsr
	shr	$10, %eax		/* EFER_LMA: 1 when long mode is active */
	and	%ebx, %eax
	xor	$1, %eax		/* status 0 if both are right */
	out	%al, $EXIT_PORT
	hlt

	.balign	8
gdt:	.quad	0, 0x00209a0000000000
gdtr:	.word	gdtr - gdt - 1
	.long	gdt + BASE
