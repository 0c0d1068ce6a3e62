/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of the VM and its vCPUs. Private to arch/x86_64.
 */
#ifndef KINGLET_X86_64_X86_H
#define KINGLET_X86_64_X86_H

#include "arch/arch.h"

#include <asm/bootparam.h>
#include <stddef.h>

enum { X86_PAGE_SIZE = 4096 };

/* All state that KVM keeps of a vCPU, in KVM's formats. (inventory.c) */
struct x86_inventory {
	struct kvm_nested_state nested;
	struct kvm_vcpu_events events;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct kvm_debugregs debugregs;
	struct kvm_xcrs xcrs;
	uint32_t xsave[1024]; /* struct kvm_xsave */
	struct kvm_lapic_state lapic;
	struct kvm_mp_state mp_state;
	unsigned msr_count;
	struct kvm_msr_entry msrs[]; /* the readable ones; some may appear twice */
};

/* arch_vm.priv */
struct x86_vm {
	struct kvm_cpuid2 *supported; /* what KVM supports, owned */
	bool tsc_deadline;	      /* the local APIC timer has its TSC-deadline mode */
	/*
	 * What a reset restores: a vCPU's power-on state, owned, set by the first vCPU; and, with
	 * an in-kernel irqchip, that of the controllers.
	 */
	struct x86_inventory *power_on;
	struct kvm_irqchip chips[3]; /* by KVM_IRQCHIP_PIC_MASTER, PIC_SLAVE, IOAPIC */
	struct kvm_pit_state2 pit;
};

/*
 * KVM_GET_SUPPORTED_CPUID into a buffer that is large enough; the caller frees *cpuid. Negative
 * errno; does not log.
 */
__must_check int cpuid_get_supported(struct kvm *kvm, struct kvm_cpuid2 **cpuid);

/*
 * Sets a vCPU's CPUID to what KVM supports, with its APIC id, topology (one package, one thread per
 * core), and the bits that depend on what KVM emulates. Negative errno; does not log.
 */
__must_check int cpuid_set(const struct arch_vm *arch, struct vcpu *vcpu);

/*
 * KVM_GET_MSRS or KVM_SET_MSRS of one: 1, 0 where this vCPU has none such, or a negative errno.
 * Nothing is logged. (inventory.c)
 */
__must_check int x86_msr_from(struct vcpu *vcpu, const struct sys_site *site, unsigned long request,
			      uint32_t index, uint64_t *value);
#define x86_msr(vcpu, request, index, value) x86_msr_from(vcpu, SYS_HERE, request, index, value)

/* Reads it; the caller frees it. Logs on failure. Neither runs while the vCPU does. */
__must_check int inventory_take(struct vcpu *vcpu, struct x86_inventory **inventory);
/* Writes it: to the same vCPU, or another one with the same CPUID. Logs on failure. */
__must_check int inventory_put(struct vcpu *vcpu, const struct x86_inventory *inventory);

/*
 * First GPA after the RAM below the hole, and after all RAM (X86_RAM_HIGH if there is none above).
 */
uint64_t memmap_low_end(const struct gmem *mem);
uint64_t memmap_high_end(const struct gmem *mem);

/*
 * The real-mode areas: the EBDA and everything after it up to 1 MiB is RAM here (with the ACPI
 * tables) but reserved, as on a PC.
 */
#define X86_EBDA_BASE 0x9fc00ULL

/*
 * The memory map passed to the guest by every boot protocol, sorted. Types are E820_* of
 * <asm/e820.h>, which PVH and Multiboot share. Returns the number of entries.
 */
enum { MEMMAP_MAX = 8 };
unsigned memmap_build(const struct gmem *mem, struct boot_e820_entry map[MEMMAP_MAX]);

/* The CPU mode in words; static. (state.c) */
const char *x86_mode_name(const struct kvm_sregs *sregs);

#endif
