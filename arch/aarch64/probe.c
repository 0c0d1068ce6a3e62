/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests of this host's KVM. On arm64 there is no KVM without virtualisation hardware, so guests
 * that run at all run at the CPU's speed.
 */
#include "arch/probe.h"

#include "arch/aarch64/layout.h"
#include "probe_guests.h"

_Static_assert(PROBE_EXIT_BASE == ARM64_EXIT_BASE, "probe_guests.S cannot include layout.h");

#define DECLARE_GUEST(name) extern const uint8_t name[], name##_end[]
DECLARE_GUEST(probe_speed);
DECLARE_GUEST(probe_linux);

static const struct arch_capability capabilities[] = {
	ARCH_REQUIRED(KVM_CAP_USER_MEMORY),
	ARCH_REQUIRED(KVM_CAP_IMMEDIATE_EXIT),
	ARCH_REQUIRED(KVM_CAP_ONE_REG),
	ARCH_REQUIRED(KVM_CAP_ARM_PSCI_0_2),
	ARCH_REQUIRED(KVM_CAP_ARM_VM_IPA_SIZE),
	ARCH_REQUIRED(KVM_CAP_DEVICE_CTRL),
	ARCH_REQUIRED(KVM_CAP_IRQ_ROUTING),
	ARCH_REQUIRED(KVM_CAP_IRQFD),
	ARCH_REQUIRED(KVM_CAP_IOEVENTFD),
	ARCH_WANTED(KVM_CAP_MAX_VCPUS, "more than four vCPUs"),
	ARCH_WANTED(KVM_CAP_IOEVENTFD_ANY_LENGTH, "kicks of other than 16 bits without an exit"),
	ARCH_WANTED(KVM_CAP_ARM_NISV_TO_USER,
		    "an abort, instead of the run's end, at accesses to devices by unusual "
		    "instructions"),
};

#define PROBE_ADDRESS (ARM64_RAM_BASE + (1ULL << 20))

static const struct arch_probe speed_probes[] = {
	{ "64-bit", CPU_MODE_64, PROBE_ADDRESS, probe_speed, probe_speed_end },
};

const struct arch_virtualisation arch_virtualisation = {
	.capabilities = capabilities,
	.capability_count = ARRAY_SIZE(capabilities),
	.speed_probes = speed_probes,
	.speed_probe_count = ARRAY_SIZE(speed_probes),
	.linux_probe = { "64-bit", CPU_MODE_64, PROBE_ADDRESS, probe_linux, probe_linux_end },
	.absent = "it needs a kernel with CONFIG_KVM that was started in EL2: by the firmware, or "
		  "by nested virtualisation for this virtual machine",
	.no_nesting = "guests start in EL1 and have no EL2, which their own KVM would need",
};
