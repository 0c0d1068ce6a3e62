/* SPDX-License-Identifier: Apache-2.0 */
/* Lesson 1: the smallest guest there is. */
	.code16
	.globl	_start
_start:
	hlt
