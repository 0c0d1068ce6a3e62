/* SPDX-License-Identifier: Apache-2.0 */
/* The saved state of a vCPU on x86_64, and the start of its clocks. */
#include "saved_rig.h"

static int part(void *object, struct state *state)
{
	struct vm_rig *rig = object;

	return arch_vcpu_saved(&rig->arch, &rig->vcpu, state);
}

static void fill_msrs(struct vm_rig *rig)
{
	for (unsigned i = 0; i < rig->msr_count; i++)
		rig->msrs[i].data ^= 0x10101;
}

static void fill_lapic(struct vm_rig *rig)
{
	memset(&rig->lapic, 0, sizeof(rig->lapic));
	for (uint32_t at = 0; at < sizeof(rig->lapic.regs); at += 0x10) {
		bool is_reserved = at < 0x20 || (at > 0x30 && at < 0x80) ||
				   (at > 0x280 && at < 0x2f0) || (at > 0x390 && at < 0x3e0);
		uint32_t value = is_reserved ? 0 : 0x1010101 * (at >> 4);

		memcpy(&rig->lapic.regs[at], &value, sizeof(value));
	}
}

/* As a guest may leave it. */
static void fill(struct vm_rig *rig)
{
	memset(&rig->sregs2, 0x5a, sizeof(rig->sregs2));
	for (struct kvm_segment *segment = &rig->sregs.cs; segment <= &rig->sregs.ldt; segment++)
		segment->padding = 0;
	memset(rig->sregs.gdt.padding, 0, sizeof(rig->sregs.gdt.padding));
	memset(rig->sregs.idt.padding, 0, sizeof(rig->sregs.idt.padding));
	rig->sregs2.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
	memset(&rig->regs, 0x5b, sizeof(rig->regs));
	rig->mp_state.mp_state = KVM_MP_STATE_HALTED;
	rig->xcrs.xcrs[0].value = 7;
	memset(&rig->xsave, 0x5c, sizeof(rig->xsave));
	rig->events = (struct kvm_vcpu_events){
		.exception = { 1, 14, 1, 1, 2 }, .interrupt = { 1, 32, 1, 2 }, .nmi = { 1, 1, 1 },
		.sipi_vector = 9, .flags = KVM_VCPUEVENT_VALID_NMI_PENDING, .smi = { 1, 1, 1, 1 },
		.triple_fault = { 1 }, .exception_has_payload = 1, .exception_payload = 0x1234,
	};
	rig->debug = (struct kvm_debugregs){ .db = { 1, 2, 3, 4 }, .dr6 = 5, .dr7 = 6 };
	rig->ssp = 0x7fff12345678;
	fill_lapic(rig);
	fill_msrs(rig);
}

static void start_with(struct saved_rig *rig, bool irqchip)
{
	assert_int_equal(vm_rig_init(rig->from, 2, irqchip), 0);
	assert_int_equal(vm_rig_add_vcpu(rig->from, 0), 0);
	assert_int_equal(vm_rig_init(rig->to, 2, irqchip), 0);
	assert_int_equal(vm_rig_add_vcpu(rig->to, 0), 0);
	fill(rig->from);
}

static void start(struct saved_rig *rig)
{
	start_with(rig, true);
}

static void assert_loaded(const struct vm_rig *from, const struct vm_rig *to)
{
#define SAME(field) assert_memory_equal(&from->field, &to->field, sizeof(from->field))
	SAME(sregs2);
	SAME(regs);
	SAME(lapic);
	SAME(mp_state);
	SAME(xcrs);
	SAME(xsave);
	SAME(events);
	SAME(debug);
	SAME(ssp);
#undef SAME
	for (unsigned i = 0; i < from->msr_count; i++)
		if (from->msrs[i].index != 0x10)
			assert_int_equal(from->msrs[i].data, to->msrs[i].data);
}

static void all_of_it_is_loaded(void **state)
{
	struct saved_rig *rig = *state;

	start(rig);
	assert_int_equal(load(part, rig->to, saved_take(part, rig->from)), 0);
	assert_loaded(rig->from, rig->to);
	assert_int_equal(arch_clock_start(&rig->to->arch, &rig->to->vcpu, 1, 0), 0);
	rig->to->tsc_offset = rig->from->tsc_offset; /* of another host */
	assert_same_when_saved(part, rig->from, rig->to);
}

static void older_kernels_have_less(void **state)
{
	static const long caps[] = { KVM_CAP_SREGS2, KVM_CAP_XSAVE2, KVM_CAP_XCRS,
				     KVM_CAP_NESTED_STATE };

	for (size_t i = 0; i < ARRAY_SIZE(caps); i++) {
		struct saved_rig *rig = *state;

		rig->from->missing_cap = rig->to->missing_cap = caps[i];
		start(rig);
		rig->from->sregs2.flags = 0;
		memset(rig->from->sregs2.pdptrs, 0, sizeof(rig->from->sregs2.pdptrs));
		if (caps[i] == KVM_CAP_XCRS)
			rig->from->xcrs = rig->to->xcrs;
		assert_int_equal(load(part, rig->to, saved_take(part, rig->from)), 0);
		assert_loaded(rig->from, rig->to);
		teardown_two(state);
		setup_two(state);
	}
}

static void without_shadow_stacks_there_is_no_pointer(void **state)
{
	struct saved_rig *rig = *state;

	rig->from->no_ssp = rig->to->no_ssp = true;
	start(rig);
	rig->from->ssp = 0;
	assert_int_equal(load(part, rig->to, saved_take(part, rig->from)), 0);
	assert_loaded(rig->from, rig->to);
	rig->to->no_ssp = false;
	refuses(part, rig->to, saved_take(part, rig->from), "section ssp (vcpu 0): is missing");
}

static void without_irqchip_there_is_no_local_apic(void **state)
{
	struct saved_rig *rig = *state;

	start_with(rig, false);
	assert_int_equal(load(part, rig->to, saved_take(part, rig->from)), 0);
	assert_int_equal(fake_sys_count(&rig->from->fake, KVM_GET_LAPIC), 0);
	assert_int_equal(fake_sys_count(&rig->to->fake, KVM_SET_LAPIC), 0);
	assert_int_equal(fake_sys_count(&rig->to->fake, KVM_SET_MP_STATE), 0);
	assert_memory_equal(&rig->to->regs, &rig->from->regs, sizeof(rig->to->regs));
}

/* --- Order ------------------------------------------------------------------------------------ */

static unsigned last_of(const struct fake_sys *fake, unsigned long request)
{
	unsigned i = fake->request_count;

	assert_in_range(i, 1, FAKE_MAX_CALLS - 1);
	while (i-- > 0)
		if (fake->requests[i] == request)
			return i;
	fail_msg("0x%lx was never called", request);
	return 0;
}

static void events_are_set_last_and_msrs_after_the_local_apic(void **state)
{
	static const unsigned long order[] = { KVM_SET_SREGS2, KVM_SET_REGS, KVM_SET_LAPIC,
					       KVM_SET_MSRS, KVM_SET_MP_STATE,
					       KVM_SET_VCPU_EVENTS };
	struct saved_rig *rig = *state;
	struct saved from;

	start(rig);
	from = saved_take(part, rig->from);
	rig->to->fake.request_count = 0;
	assert_int_equal(load(part, rig->to, from), 0);
	for (size_t i = 1; i < ARRAY_SIZE(order); i++)
		assert_true(last_of(&rig->to->fake, order[i - 1]) <
			    last_of(&rig->to->fake, order[i]));
	assert_int_equal(last_of(&rig->to->fake, KVM_SET_VCPU_EVENTS),
			 rig->to->fake.request_count - 1);
}

/* KVM_GET_MP_STATE may reset the vCPU; a timer may expire between its MSR and the local APIC. */
static void what_may_change_is_read_first(void **state)
{
	static const unsigned long order[] = { KVM_GET_MP_STATE, KVM_GET_MSRS, KVM_GET_LAPIC };
	struct saved_rig *rig = *state;
	struct saved saved;
	unsigned mp_state;

	start(rig);
	rig->from->fake.request_count = 0;
	saved = saved_take(part, rig->from);
	saved_free(&saved);
	mp_state = last_of(&rig->from->fake, KVM_GET_MP_STATE);
	for (unsigned i = 0; i < mp_state; i++)
		assert_true(rig->from->fake.requests[i] == KVM_CHECK_EXTENSION ||
			    rig->from->fake.requests[i] == KVM_GET_NESTED_STATE);
	rig->from->fake.request_count = last_of(&rig->from->fake, KVM_HAS_DEVICE_ATTR);
	for (size_t i = 1; i < ARRAY_SIZE(order); i++)
		assert_true(last_of(&rig->from->fake, order[i - 1]) <
			    last_of(&rig->from->fake, order[i]));
}

/* --- What is refused -------------------------------------------------------------------------- */

static void set_leaves(struct vm_rig *rig, const struct kvm_cpuid_entry2 *leaves, unsigned count)
{
	memcpy(rig->leaves, leaves, count * sizeof(leaves[0]));
	rig->leaf_count = count;
}

/* Not even a leaf that is not about features may differ. */
static void another_cpu_is_refused_by_feature_or_leaf(void **state)
{
	static const struct {
		struct kvm_cpuid_entry2 from, to;
		const char *why;
	} cases[] = {
		{ { .function = 7, .ebx = 1 << 5 | 1 << 8 }, { .function = 7, .ebx = ~(1u << 8) },
		  "the guest has bmi2, and this host has not (CPUID leaf 0x7.0, EBX, bit 8)" },
		{ { .function = 7, .ebx = 1u << 31 }, { .function = 7 },
		  "the guest has avx512vl, and this host has not (CPUID leaf 0x7.0, EBX, bit 31)" },
		{ { .function = 7, .edx = 1 }, { .function = 7 },
		  "the guest has a feature, and this host has not (CPUID leaf 0x7.0, EDX, bit 0)" },
		{ { .function = 7, .index = 2, .edx = 1 }, { .function = 7, .index = 2 },
		  "the guest has a feature, and this host has not (CPUID leaf 0x7.2, EDX, bit 0)" },
		{ { .function = 0x80000001, .edx = 1 << 26 }, { .function = 0x80000001 },
		  "the guest has pdpe1gb, and" },
		{ { .function = 0x40000001, .eax = 1 << 18 }, { .function = 0x40000001 },
		  "the guest has a feature, and" },
		{ { .function = 7, .eax = 1 }, { .function = 7 },
		  "CPUID leaf 0x7.0 has EAX 0x00000001, and on this host 0x00000000" },
		{ { .function = 0x15, .ecx = 1 }, { .function = 0x15, .ecx = 3 },
		  "CPUID leaf 0x15.0 has ECX 0x00000001, and on this host 0x00000003" },
		{ { .function = 0x14, .index = 1 }, { .function = 0x14 },
		  "it has CPUID leaf 0x14.1, and this host has not" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct saved_rig *rig = *state;

		rig->from->leaf_count = rig->to->leaf_count = 2;
		rig->from->leaves[1] = cases[i].from;
		rig->to->leaves[1] = cases[i].to;
		start(rig);
		rig->to->fake.request_count = 0;
		refuses(part, rig->to, saved_take(part, rig->from),
			"section cpuid (vcpu 0): of another CPU or kernel: ");
		assert_int_equal(rig->to->fake.request_count, 0);
		refuses(part, rig->to, saved_take(part, rig->from), cases[i].why);
		teardown_two(state);
		setup_two(state);
	}
}

/* A newer kernel, or CPU, whose further leaves are between the others. */
static void a_host_that_has_more_tells_the_guest_what_it_was_told(void **state)
{
	static const struct kvm_cpuid_entry2 less[] = {
		{ .function = 0, .eax = 0xd },
		{ .function = 7, .ebx = 1 << 5 },
		{ .function = 0xd, .eax = 7, .ebx = 576, .ecx = 832, .flags = 1 },
	}, more[] = {
		{ .function = 0, .eax = 0x14 },
		{ .function = 7, .eax = 1, .ebx = 1 << 5 | 1 << 16, .ecx = 1 << 7 },
		{ .function = 7, .index = 1, .eax = 1 },
		{ .function = 0xd, .eax = 0x207, .ebx = 576, .ecx = 2696, .flags = 1 },
		{ .function = 0xd, .index = 9, .eax = 8, .flags = 1 },
	};
	struct saved_rig *rig = *state;
	_cleanup_free_ struct kvm_cpuid2 *from = NULL, *to = NULL;

	set_leaves(rig->from, less, ARRAY_SIZE(less));
	set_leaves(rig->to, more, ARRAY_SIZE(more));
	start(rig);
	assert_int_equal(load(part, rig->to, saved_take(part, rig->from)), 0);
	assert_loaded(rig->from, rig->to);
	assert_int_equal(fake_sys_count(&rig->to->fake, KVM_SET_CPUID2), 2);
	assert_true(last_of(&rig->to->fake, KVM_SET_CPUID2) <
		    last_of(&rig->to->fake, KVM_SET_MSRS));
	/* So is its next vCPU, and it can be saved and moved back. */
	rig->from->vcpu.id = rig->to->vcpu.id = 1;
	assert_int_equal(load(part, rig->to, saved_take(part, rig->from)), 0);
	assert_int_equal(fake_sys_count(&rig->to->fake, KVM_SET_CPUID2), 3);
	from = cpuid_of(&rig->from->arch, &rig->from->vcpu);
	to = cpuid_of(&rig->to->arch, &rig->to->vcpu);
	assert_int_equal(to->nent, from->nent);
	assert_memory_equal(to->entries, from->entries, to->nent * sizeof(to->entries[0]));
	assert_int_equal(load(part, rig->from, saved_take(part, rig->to)), 0);
	assert_int_equal(fake_sys_count(&rig->from->fake, KVM_SET_CPUID2), 1);
}

/* What Kinglet itself sets, for what KVM emulates, cannot be had otherwise. */
static void a_local_apic_of_another_kernel_is_refused(void **state)
{
	struct saved_rig *rig = *state;
	struct x86_vm *vm;

	rig->from->leaf_count = rig->to->leaf_count = 2;
	rig->from->leaves[1].function = rig->to->leaves[1].function = 1;
	start(rig);
	vm = rig->from->arch.priv;
	vm->tsc_deadline = false;
	refuses(part, rig->to, saved_take(part, rig->from), "its leaves cannot be had here");
}

static void another_size_of_xsave_is_refused(void **state)
{
	struct saved_rig *rig = *state;
	struct x86_vm *vm;

	start(rig);
	vm = rig->to->arch.priv;
	vm->power_on->xsave_len = 8192;
	refuses(part, rig->to, saved_take(part, rig->from), "4096 bytes; on this host they are 8192");
	assert_int_equal(vm_rig_add_vcpu(rig->to, 0), 0);
}

static void an_msr_that_kvm_refuses_is_named(void **state)
{
	struct saved_rig *rig = *state;

	start(rig);
	rig->to->read_only_msr = 0x3b;
	refuses(part, rig->to, saved_take(part, rig->from), "MSR 0x3b cannot become 0x10101");
	/* One that has its value already is none. */
	rig_msr(rig->to, 0x3b)->data = rig_msr(rig->from, 0x3b)->data;
	assert_int_equal(load(part, rig->to, saved_take(part, rig->from)), 0);
}

static void an_msr_that_this_kvm_lacks_is_named(void **state)
{
	struct saved_rig *rig = *state;

	rig->to->missing_msr = 0xce;
	start(rig);
	refuses(part, rig->to, saved_take(part, rig->from), "MSR 0xce: this host's KVM has none such");
}

static void damage_is_loaded_or_refused(void **state)
{
	struct saved_rig *rig = *state;

	start(rig);
	damage_each(part, rig->to, saved_take(part, rig->from), 3);
}

static int save_quietly(struct vm_rig *rig, char *said, size_t len)
{
	struct capture capture;
	struct state *state;
	int ret;

	assert_int_equal(state_new(&state), 0);
	capture_stderr_begin(&capture);
	ret = part(rig, state);
	capture_stderr_end(&capture, said, len);
	state_free(state);
	return ret;
}

static int nested_too_big(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	return request == KVM_GET_NESTED_STATE ? -E2BIG : rig_ioctl(fake, fd, request, arg);
}

static void a_guest_that_runs_guests_is_not_saved(void **state)
{
	static const struct {
		uint16_t flags, format;
		uint64_t vmxon;
		bool refused;
	} cases[] = {
		{ 0, KVM_STATE_NESTED_FORMAT_VMX, UINT64_MAX, false },
		{ 0, KVM_STATE_NESTED_FORMAT_VMX, 0x1000, true },
		{ KVM_STATE_NESTED_GUEST_MODE, KVM_STATE_NESTED_FORMAT_VMX, UINT64_MAX, true },
		{ KVM_STATE_NESTED_GIF_SET, KVM_STATE_NESTED_FORMAT_SVM, 0, false },
		{ 0, KVM_STATE_NESTED_FORMAT_SVM, 0, true },
		{ KVM_STATE_NESTED_GIF_SET | KVM_STATE_NESTED_GUEST_MODE,
		  KVM_STATE_NESTED_FORMAT_SVM, 0, true },
	};
	struct saved_rig *rig = *state;
	char said[256];

	start(rig);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		rig->from->nested.flags = cases[i].flags;
		rig->from->nested.format = cases[i].format;
		rig->from->nested.hdr.vmx.vmxon_pa = cases[i].vmxon;
		assert_int_equal(save_quietly(rig->from, said, sizeof(said)),
				 cases[i].refused ? -EOPNOTSUPP : 0);
		assert_int_equal(cases[i].refused, strstr(said, "runs virtual machines") != NULL);
	}
	rig->from->fake.hook = nested_too_big;
	assert_int_equal(save_quietly(rig->from, said, sizeof(said)), -EOPNOTSUPP);
}

/* --- Clocks ----------------------------------------------------------------------------------- */

static void a_counter_keeps_its_frequency(void **state)
{
	struct saved_rig *rig = *state;

	start(rig);
	rig->to->tsc_khz = 2000400; /* 200 ppm */
	rig->to->missing_cap = KVM_CAP_TSC_CONTROL;
	assert_int_equal(load(part, rig->to, saved_take(part, rig->from)), 0);
	rig->to->tsc_khz = 2000600;
	refuses(part, rig->to, saved_take(part, rig->from), "section tsc (vcpu 0): the guest's runs at "
							"2000000 kHz, this host's at 2000600 kHz");
	rig->to->missing_cap = 0;
	assert_int_equal(load(part, rig->to, saved_take(part, rig->from)), 0);
	assert_int_equal(rig->to->tsc_khz, 2000000);
}

static void counters_advance_by_the_time_that_passed(void **state)
{
	struct saved_rig *rig = *state;
	uint64_t value;

	start(rig);
	value = rig_msr(rig->from, 0x10)->data;
	rig->to->tsc_offset = 1000;
	assert_int_equal(load(part, rig->to, saved_take(part, rig->from)), 0);
	assert_int_equal(arch_clock_start(&rig->to->arch, &rig->to->vcpu, 1, 3000000500), 0);
	assert_int_equal(rig_msr(rig->to, 0x10)->data, value + 6000001000);

	rig->to->no_tsc_offset = rig->to->no_kvmclock = true;
	rig_msr(rig->to, 0x10)->data = 5;
	assert_int_equal(arch_clock_start(&rig->to->arch, &rig->to->vcpu, 1, 1000), 0);
	assert_int_equal(rig_msr(rig->to, 0x10)->data, value + 2000);
	assert_int_equal(fake_sys_count(&rig->to->fake, KVM_KVMCLOCK_CTRL), 2);
}

/* Saved with 7 ticks between their counters, but read a second apart. */
static void counters_keep_their_distance(void **state)
{
	struct saved_rig *rig = *state;
	struct vcpu both[2];
	uint64_t first;

	start(rig);
	assert_int_equal(load(part, rig->to, saved_take(part, rig->from)), 0);
	both[0] = rig->to->vcpu;
	both[1] = rig->to->vcpu;
	both[1].id = rig->from->vcpu.id = rig->to->vcpu.id = 1;
	assert_int_equal(cpuid_set(&rig->from->arch, &rig->from->vcpu), 0);
	rig->from->tsc_offset += 7;
	rig_msr(rig->from, 0x10)->data += 2000000007;
	assert_int_equal(load(part, rig->to, saved_take(part, rig->from)), 0);
	assert_int_equal(arch_clock_start(&rig->to->arch, both, 1, 0), 0);
	first = rig->to->tsc_offset;
	rig_msr(rig->to, 0x10)->data = 123;
	rig->to->tsc_offset = first - rig_msr(rig->from, 0x10)->data + 2000000007 + 123;
	assert_int_equal(arch_clock_start(&rig->to->arch, both, 2, 0), 0);
	assert_int_equal(rig->to->tsc_offset, first + 7);
}

static int writes_deadline(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct vm_rig *rig = fake->hook_data;

	if (request == KVM_SET_MSRS && ((struct kvm_msrs *)arg)->entries[0].index == 0x6e0)
		rig->guest_debug.control++;
	return rig_ioctl(fake, fd, request, arg);
}

/* KVM set the timer by the counter as it was before. */
static void a_deadline_is_set_again(void **state)
{
	struct saved_rig *rig = *state;

	rig->from->msrs[rig->from->msr_count++] = (struct kvm_msr_entry){ .index = 0x6e0 };
	rig->to->msrs[rig->to->msr_count++] = (struct kvm_msr_entry){ .index = 0x6e0 };
	start(rig);
	rig_msr(rig->from, 0x6e0)->data = 0;
	assert_int_equal(load(part, rig->to, saved_take(part, rig->from)), 0);
	rig->to->fake.hook = writes_deadline;
	assert_int_equal(arch_clock_start(&rig->to->arch, &rig->to->vcpu, 1, 0), 0);
	assert_int_equal(rig->to->guest_debug.control, 0);
	rig_msr(rig->to, 0x6e0)->data = 555;
	assert_int_equal(arch_clock_start(&rig->to->arch, &rig->to->vcpu, 1, 0), 0);
	assert_int_equal(rig->to->guest_debug.control, 1);
	assert_int_equal(rig_msr(rig->to, 0x6e0)->data, 555);
}

/* --- Failures --------------------------------------------------------------------------------- */

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

	rig->to->tsc_khz = 1000000;
	rig_msr(rig->to, 0x3b)->data = 0;
	return load(part, rig->to, saved_take(part, rig->from));
}

static int start_once(void *arg)
{
	struct vm_rig *rig = arg;

	return arch_clock_start(&rig->arch, &rig->vcpu, 1, 1000);
}

static void every_failure_is_told(void **state)
{
	struct saved_rig *rig = *state;

	start(rig);
	/* Nested state twice, events twice; GET_TSC_KHZ and HAS_DEVICE_ATTR only tell what is there. */
	assert_int_equal(fail_each(rig->from, save_once, rig->from), 15);
	assert_int_equal(fail_each(rig->to, load_once, rig), 15);
	assert_int_equal(fail_each(rig->to, start_once, rig->to), 7);
	rig->to->no_tsc_offset = true;
	assert_int_equal(fail_each(rig->to, start_once, rig->to), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup_two, teardown_two)
		T(all_of_it_is_loaded),
		T(older_kernels_have_less),
		T(without_shadow_stacks_there_is_no_pointer),
		T(without_irqchip_there_is_no_local_apic),
		T(events_are_set_last_and_msrs_after_the_local_apic),
		T(what_may_change_is_read_first),
		T(another_cpu_is_refused_by_feature_or_leaf),
		T(a_local_apic_of_another_kernel_is_refused),
		T(a_host_that_has_more_tells_the_guest_what_it_was_told),
		T(another_size_of_xsave_is_refused),
		T(an_msr_that_kvm_refuses_is_named),
		T(an_msr_that_this_kvm_lacks_is_named),
		T(damage_is_loaded_or_refused),
		T(a_guest_that_runs_guests_is_not_saved),
		T(a_counter_keeps_its_frequency),
		T(counters_advance_by_the_time_that_passed),
		T(counters_keep_their_distance),
		T(a_deadline_is_set_again),
		T(every_failure_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
