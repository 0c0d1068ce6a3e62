/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The aarch64 machine's address map and interrupts: written once, read by the device tree
 * (arch/aarch64) and by the board that builds the devices (vmm/machine/board_aarch64.c).
 *
 *   0          128 MiB            256 MiB   512 MiB       1008 MiB  1 GiB
 *   | nothing  | GIC, ITS         | devices | PCI 32-bit  | ECAM    | RAM ... | PCI 64-bit
 */
#ifndef KINGLET_ARCH_AARCH64_LAYOUT_H
#define KINGLET_ARCH_AARCH64_LAYOUT_H

#include "base/checked.h"

#define ARM64_GICD_BASE 0x08000000ULL
#define ARM64_GICD_LEN 0x10000ULL
#define ARM64_ITS_BASE 0x08080000ULL
#define ARM64_ITS_LEN 0x20000ULL
#define ARM64_GICR_BASE 0x080a0000ULL
#define ARM64_GICR_LEN 0x20000ULL /* for each vCPU */
#define ARM64_CPUS_MAX 512u	  /* the limit of KVM's GIC */

#define ARM64_SERIAL_BASE 0x10000000ULL
#define ARM64_RTC_BASE 0x10010000ULL
#define ARM64_PVPANIC_BASE 0x10020000ULL
#define ARM64_EXIT_BASE 0x10030000ULL

#define ARM64_PCI_MMIO32_BASE 0x20000000ULL
#define ARM64_PCI_MMIO32_LEN 0x18000000ULL
#define ARM64_ECAM_BASE 0x3f000000ULL
#define ARM64_ECAM_LEN 0x100000ULL /* bus 0 only: 32 devices of 8 functions of 4 KiB */
#define ARM64_PCI_MMIO64_LEN 0x400000000ULL /* 16 GiB above RAM, from arm64_pci_mmio64_base() */

#define ARM64_RAM_BASE 0x40000000ULL

/*
 * The end of RAM, which the device tree does not call memory: the VM generation id. A whole page of
 * any guest, since Linux maps none of its memory as a device's.
 */
#define ARM64_VMGENID_LEN 0x10000ULL

/* Shared peripheral interrupts, counted from 0 as in the device tree. KVM needs INTID 32 + n. */
#define ARM64_SERIAL_SPI 0
#define ARM64_RTC_SPI 1
#define ARM64_VMGENID_SPI 2 /* edge-triggered */
#define ARM64_INTX_SPI 4 /* INTA..INTD of device d: 4 + (d + pin) % 4 */
#define ARM64_SPIS 32	 /* number in the GIC */

/* The argument of KVM_IRQ_LINE for one of them (KVM api.rst 4.25: type and number). */
#define ARM64_SPI_PIN(spi) (1u << 24 | (32u + (spi)))

static inline uint64_t arm64_vmgenid(uint64_t ram_end)
{
	return ram_end - ARM64_VMGENID_LEN;
}

/* The 64-bit window starts at the first GiB after RAM. */
static inline uint64_t arm64_pci_mmio64_base(uint64_t ram_end)
{
	return align_up(ram_end, 1ULL << 30);
}

#endif
