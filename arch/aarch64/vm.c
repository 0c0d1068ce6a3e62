/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VM-wide state: address space, features of vCPUs, interrupt controller.
 */
#include "arm64.h"

#include "base/log.h"

#include <elf.h>
#include <string.h>

enum { PAGE_MAX = 65536 }; /* the largest page size of an arm64 host or guest */

#define RAM_MIN (8ULL << 20) /* 2 MiB of it are for the device tree (boot.h) */
#define RAM_MAX (1ULL << 47) /* leaves the 64-bit PCI window within 48 address bits */

const uint16_t arch_elf_machine = EM_AARCH64;

const struct arch_linux_words arch_linux_words = { .serial = "ttyS0" };

/*
 * KVM api.rst 4.2: the number of address bits. Fewer bits need fewer levels of page tables, so no
 * more than this guest needs, but KVM's default if that is enough.
 */
unsigned long arch_machine_type(uint64_t ram_size)
{
	uint64_t end = arm64_pci_mmio64_base(ARM64_RAM_BASE + ram_size) + ARM64_PCI_MMIO64_LEN;
	unsigned bits = 32;

	while (bits < 52 && end > 1ULL << bits)
		bits++;
	return KVM_VM_TYPE_ARM_IPA_SIZE(bits);
}

bool arch_irqchip_is_optional(void)
{
	return false;
}

int arch_ram_ranges(uint64_t size, struct gmem_range ranges[2])
{
	if (size % PAGE_MAX || size < RAM_MIN || size > RAM_MAX)
		return -EINVAL;
	ranges[0] = (struct gmem_range){ .gpa = ARM64_RAM_BASE, .len = size };
	return 1;
}

unsigned arch_max_cpus(struct kvm *kvm)
{
	return kvm->max_vcpus < ARM64_CPUS_MAX ? kvm->max_vcpus : ARM64_CPUS_MAX;
}

/* KVM routes pin n to SPI n by default, and lines are raised by number (layout.h). */
const struct kvm_irq_routing_entry *arch_irq_routes(unsigned *count)
{
	*count = 0;
	return NULL;
}

static void add_feature(struct kvm_vcpu_init *init, unsigned bit)
{
	init->features[bit / 32] |= 1u << bit % 32;
}

/*
 * A guest may use the features of the host's CPU. Pointer authentication needs both kinds or none.
 */
static int choose_cpu(struct kvm *kvm, struct kvm_vcpu_init *init)
{
	int ret = kvm_vm_call(kvm, KVM_ARM_PREFERRED_TARGET, init);

	if (ret < 0)
		return ret;
	add_feature(init, KVM_ARM_VCPU_PSCI_0_2);
	if (kvm_check_extension(kvm, KVM_CAP_ARM_SVE))
		add_feature(init, KVM_ARM_VCPU_SVE);
	if (kvm_check_extension(kvm, KVM_CAP_ARM_PTRAUTH_ADDRESS) &&
	    kvm_check_extension(kvm, KVM_CAP_ARM_PTRAUTH_GENERIC)) {
		add_feature(init, KVM_ARM_VCPU_PTRAUTH_ADDRESS);
		add_feature(init, KVM_ARM_VCPU_PTRAUTH_GENERIC);
	}
	return 0;
}

/*
 * Accesses to a device that the CPU cannot describe to KVM (of several registers, with write-back)
 * go to arch_vcpu_exit(), instead of ending KVM_RUN with an error. (KVM api.rst 7.20)
 */
static int take_undescribed_accesses(struct kvm *kvm)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_ARM_NISV_TO_USER };

	if (!kvm_check_extension(kvm, KVM_CAP_ARM_NISV_TO_USER) ||
	    !kvm_check_extension(kvm, KVM_CAP_ARM_INJECT_EXT_DABT))
		return 0;
	return kvm_vm_ioctl(kvm, KVM_ENABLE_CAP, &cap);
}

int arch_vm_init(struct arch_vm *arch, struct kvm *kvm, const struct arch_vm_options *options)
{
	struct arm64_vm *vm;
	int ret;

	*arch = (struct arch_vm){ .kvm = kvm, .cpus = options->cpus };
	vm = calloc(1, sizeof(*vm));
	if (!vm) {
		log_error("out of memory");
		return -ENOMEM;
	}
	vm->gic_fd = vm->its_fd = -1;
	arch->priv = vm;

	ret = choose_cpu(kvm, &vm->init);
	if (ret < 0)
		goto err_destroy;
	ret = take_undescribed_accesses(kvm);
	if (ret < 0) {
		log_error("/dev/kvm: KVM_CAP_ARM_NISV_TO_USER: %s", strerror(-ret));
		goto err_destroy;
	}
	ret = gic_create(kvm, vm);
	if (ret < 0)
		goto err_destroy;
	kvm->has_irqchip = true;
	return 0;

err_destroy:
	arch_vm_destroy(arch);
	return ret;
}

void arch_vm_destroy(struct arch_vm *arch)
{
	struct arm64_vm *vm = arch->priv;

	if (!vm)
		return;
	close_fd(&vm->its_fd);
	close_fd(&vm->gic_fd);
	free(vm);
	arch->priv = NULL;
}

int arch_vm_reset(struct arch_vm *arch)
{
	return gic_reset(arch->kvm, arch->priv, arch->cpus);
}
