/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VM-wide set-up on x86_64: KVM's pages, interrupt controllers, routes.
 */
#include "vm_rig.h"

static void kvm_gets_its_pages_and_controllers(void **state)
{
	struct vm_rig *rig = *state;

	assert_int_equal(vm_rig_init(rig, 1, true), 0);
	assert_int_equal(rig->identity_map, X86_KVM_IDENTITY_MAP);
	assert_int_equal(rig->tss, X86_KVM_TSS);
	assert_int_equal(fake_sys_count(&rig->fake, KVM_CREATE_IRQCHIP), 1);
	assert_int_equal(fake_sys_count(&rig->fake, KVM_CREATE_PIT2), 1);
	assert_int_equal(fake_sys_count(&rig->fake, KVM_ENABLE_CAP), 0);
	assert_true(rig->kvm.has_irqchip);
}

static void irqchip_can_be_left_out(void **state)
{
	struct vm_rig *rig = *state;

	assert_int_equal(vm_rig_init(rig, 1, false), 0);
	assert_int_equal(fake_sys_count(&rig->fake, KVM_CREATE_IRQCHIP), 0);
	assert_int_equal(fake_sys_count(&rig->fake, KVM_CREATE_PIT2), 0);
	assert_false(rig->kvm.has_irqchip);
	assert_int_equal(arch_vm_reset(&rig->arch), 0);
	assert_int_equal(fake_sys_count(&rig->fake, KVM_SET_IRQCHIP), 0);
}

/* A guest without ACPI takes the triggering of PCI interrupts from the ELCR. */
static void pci_pins_are_level_triggered(void **state)
{
	static const unsigned pins[] = X86_INTX_GSIS;
	struct vm_rig *rig = *state;
	unsigned expected = 0, elcr;

	assert_int_equal(vm_rig_init(rig, 1, true), 0);
	for (size_t i = 0; i < ARRAY_SIZE(pins); i++)
		expected |= 1u << pins[i];
	elcr = rig->chips[KVM_IRQCHIP_PIC_MASTER].chip.pic.elcr |
	       rig->chips[KVM_IRQCHIP_PIC_SLAVE].chip.pic.elcr << 8;
	assert_int_equal(elcr, expected);
}

static void reset_brings_the_power_on_state_back(void **state)
{
	struct vm_rig *rig = *state;
	struct kvm_irqchip before[3];

	rig->chips[KVM_IRQCHIP_IOAPIC].chip.ioapic.redirtbl[3].bits = 0x10000;
	assert_int_equal(vm_rig_init(rig, 1, true), 0);
	memcpy(before, rig->chips, sizeof(before));
	memset(rig->chips, 0xff, sizeof(rig->chips));
	memset(&rig->pit, 0xff, sizeof(rig->pit));
	rig->clock.clock = 1000000;
	assert_int_equal(arch_vm_reset(&rig->arch), 0);
	assert_memory_equal(before, rig->chips, sizeof(before));
	assert_int_equal(rig->pit.channels[0].count, 65536);
	assert_int_equal(rig->clock.clock, 0); /* kvmclock restarts */
}

static void apic_ids_become_long_where_they_must(void **state)
{
	struct vm_rig *rig = *state;

	assert_int_equal(vm_rig_init(rig, 255, true), 0);
	assert_int_equal(fake_sys_count(&rig->fake, KVM_ENABLE_CAP), 0);
	arch_vm_destroy(&rig->arch);
	assert_int_equal(vm_rig_init(rig, 256, true), 0);
	assert_int_equal(rig->enabled.cap, KVM_CAP_X2APIC_API);
	assert_int_equal(rig->enabled.args[0], KVM_X2APIC_API_USE_32BIT_IDS |
						       KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);
}

static void cpus_are_as_many_as_kvm_allows(void **state)
{
	struct vm_rig *rig = *state;

	rig->kvm.max_vcpus = 8;
	assert_int_equal(arch_max_cpus(&rig->kvm), 8);
	rig->kvm.max_vcpus = 100000;
	assert_in_range(arch_max_cpus(&rig->kvm), 255, 4096);
}

static void pins_reach_both_controllers(void **state)
{
	unsigned count, to_pic = 0, to_ioapic = 0;
	const struct kvm_irq_routing_entry *routes = arch_irq_routes(&count);

	(void)state;
	for (unsigned i = 0; i < count; i++) {
		const struct kvm_irq_routing_irqchip *to = &routes[i].u.irqchip;
		uint32_t gsi = routes[i].gsi;

		assert_int_equal(routes[i].type, KVM_IRQ_ROUTING_IRQCHIP);
		if (to->irqchip == KVM_IRQCHIP_IOAPIC) {
			assert_int_equal(to->pin, gsi);
			to_ioapic |= 1u << gsi;
		} else {
			assert_int_equal(to->irqchip, gsi < 8 ? KVM_IRQCHIP_PIC_MASTER :
								KVM_IRQCHIP_PIC_SLAVE);
			assert_int_equal(to->pin, gsi % 8);
			to_pic |= 1u << gsi;
		}
	}
	assert_int_equal(count, 40);
	assert_int_equal(to_ioapic, 0xffffff);
	assert_int_equal(to_pic, 0xffff);
}

/* Whichever ioctl fails: its errno, one line, nothing left. */
static void every_failure_is_told_and_undone(void **state)
{
	struct vm_rig *rig = *state;
	unsigned failures = 0;

	for (unsigned n = 1;; n++) {
		struct capture capture;
		char said[512];
		int ret;

		rig->fake.fail_at = rig->fake.calls + n;
		rig->fake.fail_errno = EXFULL;
		capture_stderr_begin(&capture);
		ret = vm_rig_init(rig, 256, true);
		capture_stderr_end(&capture, said, sizeof(said));
		if (ret) {
			assert_int_equal(ret, -EXFULL);
			assert_one_line(said);
			assert_null(rig->arch.priv);
			failures++;
		} else {
			assert_string_equal(said, "");
			arch_vm_destroy(&rig->arch);
			/* KVM_CHECK_EXTENSION does not fail but returns 0. */
			if (rig->fake.calls < rig->fake.fail_at)
				break;
		}
	}
	assert_in_range(failures, 12, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(kvm_gets_its_pages_and_controllers),
		T(irqchip_can_be_left_out),
		T(pci_pins_are_level_triggered),
		T(reset_brings_the_power_on_state_back),
		T(apic_ids_become_long_where_they_must),
		T(cpus_are_as_many_as_kvm_allows),
		T(pins_reach_both_controllers),
		T(every_failure_is_told_and_undone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
