/* SPDX-License-Identifier: Apache-2.0 */
#include "vm_rig.h"

#include "arch/debug.h"
#include "base/le.h"
#include "debug_block.h"

#define KERNEL_GS_BASE 0xc0000102

static int setup_vcpu(void **state)
{
	struct vm_rig *rig;

	setup(state);
	rig = *state;
	assert_int_equal(vm_rig_init(rig, 1, false), 0);
	return vcpu_init(&rig->vcpu, &rig->kvm, 0, NULL, NULL, NULL, NULL);
}

static void registers_are_read(void **state)
{
	struct vm_rig *rig = *state;
	uint8_t block[ARCH_DEBUG_REGISTERS_MAX];

	rig->regs = (struct kvm_regs){ .rax = 1, .rip = 0x1122334455667788, .rflags = 0x246 };
	rig->sregs.cs.selector = 0x10;
	rig->sregs.gs.base = 0xffff888000000000;
	rig->sregs.cr3 = 0x1000;
	rig->fpu.fcw = 0x37f;
	rig->fpu.ftwx = 0x81; /* the first and the last are in use */
	rig->fpu.xmm[15][0] = 0x5a;
	rig_msr(rig, KERNEL_GS_BASE)->data = 7;
	assert_int_equal(arch_debug_get_registers(&rig->vcpu, block), 0);
	assert_int_equal(get_le64(block + offset_of("rax")), 1);
	assert_true(get_le64(block + offset_of("rip")) == 0x1122334455667788);
	assert_int_equal(get_le32(block + offset_of("eflags")), 0x246);
	assert_int_equal(get_le32(block + offset_of("cs")), 0x10);
	assert_true(get_le64(block + offset_of("gs_base")) == 0xffff888000000000);
	assert_int_equal(get_le64(block + offset_of("cr3")), 0x1000);
	assert_int_equal(get_le32(block + offset_of("fctrl")), 0x37f);
	assert_int_equal(get_le32(block + offset_of("ftag")), 0x3ffc);
	assert_int_equal(block[offset_of("xmm15")], 0x5a);
	assert_int_equal(get_le64(block + offset_of("k_gs_base")), 7);
}

static void expect_sets(const struct vm_rig *rig, unsigned regs, unsigned sregs, unsigned fpu,
			unsigned msrs)
{
	assert_int_equal(fake_sys_count(&rig->fake, KVM_SET_REGS), regs);
	assert_int_equal(fake_sys_count(&rig->fake, KVM_SET_SREGS), sregs);
	assert_int_equal(fake_sys_count(&rig->fake, KVM_SET_FPU), fpu);
	assert_int_equal(fake_sys_count(&rig->fake, KVM_SET_MSRS), msrs);
}

/* Setting unchanged state may have side effects. */
static void only_what_differs_is_written(void **state)
{
	struct vm_rig *rig = *state;
	uint8_t block[ARCH_DEBUG_REGISTERS_MAX];

	rig->fpu.ftwx = 0x0f;
	rig->regs.rflags = 0x100000246;
	assert_int_equal(arch_debug_get_registers(&rig->vcpu, block), 0);
	assert_int_equal(arch_debug_set_registers(&rig->vcpu, block), 0);
	expect_sets(rig, 0, 0, 0, 0);

	put_le64(block + offset_of("r15"), 15);
	assert_int_equal(arch_debug_set_registers(&rig->vcpu, block), 0);
	expect_sets(rig, 1, 0, 0, 0);
	assert_int_equal(rig->regs.r15, 15);
	assert_true(rig->regs.rflags == 0x100000246);

	put_le32(block + offset_of("ftag"), 0xfffc);
	put_le32(block + offset_of("ss"), 0x18);
	put_le64(block + offset_of("k_gs_base"), 9);
	assert_int_equal(arch_debug_set_registers(&rig->vcpu, block), 0);
	expect_sets(rig, 1, 1, 1, 1);
	assert_int_equal(rig->fpu.ftwx, 1);
	assert_int_equal(rig->sregs.ss.selector, 0x18);
	assert_int_equal(rig_msr(rig, KERNEL_GS_BASE)->data, 9);
}

static void every_failing_call_is_told(void **state)
{
	static const unsigned calls[] = { 4, 5 }; /* to read; and one part to write */
	struct vm_rig *rig = *state;
	uint8_t block[ARCH_DEBUG_REGISTERS_MAX];

	assert_int_equal(arch_debug_get_registers(&rig->vcpu, block), 0);
	put_le64(block, 1);
	for (unsigned writing = 0; writing < 2; writing++) {
		for (unsigned n = 1; n <= calls[writing]; n++) {
			rig->fake.calls = 0;
			rig->fake.fail_at = n;
			rig->fake.fail_errno = EINVAL;
			assert_int_equal(writing ? arch_debug_set_registers(&rig->vcpu, block) :
						   arch_debug_get_registers(&rig->vcpu, block),
					 -EINVAL);
		}
	}
}

static void control(struct vm_rig *rig, const struct arch_debug_control *wanted)
{
	assert_int_equal(arch_debug_control(&rig->vcpu, wanted), 0);
}

/* Intel SDM vol. 3B, figure 17-1: LENn, R/Wn, GE, Gn. */
static void points_are_debug_registers(void **state)
{
	static const struct arch_debug_point points[] = {
		{ ARCH_DEBUG_EXECUTE, 0xffffffff81000000, 1 },
		{ ARCH_DEBUG_WRITE, 0x1004, 4 },
		{ ARCH_DEBUG_ACCESS, 0x2000, 8 },
		{ ARCH_DEBUG_WRITE, 0x3002, 2 },
	};
	const struct arch_debug_control wanted = { .points = points, .count = 4 };
	struct vm_rig *rig = *state;

	control(rig, &wanted);
	assert_int_equal(rig->guest_debug.control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP);
	for (unsigned i = 0; i < 4; i++)
		assert_true(rig->guest_debug.arch.debugreg[i] == points[i].address);
	assert_int_equal(rig->guest_debug.arch.debugreg[7], 0x5bd006aa);
}

/* Debug registers watch 1, 2, 4 or 8 bytes at a multiple of that. */
static void a_point_may_take_several(void **state)
{
	const struct arch_debug_point wide = { ARCH_DEBUG_WRITE, 0x1003, 15 }; /* 1 + 4 + 8 + 2 */
	const struct arch_debug_control wanted = { .points = &wide, .count = 1 };
	struct vm_rig *rig = *state;
	struct arch_debug_event event;

	assert_true(arch_debug_points_fit(&rig->vcpu, &wide, 1));
	control(rig, &wanted);
	assert_int_equal(rig->guest_debug.arch.debugreg[0], 0x1003);
	assert_int_equal(rig->guest_debug.arch.debugreg[1], 0x1004);
	assert_int_equal(rig->guest_debug.arch.debugreg[2], 0x1008);
	assert_int_equal(rig->guest_debug.arch.debugreg[3], 0x1010);

	rig->vcpu.run->debug.arch.exception = 1;
	rig->vcpu.run->debug.arch.dr6 = 0xffff0ff8;
	arch_debug_event(&rig->vcpu, &wide, 1, &event);
	assert_int_equal(event.point, 0);
}

static void more_than_there_are_do_not_fit(void **state)
{
	struct vm_rig *rig = *state;
	struct vcpu *vcpu = &rig->vcpu;
	struct arch_debug_point points[5];

	for (unsigned i = 0; i < 5; i++)
		points[i] = (struct arch_debug_point){ ARCH_DEBUG_EXECUTE, i, 1 };
	assert_true(arch_debug_points_fit(vcpu, points, 4));
	assert_false(arch_debug_points_fit(vcpu, points, 5));
	points[0] = (struct arch_debug_point){ ARCH_DEBUG_WRITE, 1, UINT64_MAX };
	assert_false(arch_debug_points_fit(vcpu, points, 1));
	points[0].len = 0;
	assert_false(arch_debug_points_fit(vcpu, points, 1));
	/* At the end of the address space, and around it. */
	points[0] = (struct arch_debug_point){ ARCH_DEBUG_WRITE, UINT64_MAX, 2 };
	assert_true(arch_debug_points_fit(vcpu, points, 1));
}

static void steps_and_exceptions_are_asked_for(void **state)
{
	struct vm_rig *rig = *state;

	control(rig, &(struct arch_debug_control){ .step = true });
	assert_int_equal(rig->guest_debug.control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP |
						   KVM_GUESTDBG_BLOCKIRQ);
	control(rig, &(struct arch_debug_control){ .traps = true,
						 .reinject = ARCH_DEBUG_REINJECT_TRAP });
	assert_int_equal(rig->guest_debug.control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP |
						   KVM_GUESTDBG_INJECT_BP);
	control(rig, &(struct arch_debug_control){ .reinject = ARCH_DEBUG_REINJECT_DEBUG });
	assert_int_equal(rig->guest_debug.control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_INJECT_DB);
	control(rig, &(struct arch_debug_control){ .count = 0 });
	assert_int_equal(rig->guest_debug.control, 0);
}

static void events_are_told_apart(void **state)
{
	static const struct arch_debug_point points[] = { { ARCH_DEBUG_EXECUTE, 0x1000, 1 },
							  { ARCH_DEBUG_WRITE, 0x2000, 4 } };
	struct vm_rig *rig = *state;
	struct kvm_debug_exit_arch *exit = &rig->vcpu.run->debug.arch;
	struct arch_debug_event event;

	*exit = (struct kvm_debug_exit_arch){ .exception = 1, .pc = 0x1000, .dr6 = 0xffff4ff0 };
	arch_debug_event(&rig->vcpu, points, 2, &event);
	assert_true(event.step && !event.trap && event.point == -1);
	assert_int_equal(event.pc, 0x1000);
	exit->dr6 = 0xffff0ff2;
	arch_debug_event(&rig->vcpu, points, 2, &event);
	assert_true(!event.step && !event.trap && event.point == 1);
	/* The bit of an unused register is ignored. */
	exit->dr6 = 0xffff0ff4;
	arch_debug_event(&rig->vcpu, points, 2, &event);
	assert_int_equal(event.point, -1);
	exit->exception = 3;
	exit->dr6 = 0xffff4ff1;
	arch_debug_event(&rig->vcpu, points, 2, &event);
	assert_true(event.trap && !event.step && event.point == -1);
}

static void addresses_are_translated_by_kvm(void **state)
{
	struct vm_rig *rig = *state;
	static const struct gmem none;
	uint64_t gpa = 0;

	rig->translation = (struct kvm_translation){ .physical_address = 0x1234000, .valid = 1 };
	assert_int_equal(arch_debug_translate(&none, &rig->vcpu, 0xffffffff81000000, &gpa),
			 0);
	assert_int_equal(gpa, 0x1234000);
	assert_true(rig->translation.linear_address == 0xffffffff81000000);
	rig->translation.valid = 0;
	assert_int_equal(arch_debug_translate(&none, &rig->vcpu, 0, &gpa), -EFAULT);
}

int main(void)
{
#define ON_VCPU(name) cmocka_unit_test_setup_teardown(name, setup_vcpu, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_description_is_of_the_block),
		ON_VCPU(registers_are_read),
		ON_VCPU(only_what_differs_is_written),
		ON_VCPU(every_failing_call_is_told),
		ON_VCPU(points_are_debug_registers),
		ON_VCPU(a_point_may_take_several),
		ON_VCPU(more_than_there_are_do_not_fit),
		ON_VCPU(steps_and_exceptions_are_asked_for),
		ON_VCPU(events_are_told_apart),
		ON_VCPU(addresses_are_translated_by_kvm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
