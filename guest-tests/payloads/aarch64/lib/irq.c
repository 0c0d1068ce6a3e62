/* SPDX-License-Identifier: Apache-2.0 */
/*
 * irq.h for a GICv3: the distributor for wires, the first CPU's redistributor for SGIs and PPIs,
 * and system registers as the CPU interface.
 */
#include "gic.h"

enum { INTIDS = 64, SPURIOUS = 1020 };

static const uintptr_t distributor = 0x08000000, redistributor = 0x080a0000;

/* Offsets, the same in the distributor and in the redistributor's page for SGIs and PPIs. */
enum {
	GICD_CTLR = 0x0000,
	GIC_IGROUPR = 0x0080,
	GIC_ISENABLER = 0x0100,
	GIC_ICENABLER = 0x0180,
	GIC_ICPENDR = 0x0280,
	GICD_ICFGR = 0x0c00, /* two bits each: 2 for edges */
	GICD_IROUTER = 0x6000,
	GICR_SGI_PAGE = 0x10000,

	CTLR_GROUP_1 = 1 << 1,
	CTLR_AFFINITY_ROUTING = 1 << 4,
};

static irq_handler *handlers[INTIDS], *message_handlers[IRQ_MESSAGES];

/* From start.S. */
void irq_taken(void);

void irq_taken(void)
{
	uint64_t intid;

	asm volatile("mrs %0, s3_0_c12_c12_0" : "=r"(intid) : : "memory"); /* ICC_IAR1_EL1 */
	if (intid < INTIDS)
		handlers[intid]();
	else if (intid >= GIC_LPIS)
		message_handlers[intid % IRQ_MESSAGES]();
	else
		check(intid >= SPURIOUS);
	/* ICC_EOIR1_EL1 */
	if (intid < SPURIOUS || intid >= GIC_LPIS)
		asm volatile("msr s3_0_c12_c12_1, %0" : : "r"(intid) : "memory");
}

void irq_init(void)
{
	write32(distributor + GICD_CTLR, CTLR_AFFINITY_ROUTING | CTLR_GROUP_1);
	asm volatile("msr s3_0_c12_c12_5, %0" : : "r"(7ul));	/* ICC_SRE_EL1: by registers */
	asm volatile("isb");
	asm volatile("msr s3_0_c4_c6_0, %0" : : "r"(0xfful));	/* ICC_PMR_EL1: all priorities */
	asm volatile("msr s3_0_c12_c12_7, %0" : : "r"(1ul));	/* ICC_IGRPEN1_EL1 */
	asm volatile("isb");
	its_init();
}

/* A pending interrupt ends the wait, even one that is masked until DAIFClr. */
void irq_wait(volatile unsigned *count, unsigned old)
{
	while (*count == old) {
		asm volatile("wfi" ::: "memory");
		irq_take();
	}
}

void irq_take(void)
{
	asm volatile("msr daifclr, #2; isb; msr daifset, #2; isb" ::: "memory");
}

/* Level-triggered, for the first CPU, whose affinity is 0; clears what was pending. */
static void set_wire(unsigned intid)
{
	uintptr_t config = distributor + GICD_ICFGR + intid / 16 * 4;

	write32(config, read32(config) & ~(2u << intid % 16 * 2));
	write64(distributor + GICD_IROUTER + 8 * intid, 0);
	write32(distributor + GIC_ICPENDR + intid / 32 * 4, 1u << intid % 32);
}

void gic_set(unsigned intid, irq_handler *handler)
{
	uintptr_t page = intid < GIC_SPIS ? redistributor + GICR_SGI_PAGE : distributor;
	uintptr_t word = page + intid / 32 * 4;
	uint32_t bit = 1u << intid % 32;

	check(intid < INTIDS);
	if (!handler) {
		write32(word + GIC_ICENABLER, bit);
		return;
	}
	handlers[intid] = handler;
	write32(word + GIC_IGROUPR, read32(word + GIC_IGROUPR) | bit);
	if (intid >= GIC_SPIS)
		set_wire(intid);
	write32(word + GIC_ISENABLER, bit);
}

void irq_wire(unsigned line, irq_handler *handler)
{
	gic_set(line, handler);
}

struct irq_message irq_message(unsigned slot, unsigned number, irq_handler *handler)
{
	message_handlers[number] = handler;
	return its_map(slot << 3, number, GIC_LPIS + slot * IRQ_MESSAGES + number);
}
