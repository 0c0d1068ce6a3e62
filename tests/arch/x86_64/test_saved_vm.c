/* SPDX-License-Identifier: Apache-2.0 */
/* The saved state of what all vCPUs share, on x86_64. */
#include "saved_rig.h"

static int part(void *object, struct state *state)
{
	struct vm_rig *rig = object;

	return arch_vm_saved(&rig->arch, state);
}

static void fill(struct vm_rig *rig)
{
	struct kvm_ioapic_state *ioapic = &rig->chips[KVM_IRQCHIP_IOAPIC].chip.ioapic;

	for (unsigned i = 0; i < 2; i++) {
		struct kvm_pic_state *pic = &rig->chips[i].chip.pic;

		*pic = (struct kvm_pic_state){
			.last_irr = 1, .irr = 2, .imr = 0xfb, .isr = 4, .priority_add = 3,
			.irq_base = 0x30, .read_reg_select = 1, .poll = 1, .special_mask = 1,
			.init_state = 2, .auto_eoi = 1, .rotate_on_auto_eoi = 1,
			.special_fully_nested_mode = 1, .init4 = 1, .elcr = 0x20, .elcr_mask = 0xf8,
		};
		pic->irr += (uint8_t)i;
	}
	*ioapic = (struct kvm_ioapic_state){ .base_address = X86_IOAPIC_BASE, .ioregsel = 0x12,
					     .id = 3, .irr = 0x30 };
	for (unsigned i = 0; i < KVM_IOAPIC_NUM_PINS; i++)
		ioapic->redirtbl[i].bits = 0x0100000000018030ULL + i;
	for (unsigned i = 0; i < 3; i++)
		rig->pit.channels[i] = (struct kvm_pit_channel_state){
			.count = 1193 + i, .latched_count = 7, .count_latched = 1,
			.status_latched = 1, .status = 0x36, .read_state = 2, .write_state = 3,
			.write_latch = 5, .rw_mode = 3, .mode = 2, .bcd = 0, .gate = 1,
			.count_load_time = 123456,
		};
	rig->pit.flags = KVM_PIT_FLAGS_SPEAKER_DATA_ON;
	rig->clock = (struct kvm_clock_data){ .clock = 5000000000, .flags = 14, .host_tsc = 77 };
}

static void start(struct saved_rig *rig, bool irqchip)
{
	assert_int_equal(vm_rig_init(rig->from, 1, irqchip), 0);
	assert_int_equal(vm_rig_init(rig->to, 1, irqchip), 0);
	fill(rig->from);
}

static void all_of_it_is_loaded(void **state)
{
	struct saved_rig *rig = *state;

	start(rig, true);
	assert_int_equal(load(part, rig->to, saved_take(part, rig->from)), 0);
	assert_memory_equal(rig->to->chips, rig->from->chips, sizeof(rig->to->chips));
	assert_int_equal(vm_rig_add_vcpu(rig->to, 0), 0);
	assert_int_equal(arch_clock_start(&rig->to->arch, &rig->to->vcpu, 1, 0), 0);
	assert_same_when_saved(part, rig->from, rig->to);
}

/* Its interrupts would come while the local APICs are being loaded. */
static void the_pit_waits_for_the_start(void **state)
{
	struct saved_rig *rig = *state;

	start(rig, true);
	assert_int_equal(load(part, rig->to, saved_take(part, rig->from)), 0);
	assert_int_equal(rig->to->pit.channels[0].count, 65536);
	assert_int_equal(rig->to->clock.clock, 0);
	assert_int_equal(vm_rig_add_vcpu(rig->to, 0), 0);
	assert_int_equal(arch_clock_start(&rig->to->arch, &rig->to->vcpu, 1, 250), 0);
	assert_int_equal(rig->to->pit.channels[0].count, 1193);
	assert_int_equal(rig->to->clock.clock, 5000000250);
	assert_int_equal(rig->to->clock.flags, 0);
}

static void without_irqchip_there_is_only_the_clock(void **state)
{
	struct saved_rig *rig = *state;

	start(rig, false);
	assert_int_equal(load(part, rig->to, saved_take(part, rig->from)), 0);
	assert_int_equal(vm_rig_add_vcpu(rig->to, 0), 0);
	assert_int_equal(arch_clock_start(&rig->to->arch, &rig->to->vcpu, 1, 0), 0);
	assert_int_equal(rig->to->clock.clock, rig->from->clock.clock);
	assert_int_equal(fake_sys_count(&rig->from->fake, KVM_GET_IRQCHIP), 0);
	assert_int_equal(fake_sys_count(&rig->from->fake, KVM_GET_PIT2), 0);
	assert_int_equal(fake_sys_count(&rig->to->fake, KVM_SET_IRQCHIP), 0);
	assert_int_equal(fake_sys_count(&rig->to->fake, KVM_SET_PIT2), 0);
}

static void what_no_controller_can_be_is_refused(void **state)
{
	struct saved_rig *rig = *state;

	start(rig, true);
	rig->from->chips[KVM_IRQCHIP_IOAPIC].chip.ioapic.base_address = 0;
	refuses(part, rig->to, saved_take(part, rig->from), "section ioapic: is at another address");
	fill(rig->from);
	rig->from->chips[KVM_IRQCHIP_PIC_SLAVE].chip.pic.init_state = 4;
	refuses(part, rig->to, saved_take(part, rig->from), "section pic (second): init_state is 4");
	fill(rig->from);
	rig->from->pit.channels[2].count = 65537;
	refuses(part, rig->to, saved_take(part, rig->from), "section pit: channels[2].count is 65537");
}

static void damage_is_loaded_or_refused(void **state)
{
	struct saved_rig *rig = *state;

	start(rig, true);
	damage_each(part, rig->to, saved_take(part, rig->from), 1);
}

static int save_once(void *arg)
{
	struct state *state;
	int ret;

	assert_int_equal(state_new(&state), 0);
	ret = part(arg, state);
	state_free(state);
	return ret;
}

static int load_once(void *arg)
{
	struct saved_rig *rig = arg;

	return load(part, rig->to, saved_take(part, rig->from));
}

static void every_failure_is_told(void **state)
{
	struct saved_rig *rig = *state;

	start(rig, true);
	assert_int_equal(fail_each(rig->from, save_once, rig->from), 5);
	assert_int_equal(fail_each(rig->to, load_once, rig), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup_two, teardown_two)
		T(all_of_it_is_loaded),
		T(the_pit_waits_for_the_start),
		T(without_irqchip_there_is_only_the_clock),
		T(what_no_controller_can_be_is_refused),
		T(damage_is_loaded_or_refused),
		T(every_failure_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
