/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How to find out what this host's KVM can. On arm64 there is none without virtualisation hardware,
 * so guests run at the CPU's speed where they run at all.
 */
#include "arch/probe.h"

#include "arch/aarch64/layout.h"
#include "probe_guests.h"

_Static_assert(PROBE_EXIT_BASE == ARM64_EXIT_BASE, "probe_guests.S cannot include layout.h");

#define DECLARE_GUEST(name) extern const uint8_t name[], name##_end[]
DECLARE_GUEST(probe_speed);
DECLARE_GUEST(probe_linux);

unsigned probe_host_rounds(void);

#define REQUIRED(name) { name, #name, NULL }
#define WANTED(name, without) { name, #name, without }

static const struct arch_capability capabilities[] = {
	REQUIRED(KVM_CAP_USER_MEMORY),
	REQUIRED(KVM_CAP_IMMEDIATE_EXIT),
	REQUIRED(KVM_CAP_ONE_REG),
	REQUIRED(KVM_CAP_ARM_PSCI_0_2),
	REQUIRED(KVM_CAP_ARM_VM_IPA_SIZE),
	REQUIRED(KVM_CAP_DEVICE_CTRL),
	REQUIRED(KVM_CAP_IRQ_ROUTING),
	REQUIRED(KVM_CAP_IRQFD),
	REQUIRED(KVM_CAP_IOEVENTFD),
	WANTED(KVM_CAP_MAX_VCPUS, "more than four vCPUs"),
	WANTED(KVM_CAP_IOEVENTFD_ANY_LENGTH, "kicks of other than 16 bits without an exit"),
	WANTED(KVM_CAP_ARM_NISV_TO_USER, "an abort, instead of the run's end, at accesses to "
					 "devices by unusual instructions"),
};

const struct arch_capability *arch_capabilities(unsigned *count)
{
	*count = ARRAY_SIZE(capabilities);
	return capabilities;
}

#define PROBE_ADDRESS (ARM64_RAM_BASE + (1ULL << 20))

static const struct arch_probe speed_probes[] = {
	{ "64-bit", CPU_MODE_64, PROBE_ADDRESS, probe_speed, probe_speed_end },
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
	"64-bit", CPU_MODE_64, PROBE_ADDRESS, probe_linux, probe_linux_end,
};

const struct arch_probe *arch_linux_probe(void)
{
	return &linux_probe;
}

const struct arch_virtualisation arch_virtualisation = {
	.absent = "it takes a kernel with CONFIG_KVM that was started in EL2: by the firmware, or by "
		  "nested virtualisation for this virtual machine",
	.no_nesting = "guests start in EL1 and have no EL2, which a KVM of their own takes",
};
