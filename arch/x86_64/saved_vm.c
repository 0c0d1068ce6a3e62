/* SPDX-License-Identifier: Apache-2.0 */
/* The saved state of what all vCPUs share. */
#include "saved.h"

/* Set at once, before the devices are loaded: a line that one of these raises stays raised. */
static int chips_saved(struct kvm *kvm, struct state *state)
{
	static const struct {
		const struct state_table *table;
		const char *name;
	} chips[] = {
		[KVM_IRQCHIP_PIC_MASTER] = { &saved_pic, "first" },
		[KVM_IRQCHIP_PIC_SLAVE] = { &saved_pic, "second" },
		[KVM_IRQCHIP_IOAPIC] = { &saved_ioapic, "" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(chips); i++) {
		struct kvm_irqchip chip = { .chip_id = i };
		int ret = 0;

		if (!state_loads(state))
			ret = kvm_vm_call(kvm, KVM_GET_IRQCHIP, &chip);
		if (ret >= 0)
			ret = state_section(state, chips[i].table, chips[i].name, &chip.chip);
		if (ret >= 0 && state_loads(state))
			ret = kvm_vm_call(kvm, KVM_SET_IRQCHIP, &chip);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/*
 * kvmclock and the PIT are set by arch_clock_start(): a PIT that counts while the vCPUs are being
 * loaded would send an interrupt that then is lost.
 */
int arch_vm_saved(struct arch_vm *arch, struct state *state)
{
	struct x86_vm *vm = arch->priv;
	struct kvm_clock_data clock = { 0 };
	struct kvm_pit_state2 pit = { 0 };
	bool loads = state_loads(state);
	int ret = 0;

	if (!loads)
		ret = kvm_vm_call(arch->kvm, KVM_GET_CLOCK, &clock);
	if (ret >= 0)
		ret = state_section(state, &saved_clock, "", &clock);
	if (ret >= 0 && arch->kvm->has_irqchip) {
		ret = chips_saved(arch->kvm, state);
		if (ret >= 0 && !loads)
			ret = kvm_vm_call(arch->kvm, KVM_GET_PIT2, &pit);
		if (ret >= 0)
			ret = state_section(state, &saved_pit, "", &pit);
	}
	if (ret >= 0 && loads) {
		vm->loaded.clock = (struct kvm_clock_data){ .clock = clock.clock };
		vm->loaded.pit = pit;
	}
	return ret < 0 ? ret : 0;
}
