/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An instruction that there is not. Its exception goes to address 0x200, where there is nothing
 * either, and that one's as well, for ever: where an x86 CPU shuts down after the third, an arm64
 * CPU goes on, inside KVM. The time limit ends it.
 *
 *	kinglet run undefined.bin --flat 1G --timeout 10s	(status 124)
 */
	.globl	_start
_start:
	udf	#0
