/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Powers off: SYSTEM_OFF of PSCI (Arm DEN0022 §5.10), which KVM turns into KVM_EXIT_SYSTEM_EVENT.
 * Status 0.
 *
 *	kinglet run poweroff.bin --flat 1G
 */
#include "asm.h"

	.globl	_start
_start:
	psci	PSCI_SYSTEM_OFF
1:	b	1b
