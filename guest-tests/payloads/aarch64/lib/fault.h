/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Synchronous exceptions. An unexpected one ends the run with a line that says where.
 */
#ifndef PAYLOAD_FAULT_H
#define PAYLOAD_FAULT_H

#include "guest.h"

/* ESR_EL1: exception class and, for an abort, its kind (Arm ARM D13.2.37). */
enum {
	FAULT_CLASS_SHIFT = 26,
	FAULT_CLASS_MASK = 0x3f, /* KVM 6.1 makes the 32 bits above a copy of bit 31 */
	FAULT_DATA_ABORT = 0x25, /* from EL1 itself */
	FAULT_STATUS_MASK = 0x3f,
	FAULT_STATUS_EXTERNAL = 0x10, /* the bus answered with an error */
};

/* While this is set, an instruction that faults is skipped. */
extern volatile bool faults_expected;
extern volatile unsigned fault_count;
extern volatile uint64_t fault_syndrome; /* ESR_EL1 of the last one */

#endif
