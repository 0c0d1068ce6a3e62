/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits for an interrupt that never comes: asleep in KVM_RUN, because the interrupt controller is
 * in the kernel.
 *
 *	kinglet run wfi.bin --flat 1G --timeout 5s	(status 124)
 */
	.globl	_start
_start:
	wfi
	b	_start
