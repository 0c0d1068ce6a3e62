/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smallest guest there is. HLT waits for an interrupt; without interrupt controllers none can
 * come, so KVM_EXIT_HLT ends the run with status 0.
 *
 *	kinglet run hlt.bin --flat 0x1000,mode=16 --irqchip off
 */
	.code16
	.globl	_start
_start:
	hlt
