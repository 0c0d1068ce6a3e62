/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reboots: SYSTEM_RESET of PSCI (Arm DEN0022 §5.11). Status 0.
 *
 *	kinglet run reset.bin --flat 1G
 */
#include "asm.h"

	.globl	_start
_start:
	psci	PSCI_SYSTEM_RESET
1:	b	1b
