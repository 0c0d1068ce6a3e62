/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GICv3 and its ITS, for the first CPU. (Arm IHI 0069: GIC architecture version 3)
 */
#ifndef PAYLOAD_GIC_H
#define PAYLOAD_GIC_H

#include "irq.h"

enum {
	GIC_SGIS = 0,	 /* software-generated: 16 */
	GIC_PPIS = 16,	 /* private to a CPU: 16 */
	GIC_SPIS = 32,	 /* shared */
	GIC_LPIS = 8192, /* messages */

	GIC_VIRTUAL_TIMER = 27,
	GIC_PHYSICAL_TIMER = 30,
};

/* Calls the handler for an SGI, PPI or SPI below 64; NULL masks it. After irq_init(). */
void gic_set(unsigned intid, irq_handler *handler);

/* its.c: message `number` of the function with this requester id becomes this LPI. */
void its_init(void);
struct irq_message its_map(unsigned requester, unsigned number, unsigned lpi);

#endif
