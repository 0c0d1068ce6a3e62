/* SPDX-License-Identifier: Apache-2.0 */
#include "cpus.h"
#include "interrupt.h"

enum {
	TRAMPOLINE = 0x8000, /* a page below 1 MiB: its number is the start-up vector */

	ICR_INIT = 0x500,
	ICR_STARTUP = 0x600,
	ICR_ASSERT = 0x4000,
	ICR_PENDING = 0x1000,
};

/* What the trampoline reads, at its end. */
struct way {
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) gdt;
	uint32_t cr3;
	uint64_t stack;
	void (*function)(void);
} __attribute__((packed));

/*
 * From real mode straight into long mode: paging and protection are switched on in one write (SDM
 * vol. 3A §9.8.5). The GDT is that of the first CPU, with selectors 0x10 for 64-bit code and 0x18
 * for data.
 */
extern const uint8_t trampoline[], trampoline_way[];
asm(".section .rodata\n"
    "	.code16\n"
    "trampoline:\n"
    "	cli\n"
    "	xor	%ax, %ax\n"
    "	mov	%ax, %ds\n"
    "	mov	$(0x8000 + trampoline_way - trampoline), %bx\n"
    "	lgdtl	(%bx)\n"
    "	mov	$0x20, %eax\n" /* CR4.PAE */
    "	mov	%eax, %cr4\n"
    "	mov	10(%bx), %eax\n"
    "	mov	%eax, %cr3\n"
    "	mov	$0xc0000080, %ecx\n" /* EFER.LME */
    "	mov	$0x100, %eax\n"
    "	xor	%edx, %edx\n"
    "	wrmsr\n"
    "	mov	$0x80000011, %eax\n" /* CR0.PG, ET, PE */
    "	mov	%eax, %cr0\n"
    "	ljmpl	$0x10, $(0x8000 + 1f - trampoline)\n"
    "	.code64\n"
    "1:	mov	$0x18, %eax\n"
    "	mov	%eax, %ds\n"
    "	mov	%eax, %es\n"
    "	mov	%eax, %ss\n"
    "	movzwl	%bx, %ebx\n"
    "	mov	14(%rbx), %rsp\n"
    "	call	*22(%rbx)\n"
    "2:	cli\n"
    "	hlt\n"
    "	jmp	2b\n"
    "trampoline_way:\n"
    ".text\n");

static uint8_t stacks[CPUS_MAX][4096] __attribute__((aligned(16)));

static void send(unsigned apic_id, uint32_t command)
{
	lapic_write(LAPIC_ICR_HIGH, apic_id << 24);
	lapic_write(LAPIC_ICR, command);
	while (lapic_read(LAPIC_ICR) & ICR_PENDING)
		;
}

/* A second start-up interrupt finds the CPU running and does nothing. */
void cpu_wake(unsigned apic_id, unsigned page)
{
	send(apic_id, ICR_INIT | ICR_ASSERT);
	send(apic_id, ICR_STARTUP | ICR_ASSERT | page >> 12);
	send(apic_id, ICR_STARTUP | ICR_ASSERT | page >> 12);
}

static void (*volatile next)(void);
static volatile unsigned taken;

/* The trampoline is free for the next CPU. */
static void enter(void)
{
	void (*function)(void) = next;

	taken = 1;
	function();
}

int64_t cpu_start(unsigned n, void (*function)(void))
{
	size_t len = (size_t)(trampoline_way - trampoline);
	struct way way = { .stack = (uintptr_t)stacks[n] + sizeof(stacks[n]), .function = enter };
	uint64_t cr3;

	check(n < CPUS_MAX);
	asm("sgdt %0" : "=m"(way.gdt));
	asm("mov %%cr3, %0" : "=r"(cr3));
	way.cr3 = (uint32_t)cr3;
	next = function;
	taken = 0;
	memcpy((void *)TRAMPOLINE, trampoline, len);
	memcpy((void *)(TRAMPOLINE + len), &way, sizeof(way));
	cpu_wake(n, TRAMPOLINE);
	while (!taken)
		relax();
	return 0;
}
