/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Never ends, and never leaves KVM_RUN by itself: the host's timer has to get it out.
 *
 *	kinglet run spin.bin --flat 1G --timeout 500ms	(status 124)
 */
	.globl	_start
_start:
	b	_start
