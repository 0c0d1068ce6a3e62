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

/* The time-stamp counter. */
#define MSR_TSC 0x10

/* Largest extended state that is kept, bytes; with AMX's tiles it is 11 KiB. */
enum { X86_XSAVE_MAX = 16384 };

/* All state that KVM keeps of a vCPU, in KVM's formats. (inventory.c) */
struct x86_inventory {
	struct kvm_nested_state nested;
	struct kvm_vcpu_events events;
	union { /* they begin alike; KVM_CAP_SREGS2 */
		struct kvm_sregs sregs;
		struct kvm_sregs2 sregs2;
	};
	struct kvm_regs regs;
	struct kvm_debugregs debugregs;
	struct kvm_xcrs xcrs;
	uint32_t xsave[X86_XSAVE_MAX / 4]; /* struct kvm_xsave */
	size_t xsave_len; /* bytes */
	struct kvm_lapic_state lapic;
	struct kvm_mp_state mp_state;
	unsigned msr_count;
	struct kvm_msr_entry msrs[]; /* the readable ones */
};

/* A shadow stack's pointer. (saved_vcpu.c) */
struct x86_ssp {
	uint64_t ssp;
};

/* What a vCPU's time-stamp counter is when a machine is saved. (saved_clock.c) */
struct x86_tsc {
	uint64_t value;
	uint64_t offset; /* to the host's, of use beside those of the other vCPUs; 0: unknown */
	uint32_t khz;	 /* 0: unknown */
};

/* arch_vm.priv */
struct x86_vm {
	struct kvm_cpuid2 *supported; /* what KVM supports, or cpuid_keep(); owned */
	bool told_less;		      /* by cpuid_keep() */
	bool tsc_deadline;	      /* the local APIC timer has its TSC-deadline mode */
	/*
	 * What a reset restores: a vCPU's power-on state, owned, set by the first vCPU; and, with
	 * an in-kernel irqchip, that of the controllers.
	 */
	struct x86_inventory *power_on;
	struct kvm_irqchip chips[3]; /* by KVM_IRQCHIP_PIC_MASTER, PIC_SLAVE, IOAPIC */
	struct kvm_pit_state2 pit;
	/* As saved, until arch_clock_start(). */
	struct {
		struct kvm_clock_data clock;
		struct kvm_pit_state2 pit;
	} loaded;
	struct x86_tsc loaded_tscs[]; /* by vCPU */
};

/*
 * KVM_GET_SUPPORTED_CPUID into a buffer that is large enough; the caller frees *cpuid. Negative
 * errno; does not log.
 */
__must_check int cpuid_get_supported(struct kvm *kvm, struct kvm_cpuid2 **cpuid);

/*
 * A vCPU's CPUID: what KVM supports, with its APIC id, topology (one package, one thread per core),
 * and the bits that depend on what KVM emulates. The caller frees it; NULL: no memory.
 */
struct kvm_cpuid2 *cpuid_of(const struct arch_vm *arch, const struct vcpu *vcpu);
/*
 * From now on cpuid_of() makes all vCPUs' leaves from those of one of them, which it copies: of a
 * guest that began where KVM supports less. -ENOMEM.
 */
__must_check int cpuid_keep(struct arch_vm *arch, const struct kvm_cpuid2 *cpuid);
/* Sets it. Negative errno; does not log. */
__must_check int cpuid_set(const struct arch_vm *arch, struct vcpu *vcpu);

/*
 * KVM_GET_MSRS or KVM_SET_MSRS of one: 1, 0 where this vCPU has none such, or a negative errno.
 * Nothing is logged. (inventory.c)
 */
__must_check int x86_msr_from(struct vcpu *vcpu, const struct sys_site *site, unsigned long request,
			      uint32_t index, uint64_t *value);
#define x86_msr(vcpu, request, index, value) x86_msr_from(vcpu, SYS_HERE, request, index, value)

/*
 * Whether one of `count` MSRs is this one. The search goes round from *at, below `count`, and leaves
 * the place there: what comes from one KVM has one order. (inventory.c)
 */
bool x86_has_msr(const struct kvm_msr_entry *msrs, unsigned count, uint32_t index, unsigned *at);

/*
 * Reads it, with all MSRs that this KVM has for a vCPU; the caller frees it. Logs on failure. None
 * of these runs while the vCPU does.
 */
__must_check int inventory_take(struct vcpu *vcpu, struct x86_inventory **inventory);
/* Another one with the same contents, for the caller to free; NULL: no memory. */
struct x86_inventory *inventory_copy(const struct x86_inventory *inventory);
/* Reads it again, with the same MSRs, into one that was taken or copied. Logs on failure. */
__must_check int inventory_read(struct vcpu *vcpu, struct x86_inventory *inventory);
/*
 * Writes it: to the same vCPU, or another one with the same CPUID. 0, or a negative errno, which it
 * logs. MSRs that KVM refuses stop no other; with `refused` not NULL, *refused becomes one, and it
 * returns 1.
 */
__must_check int inventory_put(struct vcpu *vcpu, const struct x86_inventory *inventory,
			       struct kvm_msr_entry *refused);

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
