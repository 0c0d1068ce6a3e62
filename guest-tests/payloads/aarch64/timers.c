/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts that are a CPU's own: both of its timers that a guest may use, and one by software.
 *
 *	kinglet run timers.img
 */
#include "gic.h"

enum { TIMER_ENABLE = 1, TICKS = 3, SOFTWARE = 5 };

static volatile unsigned virtual_ticks, physical_ticks, signals;

/* A timer is a level: it stands until the next time is set. A thousandth of a second. */
static uint64_t next_tick(void)
{
	uint64_t hertz;

	asm volatile("mrs %0, cntfrq_el0" : "=r"(hertz));
	return hertz / 1000;
}

static void virtual_tick(void)
{
	virtual_ticks++;
	asm volatile("msr cntv_tval_el0, %0; isb" : : "r"(next_tick()));
}

static void physical_tick(void)
{
	physical_ticks++;
	asm volatile("msr cntp_tval_el0, %0; isb" : : "r"(next_tick()));
}

static void signal_arrived(void)
{
	signals++;
}

static void test_virtual(void)
{
	gic_set(GIC_VIRTUAL_TIMER, virtual_tick);
	asm volatile("msr cntv_tval_el0, %0" : : "r"(next_tick()));
	asm volatile("msr cntv_ctl_el0, %0; isb" : : "r"((uint64_t)TIMER_ENABLE));
	for (unsigned i = 0; i < TICKS; i++)
		irq_wait(&virtual_ticks, i);
	asm volatile("msr cntv_ctl_el0, xzr; isb");
	print("virtual timer\n");
}

static void test_physical(void)
{
	gic_set(GIC_PHYSICAL_TIMER, physical_tick);
	asm volatile("msr cntp_tval_el0, %0" : : "r"(next_tick()));
	asm volatile("msr cntp_ctl_el0, %0; isb" : : "r"((uint64_t)TIMER_ENABLE));
	for (unsigned i = 0; i < TICKS; i++)
		irq_wait(&physical_ticks, i);
	asm volatile("msr cntp_ctl_el0, xzr; isb");
	print("physical timer\n");
}

/* ICC_SGI1R_EL1: interrupt in bits 24 to 27, the first CPU in bit 0 of the list. */
static void test_software(void)
{
	gic_set(GIC_SGIS + SOFTWARE, signal_arrived);
	asm volatile("msr s3_0_c12_c11_5, %0; isb" : : "r"((uint64_t)SOFTWARE << 24 | 1));
	irq_wait(&signals, 0);
	print("interrupt by software\n");
}

int main(const void *handoff)
{
	(void)handoff;
	irq_init();
	test_virtual();
	test_physical();
	test_software();
	return 0;
}
