/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random accesses: any width, any value, anywhere.
 */
#ifndef PAYLOAD_STORM_H
#define PAYLOAD_STORM_H

#include "guest.h"

/* Below `sides`; the same sequence in each run. */
unsigned dice(unsigned sides);

/* All ones, all zeroes, or anything. */
uint32_t dice_value(void);

/* Reads or writes there, up to eight bytes. */
void storm_memory(uintptr_t address);

/*
 * `rounds` accesses to the devices of this machine that are not on PCI, except registers that print
 * or end the run. Restores what the guest itself needs.
 */
void storm_platform(unsigned rounds);

#endif
