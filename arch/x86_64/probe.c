/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How to find out what this host's KVM can. Neither /dev/kvm nor CPUID tells: without
 * virtualisation hardware, or in real mode on CPUs that have no unrestricted guests, KVM may take
 * guests and interpret them, hundreds of times slower than the CPU and without all of its
 * instructions.
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

unsigned probe_host_rounds(void);

#define REQUIRED(name) { name, #name, NULL }
#define WANTED(name, without) { name, #name, without }

static const struct arch_capability capabilities[] = {
	REQUIRED(KVM_CAP_USER_MEMORY),
	REQUIRED(KVM_CAP_IMMEDIATE_EXIT),
	REQUIRED(KVM_CAP_SET_TSS_ADDR),
	REQUIRED(KVM_CAP_SET_IDENTITY_MAP_ADDR),
	REQUIRED(KVM_CAP_EXT_CPUID),
	REQUIRED(KVM_CAP_IRQCHIP),
	REQUIRED(KVM_CAP_PIT2),
	REQUIRED(KVM_CAP_IRQ_ROUTING),
	REQUIRED(KVM_CAP_IRQFD),
	REQUIRED(KVM_CAP_IOEVENTFD),
	WANTED(KVM_CAP_MAX_VCPUS, "more than four vCPUs"),
	WANTED(KVM_CAP_IOEVENTFD_ANY_LENGTH, "kicks of other than 16 bits without an exit"),
	WANTED(KVM_CAP_COALESCED_PIO, "PCI configuration by ports with half the exits"),
	WANTED(KVM_CAP_XCRS, "a reset of the vector registers' switch"),
	WANTED(KVM_CAP_TSC_DEADLINE_TIMER, "the TSC deadline timer"),
	WANTED(KVM_CAP_X2APIC_API, "more than 255 vCPUs"),
};

const struct arch_capability *arch_capabilities(unsigned *count)
{
	*count = ARRAY_SIZE(capabilities);
	return capabilities;
}

#define MIB (1ULL << 20)

static const struct arch_probe speed_probes[] = {
	{ "16-bit", CPU_MODE_16, 0x7c00, probe_speed_16, probe_speed_16_end },
	{ "32-bit", CPU_MODE_32, MIB, probe_speed_32, probe_speed_32_end },
	{ "64-bit", CPU_MODE_64, MIB, probe_speed_64, probe_speed_64_end },
};

const struct arch_probe *arch_speed_probes(unsigned *count)
{
	*count = ARRAY_SIZE(speed_probes);
	return speed_probes;
}

unsigned arch_host_speed(void)
{
	unsigned fewest = UINT32_MAX;

	for (unsigned i = 0; i < PROBE_ATTEMPTS; i++) {
		unsigned ticks = probe_host_rounds();

		fewest = ticks < fewest ? ticks : fewest;
	}
	return 31 - (unsigned)__builtin_clz(fewest | 1);
}

static const struct arch_probe linux_probe = {
	"64-bit", CPU_MODE_64, MIB, probe_linux, probe_linux_end,
};

const struct arch_probe *arch_linux_probe(void)
{
	return &linux_probe;
}

static const struct arch_kvm_module kvm_modules[] = {
	{ "kvm_intel", " vmx" },
	{ "kvm_amd", " svm" },
};

const struct arch_virtualisation arch_virtualisation = {
	.modules = kvm_modules,
	.module_count = ARRAY_SIZE(kvm_modules),
	.absent = "the CPU shows neither VMX nor SVM: switch virtualisation on in the firmware's "
		  "settings, or nested virtualisation for this virtual machine",
};
