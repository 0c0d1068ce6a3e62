/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An undefined instruction. Its exception goes to address 0x200, which holds no code either, and so
 * does the next one, forever: where an x86 CPU shuts down after the third, an arm64 CPU continues,
 * inside KVM. The time limit ends it.
 *
 *	kinglet run undefined.bin --flat 1G --timeout 10s	(status 124)
 */
	.globl	_start
_start:
	udf	#0
