/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers of vCPU 0 at the kernel's entry: set by a boot protocol (boot.h) and written to the
 * vCPU (cpu.c). Private to arch/x86_64.
 */
#ifndef KINGLET_X86_64_BOOT_REGS_H
#define KINGLET_X86_64_BOOT_REGS_H

#include "arch/arch.h"

/*
 * Selectors of the GDT at BOOT_GDT. The Linux boot protocol fixes 0x10 for code, of either size, and
 * 0x18 for data; PVH and Multiboot do not define the numbers.
 */
#define BOOT_CS 0x10
#define BOOT_DS 0x18
#define BOOT_TSS 0x20
#define BOOT_GDT_LEN 0x30

/* In struct boot_state.words. Registers not named here are zero. */
struct boot_regs {
	uint64_t mode; /* enum cpu_mode */
	uint64_t rip, rsp;
	uint64_t rax, rbx, rsi;
	uint64_t cs; /* 16-bit mode: the selector of CS, DS and ES */
	uint64_t ss; /* 16-bit mode */
};

_Static_assert(sizeof(struct boot_regs) <= sizeof(((struct boot_state *)0)->words), "boot state");

#endif
