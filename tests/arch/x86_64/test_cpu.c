/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPU state on x86_64: power-on, entry, and what an exit says.
 */
#include "vm_rig.h"

static uint32_t apic(const struct vm_rig *rig, unsigned offset)
{
	uint32_t value;

	memcpy(&value, &rig->lapic.regs[offset], sizeof(value));
	return value;
}

/* Intel SDM vol. 3A table 10-1. */
static void power_on_is_real_mode_at_the_reset_vector(void **state)
{
	struct vm_rig *rig = *state;

	assert_int_equal(vm_rig_init(rig, 1, true), 0);
	assert_int_equal(vm_rig_add_vcpu(rig, 0), 0);
	assert_int_equal(rig->sregs.cs.selector, 0xf000);
	assert_int_equal(rig->sregs.cs.base, 0xffff0000);
	assert_int_equal(rig->sregs.ss.base, 0);
	assert_int_equal(rig->regs.rip, 0xfff0);
	assert_int_equal(rig->regs.rflags, 2);
	assert_int_equal(rig->sregs.cr0, 0x10);
	assert_int_equal(rig->sregs.cr3 | rig->sregs.cr4 | rig->sregs.cr8 | rig->sregs.efer, 0);
	assert_int_equal(rig->sregs.apic_base, 0xfee00900);
	for (size_t i = 0; i < ARRAY_SIZE(rig->sregs.interrupt_bitmap); i++)
		assert_int_equal(rig->sregs.interrupt_bitmap[i], 0);
	assert_int_equal(rig->mp_state.mp_state, KVM_MP_STATE_RUNNABLE);
	assert_int_equal(rig->xcrs.xcrs[0].value, 1);
	assert_int_equal(rig->xsave.region[0], 0x37f);
	assert_int_equal(rig->xsave.region[6], 0x1f80);
	assert_int_equal(rig->xsave.region[128], 3); /* so that MXCSR is taken from it */
	assert_int_equal(rig->debug.dr7, 0x400);
	assert_int_equal(rig->events.exception.injected | rig->events.nmi.pending, 0);
}

static void boot_cpu_takes_the_pics_interrupts(void **state)
{
	struct vm_rig *rig = *state;

	assert_int_equal(vm_rig_init(rig, 2, true), 0);
	assert_int_equal(vm_rig_add_vcpu(rig, 0), 0);
	assert_int_equal(apic(rig, 0x20), 0);
	assert_int_equal(apic(rig, 0x30), 0x50014); /* the version is KVM's */
	assert_int_equal(apic(rig, 0x80), 0);
	assert_int_equal(apic(rig, 0xf0), 0xff);
	assert_int_equal(apic(rig, 0x320), 0x10000);
	assert_int_equal(apic(rig, 0x350), 0x700);
	assert_int_equal(apic(rig, 0x360), 0x400);
	assert_int_equal(apic(rig, 0x370), 0x10000);
}

static void other_cpus_wait_for_start_up(void **state)
{
	struct vm_rig *rig = *state;

	assert_int_equal(vm_rig_init(rig, 4, true), 0);
	assert_int_equal(vm_rig_add_vcpu(rig, 3), 0);
	assert_int_equal(rig->mp_state.mp_state, KVM_MP_STATE_UNINITIALIZED);
	assert_int_equal(rig->sregs.apic_base, 0xfee00800);
	assert_int_equal(apic(rig, 0x20), 3u << 24);
	assert_int_equal(apic(rig, 0x350), 0x10000);
	assert_int_equal(apic(rig, 0x360), 0x10000);
}

static void without_irqchip_no_apic_is_touched(void **state)
{
	struct vm_rig *rig = *state;

	assert_int_equal(vm_rig_init(rig, 1, false), 0);
	assert_int_equal(vm_rig_add_vcpu(rig, 0), 0);
	assert_int_equal(fake_sys_count(&rig->fake, KVM_GET_LAPIC), 0);
	assert_int_equal(fake_sys_count(&rig->fake, KVM_SET_LAPIC), 0);
	assert_int_equal(fake_sys_count(&rig->fake, KVM_SET_MP_STATE), 0);
	assert_int_equal(rig->sregs.apic_base, 0xfee00100);
}

static void msrs_are_what_firmware_leaves(void **state)
{
	struct vm_rig *rig = *state;

	assert_int_equal(vm_rig_init(rig, 1, true), 0);
	assert_int_equal(vm_rig_add_vcpu(rig, 0), 0);
	assert_int_equal(rig_msr(rig, 0x2ff)->data, 0x806);  /* MTRRs on, write-back */
	assert_int_equal(rig_msr(rig, 0x1a0)->data, 0x1801); /* fast strings added */
	assert_int_equal(rig_msr(rig, 0x277)->data, 0x0007040600070406);
	assert_int_equal(rig->msrs_written, 3); /* with the TSC: correct values are not written */
}

/* KVM replaces a 0 by the TSC of the previous vCPUs. */
static void time_stamps_begin_anew_and_agree(void **state)
{
	struct vm_rig *rig = *state;

	assert_int_equal(vm_rig_init(rig, 2, true), 0);
	assert_int_equal(vm_rig_add_vcpu(rig, 0), 0);
	assert_int_equal(rig_msr(rig, 0x10)->data, 1);
	rig_msr(rig, 0x10)->data = 999999;
	assert_int_equal(vm_rig_add_vcpu(rig, 1), 0);
	assert_int_equal(rig_msr(rig, 0x10)->data, 0);
}

/* As a previous guest may leave it. */
static void make_dirty(struct vm_rig *rig)
{
	memset(&rig->nested, 0xa5, sizeof(rig->nested));
	memset(&rig->sregs, 0xa5, sizeof(rig->sregs));
	memset(&rig->regs, 0xa5, sizeof(rig->regs));
	memset(&rig->lapic, 0xa5, sizeof(rig->lapic));
	memset(&rig->mp_state, 0xa5, sizeof(rig->mp_state));
	memset(&rig->xcrs, 0xa5, sizeof(rig->xcrs));
	memset(&rig->xsave, 0xa5, sizeof(rig->xsave));
	memset(&rig->events, 0xa5, sizeof(rig->events));
	memset(&rig->debug, 0xa5, sizeof(rig->debug));
	for (unsigned i = 0; i < rig->msr_count; i++)
		rig->msrs[i].data ^= 0xa5;
}

static void a_reset_brings_all_back(void **state)
{
	struct vm_rig *rig = *state;
	struct vm_rig *before = test_malloc(sizeof(*before));

	assert_int_equal(vm_rig_init(rig, 1, true), 0);
	assert_int_equal(vm_rig_add_vcpu(rig, 0), 0);
	*before = *rig;
	make_dirty(rig);
	assert_int_equal(arch_vcpu_reset(&rig->arch, &rig->vcpu), 0);
#define SAME(field) assert_memory_equal(&rig->field, &before->field, sizeof(rig->field))
	SAME(nested);
	SAME(sregs);
	SAME(regs);
	SAME(lapic);
	SAME(mp_state);
	SAME(xcrs);
	SAME(xsave);
	SAME(events);
	SAME(debug);
	SAME(msrs);
#undef SAME
	test_free(before);
}

/* On Intel, SREGS without VMX are refused while a guest has it on. */
static void a_nested_guest_ends_first(void **state)
{
	struct vm_rig *rig = *state;
	unsigned i = 0;

	assert_int_equal(vm_rig_init(rig, 1, true), 0);
	assert_int_equal(vm_rig_add_vcpu(rig, 0), 0);
	while (i < rig->fake.request_count && rig->fake.requests[i] != KVM_SET_SREGS2)
		assert_int_not_equal(rig->fake.requests[i++], KVM_SET_REGS);
	while (rig->fake.requests[i] != KVM_SET_NESTED_STATE)
		assert_int_not_equal(i--, 0);
	rig->missing_cap = KVM_CAP_NESTED_STATE;
	assert_int_equal(arch_vcpu_reset(&rig->arch, &rig->vcpu), 0);
	assert_int_equal(fake_sys_count(&rig->fake, KVM_SET_NESTED_STATE), 1);
}

static void msrs_that_kvm_lacks_are_stepped_over(void **state)
{
	static const uint32_t missing[] = { 0x10, 0x1a0, 0x2ff, 0x47f, 0xc0000082 };

	for (size_t i = 0; i < ARRAY_SIZE(missing); i++) {
		struct vm_rig *rig = *state;

		rig->missing_msr = missing[i];
		assert_int_equal(vm_rig_init(rig, 1, true), 0);
		assert_int_equal(vm_rig_add_vcpu(rig, 0), 0);
		make_dirty(rig);
		assert_int_equal(arch_vcpu_reset(&rig->arch, &rig->vcpu), 0);
		rig->missing_msr = 0;
		assert_int_equal(rig_msr(rig, 0x3b)->data, 0);
		teardown(state);
		setup(state);
	}
}

static void an_msr_that_refuses_stops_no_other(void **state)
{
	struct vm_rig *rig = *state;

	rig->read_only_msr = 0x3b;
	assert_int_equal(vm_rig_init(rig, 1, true), 0);
	assert_int_equal(vm_rig_add_vcpu(rig, 0), 0);
	make_dirty(rig);
	assert_int_equal(arch_vcpu_reset(&rig->arch, &rig->vcpu), 0);
	assert_int_equal(rig_msr(rig, 0xc0000082)->data, 0);
}

static void lists_of_any_length_are_taken(void **state)
{
	struct vm_rig *rig = *state;

	rig->listed_max = 5000;
	assert_int_equal(vm_rig_init(rig, 1, true), 0);
	assert_int_equal(vm_rig_add_vcpu(rig, 0), 0);
	assert_int_equal(fake_sys_count(&rig->fake, KVM_GET_MSR_INDEX_LIST), 2);
}

static void cpus_without_xsave_have_no_xcr0(void **state)
{
	struct vm_rig *rig = *state;

	rig->missing_cap = KVM_CAP_XCRS;
	assert_int_equal(vm_rig_init(rig, 1, true), 0);
	assert_int_equal(vm_rig_add_vcpu(rig, 0), 0);
	assert_int_equal(fake_sys_count(&rig->fake, KVM_SET_XCRS), 0);
	assert_int_equal(fake_sys_count(&rig->fake, KVM_SET_XSAVE), 1);
}

/* --- Entry ----------------------------------------------------------------------------------- */

static void enter(struct vm_rig *rig, const struct boot_regs *regs)
{
	struct boot_state boot = { 0 };

	memcpy(boot.words, regs, sizeof(*regs));
	assert_int_equal(vm_rig_init(rig, 1, true), 0);
	assert_int_equal(vm_rig_add_vcpu(rig, 0), 0);
	assert_int_equal(arch_boot_vcpu(&rig->vcpu, &boot), 0);
	assert_int_equal(rig->regs.rflags, 2); /* interrupts off */
}

static void entry_in_real_mode(void **state)
{
	struct vm_rig *rig = *state;

	enter(rig, &(struct boot_regs){ .mode = CPU_MODE_16, .cs = 0x1234, .rip = 5, .ss = 0x7000,
					.rsp = 0xfff0 });
	assert_int_equal(rig->sregs.cr0 & 1, 0);
	assert_int_equal(rig->sregs.cs.selector, 0x1234);
	assert_int_equal(rig->sregs.cs.base, 0x12340);
	assert_int_equal(rig->sregs.ds.base, 0x12340);
	assert_int_equal(rig->sregs.ss.base, 0x70000);
	assert_int_equal(rig->sregs.idt.limit, 0x3ff);
	assert_int_equal(rig->regs.rip, 5);
	assert_int_equal(rig->regs.rsp, 0xfff0);
}

/* Multiboot 0.6.96 §3.2; PVH requires the same and a TSS. */
static void entry_in_protected_mode(void **state)
{
	struct vm_rig *rig = *state;

	enter(rig, &(struct boot_regs){ .mode = CPU_MODE_32, .rip = 0x100000, .rax = 1, .rbx = 2 });
	assert_int_equal(rig->sregs.cr0, 0x11);
	assert_int_equal(rig->sregs.cr4 | rig->sregs.efer | rig->sregs.cr3, 0);
	assert_int_equal(rig->sregs.cs.selector, BOOT_CS);
	assert_int_equal(rig->sregs.cs.limit, UINT32_MAX);
	assert_int_equal(rig->sregs.cs.type, 11);
	assert_int_equal(rig->sregs.cs.db, 1);
	assert_int_equal(rig->sregs.cs.l, 0);
	assert_int_equal(rig->sregs.ds.type, 3);
	assert_int_equal(rig->sregs.ss.base, 0);
	assert_int_equal(rig->sregs.tr.limit, 0x67);
	assert_int_equal(rig->sregs.tr.base, 0);
	assert_int_equal(rig->sregs.gdt.base, BOOT_GDT);
	assert_int_equal(rig->regs.rax, 1);
	assert_int_equal(rig->regs.rbx, 2);
	assert_int_equal(rig->regs.rip, 0x100000);
}

/* boot.rst, "64-bit boot protocol" */
static void entry_in_long_mode(void **state)
{
	struct vm_rig *rig = *state;

	enter(rig, &(struct boot_regs){ .mode = CPU_MODE_64, .rip = 0x1000200, .rsi = BOOT_INFO });
	assert_int_equal(rig->sregs.cr0, 0x80000011);
	assert_int_equal(rig->sregs.cr4, 0x20);
	assert_int_equal(rig->sregs.cr3, BOOT_PML4);
	assert_int_equal(rig->sregs.efer, 0x500);
	assert_int_equal(rig->sregs.cs.selector, 0x10);
	assert_int_equal(rig->sregs.cs.l, 1);
	assert_int_equal(rig->sregs.cs.db, 0);
	assert_int_equal(rig->sregs.ds.selector, 0x18);
	assert_int_equal(rig->sregs.es.selector, 0x18);
	assert_int_equal(rig->sregs.ss.selector, 0x18);
	assert_int_equal(rig->regs.rsi, BOOT_INFO);
	assert_int_equal(rig->regs.rip, 0x1000200);
}

static void every_failure_is_told(void **state)
{
	struct vm_rig *rig = *state;
	const struct boot_state boot = { 0 };
	struct x86_vm *vm;
	unsigned failures = 0;

	assert_int_equal(vm_rig_init(rig, 1, true), 0);
	assert_int_equal(vm_rig_add_vcpu(rig, 0), 0);
	vm = rig->arch.priv;
	for (unsigned n = 1;; n++) {
		struct capture capture;
		char said[512];
		int ret;

		rig->fake.fail_at = rig->fake.calls + n;
		rig->fake.fail_errno = EXFULL;
		free(vm->power_on);
		vm->power_on = NULL;
		capture_stderr_begin(&capture);
		ret = arch_vcpu_init(&rig->arch, &rig->vcpu);
		if (!ret)
			ret = arch_boot_vcpu(&rig->vcpu, &boot);
		capture_stderr_end(&capture, said, sizeof(said));
		if (ret) {
			assert_int_equal(ret, -EXFULL);
			assert_one_line(said);
			failures++;
		} else if (rig->fake.calls < rig->fake.fail_at) {
			break;
		}
	}
	assert_in_range(failures, 25, 200); /* an ioctl for each MSR that is missing */
}

/* --- Exits ----------------------------------------------------------------------------------- */

static struct kvm_run *stopped_at(struct vm_rig *rig, uint32_t reason)
{
	assert_int_equal(vm_rig_init(rig, 1, true), 0);
	assert_int_equal(vm_rig_add_vcpu(rig, 0), 0);
	rig->regs.rip = 0xffffffff81000123;
	rig->sregs.cr0 = 0x80000011;
	rig->sregs.efer = 0x500;
	rig->sregs.cs.l = 1;
	rig->sregs.cs.selector = 0x10;
	rig->vcpu.run->exit_reason = reason;
	return rig->vcpu.run;
}

static void internal_error_names_place_and_bytes(void **state)
{
	struct vm_rig *rig = *state;
	struct kvm_run *run = stopped_at(rig, KVM_EXIT_INTERNAL_ERROR);
	char detail[160];

	run->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run->emulation_failure.ndata = 3;
	run->emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	run->emulation_failure.insn_size = 15;
	memcpy(run->emulation_failure.insn_bytes, "\x0f\xc7\x2f\1\2\3\4\5\6\7\x8\x9\xa\xb\xc", 15);
	assert_int_equal(arch_vcpu_exit(&rig->vcpu, detail, sizeof(detail)), VCPU_INTERNAL_ERROR);
	assert_non_null(strstr(detail, "at rip 0xffffffff81000123, 64-bit mode"));
	assert_non_null(strstr(detail, "bytes 0f c7 2f 01 02 03 04 05 06 07 08 09 0a 0b 0c"));
	assert_null(strchr(detail, '\n'));
}

static void internal_error_says_only_what_is_there(void **state)
{
	struct vm_rig *rig = *state;
	struct kvm_run *run = stopped_at(rig, KVM_EXIT_INTERNAL_ERROR);
	char detail[160];

	run->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run->emulation_failure.ndata = 3;
	run->emulation_failure.insn_size = 3;
	assert_int_equal(arch_vcpu_exit(&rig->vcpu, detail, sizeof(detail)), VCPU_INTERNAL_ERROR);
	assert_null(strstr(detail, "bytes"));
	run->emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	run->emulation_failure.insn_size = 200;
	assert_int_equal(arch_vcpu_exit(&rig->vcpu, detail, sizeof(detail)), VCPU_INTERNAL_ERROR);
	assert_null(strstr(detail, "bytes"));
	run->emulation_failure.insn_size = 15;
	run->emulation_failure.ndata = 0;
	assert_int_equal(arch_vcpu_exit(&rig->vcpu, detail, sizeof(detail)), VCPU_INTERNAL_ERROR);
	assert_null(strstr(detail, "bytes"));
	run->internal.suberror = 99;
	assert_int_equal(arch_vcpu_exit(&rig->vcpu, detail, sizeof(detail)), VCPU_INTERNAL_ERROR);
	assert_non_null(strstr(detail, "99 (unknown cause)"));
}

/* The text ends inside the buffer, however short that is. */
static void details_are_cut_to_their_room(void **state)
{
	struct vm_rig *rig = *state;
	struct kvm_run *run = stopped_at(rig, KVM_EXIT_INTERNAL_ERROR);

	run->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run->emulation_failure.ndata = 3;
	run->emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	run->emulation_failure.insn_size = 15;
	for (size_t len = 1; len < 220; len++) {
		char *detail = test_malloc(len);

		arch_vcpu_exit(&rig->vcpu, detail, len);
		assert_true(strnlen(detail, len) < len);
		test_free(detail);
	}
}

static void unknown_exits_end_the_vcpu(void **state)
{
	struct vm_rig *rig = *state;
	char detail[160];

	stopped_at(rig, 12345);
	assert_int_equal(arch_vcpu_exit(&rig->vcpu, detail, sizeof(detail)), VCPU_UNKNOWN_EXIT);
	assert_string_equal(detail, "KVM exit reason 12345");
	rig->vcpu.run->exit_reason = KVM_EXIT_SET_TPR;
	assert_int_equal(arch_vcpu_exit(&rig->vcpu, detail, sizeof(detail)), VCPU_RUNNING);
}

static void modes_have_names(void **state)
{
	static const struct {
		uint64_t cr0, efer;
		uint8_t l, db;
		const char *name;
	} modes[] = {
		{ 0x10, 0, 0, 0, "16-bit real" },	 { 0x11, 0, 0, 1, "32-bit protected" },
		{ 0x11, 0, 0, 0, "16-bit protected" },	 { 0x80000011, 0x500, 1, 0, "64-bit" },
		{ 0x80000011, 0x500, 0, 1, "32-bit compatibility" },
	};
	struct vm_rig *rig = *state;
	char text[128];

	stopped_at(rig, 0);
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		rig->sregs.cr0 = modes[i].cr0;
		rig->sregs.efer = modes[i].efer;
		rig->sregs.cs.l = modes[i].l;
		rig->sregs.cs.db = modes[i].db;
		arch_vcpu_describe(&rig->vcpu, text, sizeof(text));
		assert_non_null(strstr(text, modes[i].name));
	}
	rig->fake.fail_at = rig->fake.calls + 1;
	arch_vcpu_describe(&rig->vcpu, text, sizeof(text));
	assert_string_equal(text, "rip unknown");
}

/* On AMD every triple fault ends there; "16-bit real mode" would mislead users. */
static void the_reset_vector_is_named(void **state)
{
	struct vm_rig *rig = *state;
	char text[128];

	stopped_at(rig, 0);
	rig->regs.rip = 0xfff0;
	rig->sregs.cs.base = 0xffff0000;
	arch_vcpu_describe(&rig->vcpu, text, sizeof(text));
	assert_non_null(strstr(text, "reset vector"));
}

static const struct arch_register *find_register(const struct arch_vcpu_state *state,
						 const char *name)
{
	unsigned i = 0;

	while (i < state->register_count && strcmp(state->registers[i].name, name) != 0)
		i++;
	if (i == state->register_count)
		fail_msg("no register %s", name);
	return &state->registers[i];
}

static void registers_have_names_and_flags_are_decoded(void **state)
{
	struct vm_rig *rig = *state;
	struct arch_vcpu_state at;

	stopped_at(rig, 0);
	rig->regs.rflags = 0x246;
	rig->regs.r15 = 15;
	rig->sregs.cr0 = 0x80050033;
	rig->sregs.cr4 = UINT64_MAX;
	rig->sregs.efer = 0xd01;
	rig->sregs.cs.l = 1;
	rig->mp_state.mp_state = KVM_MP_STATE_HALTED;
	rig_msr(rig, 0xc0000082)->data = 0xffffffff82000080;
	assert_int_equal(arch_vcpu_state(&rig->vcpu, &at), 0);
	assert_int_equal(at.ip, rig->regs.rip);
	assert_string_equal(at.mode, "64-bit");
	assert_string_equal(at.activity, "halted");
	assert_string_equal(at.anchor_symbol, "entry_SYSCALL_64");
	assert_int_equal(at.anchor, 0xffffffff82000080);
	assert_int_equal(find_register(&at, "rip")->value, rig->regs.rip);
	assert_int_equal(find_register(&at, "r15")->value, 15);
	assert_string_equal(find_register(&at, "rflags")->bits, "PF ZF IF");
	assert_string_equal(find_register(&at, "cr0")->bits, "PE MP ET NE WP AM PG");
	assert_string_equal(find_register(&at, "efer")->bits, "SCE LME LMA NXE");
	/* All names fit. */
	assert_non_null(strstr(find_register(&at, "cr4")->bits, " PKE"));

	rig->mp_state.mp_state = KVM_MP_STATE_UNINITIALIZED;
	rig_msr(rig, 0xc0000082)->data = 0;
	assert_int_equal(arch_vcpu_state(&rig->vcpu, &at), 0);
	assert_string_equal(at.activity, "not started");
	assert_null(at.anchor_symbol);
	rig->fake.fail_at = rig->fake.calls + 1;
	rig->fake.fail_errno = EIO;
	assert_int_equal(arch_vcpu_state(&rig->vcpu, &at), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(power_on_is_real_mode_at_the_reset_vector),
		T(boot_cpu_takes_the_pics_interrupts),
		T(other_cpus_wait_for_start_up),
		T(without_irqchip_no_apic_is_touched),
		T(msrs_are_what_firmware_leaves),
		T(time_stamps_begin_anew_and_agree),
		T(a_reset_brings_all_back),
		T(a_nested_guest_ends_first),
		T(msrs_that_kvm_lacks_are_stepped_over),
		T(an_msr_that_refuses_stops_no_other),
		T(lists_of_any_length_are_taken),
		T(cpus_without_xsave_have_no_xcr0),
		T(entry_in_real_mode),
		T(entry_in_protected_mode),
		T(entry_in_long_mode),
		T(every_failure_is_told),
		T(internal_error_names_place_and_bytes),
		T(internal_error_says_only_what_is_there),
		T(details_are_cut_to_their_room),
		T(unknown_exits_end_the_vcpu),
		T(modes_have_names),
		T(the_reset_vector_is_named),
		T(registers_have_names_and_flags_are_decoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
