/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of this host's KVM. Neither /dev/kvm nor CPUID reports it: without virtualisation hardware,
 * or in real mode on CPUs without unrestricted guests, KVM may accept guests and emulate them,
 * hundreds of times slower than the CPU and without all of its instructions.
 */
#include "arch/probe.h"

#include "arch/x86_64/layout.h"
#include "probe_guests.h"

_Static_assert(PROBE_EXIT_PORT == X86_EXIT_PORT, "probe_guests.S cannot include layout.h");

#define DECLARE_GUEST(name) extern const uint8_t name[], name##_end[]
DECLARE_GUEST(probe_speed_16);
DECLARE_GUEST(probe_speed_32);
DECLARE_GUEST(probe_speed_64);
DECLARE_GUEST(probe_linux);

static const struct arch_capability capabilities[] = {
	ARCH_REQUIRED(KVM_CAP_USER_MEMORY),
	ARCH_REQUIRED(KVM_CAP_IMMEDIATE_EXIT),
	ARCH_REQUIRED(KVM_CAP_SET_TSS_ADDR),
	ARCH_REQUIRED(KVM_CAP_SET_IDENTITY_MAP_ADDR),
	ARCH_REQUIRED(KVM_CAP_EXT_CPUID),
	ARCH_REQUIRED(KVM_CAP_IRQCHIP),
	ARCH_REQUIRED(KVM_CAP_PIT2),
	ARCH_REQUIRED(KVM_CAP_IRQ_ROUTING),
	ARCH_REQUIRED(KVM_CAP_IRQFD),
	ARCH_REQUIRED(KVM_CAP_IOEVENTFD),
	ARCH_WANTED(KVM_CAP_MAX_VCPUS, "more than four vCPUs"),
	ARCH_WANTED(KVM_CAP_IOEVENTFD_ANY_LENGTH, "kicks of other than 16 bits without an exit"),
	ARCH_WANTED(KVM_CAP_COALESCED_PIO, "PCI configuration by ports with half the exits"),
	ARCH_WANTED(KVM_CAP_XCRS, "a reset of the vector registers' switch"),
	ARCH_WANTED(KVM_CAP_TSC_DEADLINE_TIMER, "the TSC deadline timer"),
	ARCH_WANTED(KVM_CAP_X2APIC_API, "more than 255 vCPUs"),
};

#define MIB (1ULL << 20)

static const struct arch_probe speed_probes[] = {
	{ "16-bit", CPU_MODE_16, 0x7c00, probe_speed_16, probe_speed_16_end },
	{ "32-bit", CPU_MODE_32, MIB, probe_speed_32, probe_speed_32_end },
	{ "64-bit", CPU_MODE_64, MIB, probe_speed_64, probe_speed_64_end },
};

static const struct arch_kvm_module kvm_modules[] = {
	{ "kvm_intel", " vmx" },
	{ "kvm_amd", " svm" },
};

const struct arch_virtualisation arch_virtualisation = {
	.capabilities = capabilities,
	.capability_count = ARRAY_SIZE(capabilities),
	.speed_probes = speed_probes,
	.speed_probe_count = ARRAY_SIZE(speed_probes),
	.linux_probe = { "64-bit", CPU_MODE_64, MIB, probe_linux, probe_linux_end },
	.modules = kvm_modules,
	.module_count = ARRAY_SIZE(kvm_modules),
	.absent = "the CPU shows neither VMX nor SVM: switch virtualisation on in the firmware's "
		  "settings, or nested virtualisation for this virtual machine",
};
