/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VM-wide state: KVM's own pages, interrupt controllers, timer.
 */
#include "x86.h"

#include "arch/x86_64/layout.h"
#include "base/log.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

/* More than any KVM allows today; the tables in the BIOS area can hold this number. */
#define CPUS_MAX 1024u

/* From the 256th CPU on, APIC ids need 32 bits; 255 is the broadcast id of 8-bit ids. */
#define CPUS_MAX_8BIT 255u

const uint16_t arch_elf_machine = EM_X86_64;

const struct arch_linux_words arch_linux_words = {
	.serial = "ttyS0",
	/* Without ACPI's reset register it would try the BIOS; the keyboard controller works. */
	.without_tables = "reboot=k",
};

unsigned long arch_machine_type(uint64_t ram_size)
{
	(void)ram_size;
	return 0;
}

bool arch_irqchip_is_optional(void)
{
	return true;
}

unsigned arch_max_cpus(struct kvm *kvm)
{
	return kvm->max_vcpus < CPUS_MAX ? kvm->max_vcpus : CPUS_MAX;
}

/* Pins 0..15 reach both the PICs and the I/O APIC; the guest unmasks the one that it uses. */
#define PIC(n)                                                                                     \
	{                                                                                          \
		.gsi = (n), .type = KVM_IRQ_ROUTING_IRQCHIP,                                       \
		.u.irqchip = { (n) < 8 ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE, (n) % 8 } \
	}
#define IOAPIC(n)                                                                                  \
	{                                                                                          \
		.gsi = (n), .type = KVM_IRQ_ROUTING_IRQCHIP,                                       \
		.u.irqchip = { KVM_IRQCHIP_IOAPIC, (n) }                                           \
	}
#define EIGHT(chip, n)                                                                             \
	chip(n), chip((n) + 1), chip((n) + 2), chip((n) + 3), chip((n) + 4), chip((n) + 5),        \
		chip((n) + 6), chip((n) + 7)

static const struct kvm_irq_routing_entry pin_routes[] = {
	EIGHT(PIC, 0),	  EIGHT(PIC, 8),
	EIGHT(IOAPIC, 0), EIGHT(IOAPIC, 8), EIGHT(IOAPIC, 16),
};

const struct kvm_irq_routing_entry *arch_irq_routes(unsigned *count)
{
	*count = ARRAY_SIZE(pin_routes);
	return pin_routes;
}

/* PCI interrupts are level triggered; a guest without ACPI relies on firmware to set this. */
static void set_elcr(struct kvm_irqchip chips[2])
{
	static const uint8_t intx[] = X86_INTX_GSIS;

	for (unsigned i = 0; i < ARRAY_SIZE(intx); i++)
		chips[intx[i] / 8].chip.pic.elcr |= (uint8_t)(1u << intx[i] % 8);
}

static int create_irqchip(struct kvm *kvm, struct x86_vm *vm)
{
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	int ret;

	ret = kvm_vm_call(kvm, KVM_CREATE_IRQCHIP, NULL);
	if (ret < 0)
		return ret;
	ret = kvm_vm_call(kvm, KVM_CREATE_PIT2, &pit);
	if (ret < 0)
		return ret;
	kvm->has_irqchip = true;

	for (unsigned i = 0; i < ARRAY_SIZE(vm->chips); i++) {
		vm->chips[i].chip_id = i;
		ret = kvm_vm_call(kvm, KVM_GET_IRQCHIP, &vm->chips[i]);
		if (ret < 0)
			return ret;
	}
	set_elcr(vm->chips);
	ret = kvm_vm_call(kvm, KVM_GET_PIT2, &vm->pit);
	if (ret < 0)
		return ret;
	vm->tsc_deadline = kvm_check_extension(kvm, KVM_CAP_TSC_DEADLINE_TIMER);
	return 0;
}

static int enable_32bit_ids(struct kvm *kvm)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X2APIC_API,
		.args = { KVM_X2APIC_API_USE_32BIT_IDS |
			  KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK },
	};

	return kvm_vm_call(kvm, KVM_ENABLE_CAP, &cap);
}

/* KVM api.rst 4.36, 4.40: KVM on Intel CPUs needs guest-physical pages for its own use. */
static int set_kvm_pages(struct kvm *kvm)
{
	uint64_t identity_map = X86_KVM_IDENTITY_MAP;
	int ret = kvm_vm_call(kvm, KVM_SET_IDENTITY_MAP_ADDR, &identity_map);

	if (ret < 0)
		return ret;
	/* The address itself is the argument. */
	return kvm_vm_call(kvm, KVM_SET_TSS_ADDR, (void *)X86_KVM_TSS);
}

int arch_vm_init(struct arch_vm *arch, struct kvm *kvm, const struct arch_vm_options *options)
{
	struct x86_vm *vm;
	int ret;

	*arch = (struct arch_vm){ .kvm = kvm, .cpus = options->cpus };
	vm = calloc(1, sizeof(*vm) + options->cpus * sizeof(vm->loaded_tscs[0]));
	if (!vm) {
		log_error("out of memory");
		return -ENOMEM;
	}
	arch->priv = vm;

	ret = set_kvm_pages(kvm);
	if (ret < 0)
		goto err_destroy;
	if (options->irqchip) {
		ret = create_irqchip(kvm, vm);
		if (ret < 0)
			goto err_destroy;
	}
	ret = arch_vm_reset(arch);
	if (ret < 0)
		goto err_destroy;
	if (options->cpus > CPUS_MAX_8BIT) {
		ret = enable_32bit_ids(kvm);
		if (ret < 0)
			goto err_destroy;
	}
	ret = cpuid_get_supported(kvm, &vm->supported);
	if (ret < 0) {
		log_error("/dev/kvm: KVM_GET_SUPPORTED_CPUID: %s", strerror(-ret));
		goto err_destroy;
	}
	return 0;

err_destroy:
	arch_vm_destroy(arch);
	return ret;
}

void arch_vm_destroy(struct arch_vm *arch)
{
	struct x86_vm *vm = arch->priv;

	if (!vm)
		return;
	free(vm->power_on);
	free(vm->supported);
	free(vm);
	arch->priv = NULL;
}

int arch_vm_reset(struct arch_vm *arch)
{
	struct x86_vm *vm = arch->priv;
	struct kvm_clock_data since_power_on = { 0 };
	int ret = kvm_vm_call(arch->kvm, KVM_SET_CLOCK, &since_power_on);

	if (ret < 0 || !arch->kvm->has_irqchip)
		return ret < 0 ? ret : 0;
	for (unsigned i = 0; i < ARRAY_SIZE(vm->chips); i++) {
		ret = kvm_vm_call(arch->kvm, KVM_SET_IRQCHIP, &vm->chips[i]);
		if (ret < 0)
			return ret;
	}
	ret = kvm_vm_call(arch->kvm, KVM_SET_PIT2, &vm->pit);
	return ret < 0 ? ret : 0;
}
