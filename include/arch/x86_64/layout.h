/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The x86_64 machine's address map and interrupt pins: written once, read by the firmware tables
 * (arch/x86_64) and by the board that builds the devices (vmm/machine/board_x86_64.c).
 *
 *   0            3 GiB         3.5 GiB   3.5 GiB + 1 MiB      4 GiB
 *   | RAM ...    | PCI 32-bit  | ECAM    |      APICs, TSS    | RAM ... | PCI 64-bit
 */
#ifndef KINGLET_ARCH_X86_64_LAYOUT_H
#define KINGLET_ARCH_X86_64_LAYOUT_H

#include "base/checked.h"

#define X86_RAM_LOW_MAX 0xc0000000ULL /* RAM beyond it continues at 4 GiB */
#define X86_RAM_HIGH 0x100000000ULL

#define X86_VMGENID 0xfffe0ULL /* VM generation id: the last 16 bytes of the ACPI tables' area */

#define X86_PCI_MMIO32_BASE 0xc0000000ULL
#define X86_PCI_MMIO32_LEN 0x20000000ULL
#define X86_ECAM_BASE 0xe0000000ULL
#define X86_ECAM_LEN 0x100000ULL /* bus 0 only: 32 devices of 8 functions of 4 KiB */
#define X86_PCI_MMIO64_LEN 0x1000000000ULL /* 64 GiB above RAM, from x86_pci_mmio64_base() */

#define X86_IOAPIC_BASE 0xfec00000ULL
#define X86_LAPIC_BASE 0xfee00000ULL
#define X86_KVM_IDENTITY_MAP 0xfffbc000ULL /* one page; KVM_SET_IDENTITY_MAP_ADDR */
#define X86_KVM_TSS 0xfffbd000ULL	   /* three pages; KVM_SET_TSS_ADDR */

#define X86_COM1_PORT 0x3f8
#define X86_COM1_GSI 4

#define X86_I8042_DATA 0x60
#define X86_I8042_COMMAND 0x64
#define X86_EXIT_PORT 0xf4
#define X86_PVPANIC_PORT 0x505
#define X86_PCI_CONFIG_ADDRESS 0xcf8
#define X86_PCI_CONFIG_DATA 0xcfc
#define X86_CMOS_INDEX 0x70

#define X86_POWER_PORT 0x600 /* registers: arch/power_block.h */
#define X86_POWER_GSI 9

/* INTA..INTD of device d go to pin (d + pin) % 4. ISA numbers, so that they work without ACPI. */
#define X86_INTX_GSIS { 5, 10, 11, 7 }

/* The 64-bit window starts at the first GiB at or after the end of RAM and 4 GiB. */
static inline uint64_t x86_pci_mmio64_base(uint64_t ram_high_end)
{
	return align_up(ram_high_end > X86_RAM_HIGH ? ram_high_end : X86_RAM_HIGH, 1ULL << 30);
}

#endif
