/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_sys.h"

#include "core/vcpu.h"
#include "unit.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct machine {
	struct fake_sys fake;
	struct kvm kvm;
	struct bus pio, mmio;
	struct vcpu vcpu;
	sem_t ended;
	enum vcpu_end end;
	char detail[160];
	/* The script of the fake guest: one exit per KVM_RUN, then it sleeps in the guest. */
	void (*script[8])(struct kvm_run *run);
	unsigned next;
	uint64_t wrote;
	unsigned writes;
	bool read_until_stopped; /* the device answers a read when the vCPU must stop */
	sem_t reading;
	_Atomic unsigned completions; /* KVM_RUNs entered with immediate_exit set */
	_Atomic unsigned entries;     /* the others */
	sem_t debugged;
};

static uint64_t device_read(void *owner, uint64_t offset, unsigned size)
{
	struct machine *m = owner;

	if (m->read_until_stopped) {
		sem_post(&m->reading);
		while (!(atomic_load(&m->vcpu.request) & VCPU_REQ_STOP))
			sched_yield();
	}
	return 0x1122334455667788U + offset + size;
}

static void device_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
	struct machine *m = owner;

	(void)offset;
	(void)size;
	m->wrote = value;
	m->writes++;
}

static const struct bus_ops device_ops = { .read = device_read, .write = device_write };

static enum vcpu_end arch_exit(struct vcpu *vcpu, char *detail, size_t len)
{
	snprintf(detail, len, "reason %u", vcpu->run->exit_reason);
	return VCPU_UNKNOWN_EXIT;
}

static void ended(void *owner, struct vcpu *vcpu, enum vcpu_end end, const char *detail)
{
	struct machine *m = owner;

	(void)vcpu;
	m->end = end;
	snprintf(m->detail, sizeof(m->detail), "%s", detail);
	sem_post(&m->ended);
}

static const struct vcpu_ops ops = { .exit = arch_exit, .ended = ended };

static void debugged(void *owner, struct vcpu *vcpu)
{
	struct machine *m = owner;

	(void)vcpu;
	sem_post(&m->debugged);
}

static const struct vcpu_ops debugged_ops = {
	.exit = arch_exit, .ended = ended, .debugged = debugged
};

/*
 * Like KVM: immediate_exit returns at once; else the next scripted exit, or sleep until a signal.
 */
static int play(struct fake_sys *fake, int fd, struct kvm_run *run)
{
	struct machine *m = container_of(fake, struct machine, fake);

	(void)fd;
	if (__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST)) {
		m->completions++;
		return -EINTR;
	}
	m->entries++;
	if (m->next < ARRAY_SIZE(m->script) && m->script[m->next]) {
		m->script[m->next++](run);
		return 0;
	}
	/*
	 * A signal between the check above and this wait would be lost, unlike in KVM, so the wait
	 * has a timeout; the run loop then calls this again.
	 */
	poll(NULL, 0, 1);
	return -EINTR;
}

static int setup(void **state)
{
	static struct bus_region port = { .base = 0x80, .len = 4, .ops = &device_ops };
	static struct bus_region window = { .base = 0x1000, .len = 16, .ops = &device_ops };
	struct machine *m = calloc(1, sizeof(*m));

	fake_sys_init(&m->fake);
	m->fake.run = play;
	sem_init(&m->ended, 0, 0);
	sem_init(&m->reading, 0, 0);
	sem_init(&m->debugged, 0, 0);
	assert_int_equal(kvm_init(&m->kvm, &m->fake.sys, 0), 0);
	assert_int_equal(bus_init(&m->pio), 0);
	assert_int_equal(bus_init(&m->mmio), 0);
	port.owner = window.owner = m;
	assert_int_equal(bus_add(&m->pio, &port), 0);
	assert_int_equal(bus_add(&m->mmio, &window), 0);
	assert_int_equal(vcpu_init(&m->vcpu, &m->kvm, 0, &m->pio, &m->mmio, &ops, m), 0);
	*state = m;
	return 0;
}

static int teardown(void **state)
{
	struct machine *m = *state;

	vcpu_stop(&m->vcpu);
	vcpu_destroy(&m->vcpu);
	bus_destroy(&m->pio);
	bus_destroy(&m->mmio);
	kvm_destroy(&m->kvm);
	fake_sys_destroy(&m->fake);
	free(m);
	return 0;
}

static void start_and_wait(struct machine *m)
{
	assert_int_equal(vcpu_start(&m->vcpu), 0);
	while (sem_wait(&m->ended))
		;
}

static void exit_hlt(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_HLT;
}

static void exit_shutdown(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_SHUTDOWN;
}

static void exit_debug(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_DEBUG;
}

static void exit_out_string(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = KVM_EXIT_IO_OUT;
	run->io.port = 0x80;
	run->io.size = 2;
	run->io.count = 3;
	run->io.data_offset = 4096;
	memcpy((char *)run + 4096, "\1\0\2\0\3\4", 6);
}

/* KVM collected two port writes before another exit. */
static void exit_after_coalesced_writes(struct kvm_run *run)
{
	struct kvm_coalesced_mmio_ring *ring = (void *)((char *)run + 2 * 4096);
	/* Around the end of the ring: 170 entries fit into its page. */
	const uint32_t at[] = { 169, 0 };

	ring->first = at[0];
	for (unsigned i = 0; i < 2; i++)
		ring->coalesced_mmio[at[i]] = (struct kvm_coalesced_mmio){
			.phys_addr = 0x80, .len = 1, .pio = 1, .data = { 10 + (uint8_t)i },
		};
	ring->last = 1;
	run->exit_reason = KVM_EXIT_HLT;
}

static void exit_mmio_read(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = 0x1004;
	run->mmio.len = 4;
	run->mmio.is_write = 0;
}

static void exit_mmio_read_nothing(struct kvm_run *run)
{
	exit_mmio_read(run);
	run->mmio.phys_addr = 0x9000;
}

static void test_hlt_ends_the_vcpu(void **state)
{
	struct machine *m = *state;

	m->script[0] = exit_hlt;
	start_and_wait(m);
	assert_int_equal(m->end, VCPU_HALTED);
	assert_int_equal(atomic_load(&m->vcpu.exits), 1);
	assert_int_equal(atomic_load(&m->vcpu.exits_by_reason[KVM_EXIT_HLT]), 1);
}

static void test_shutdown_is_told_from_halt(void **state)
{
	struct machine *m = *state;

	m->script[0] = exit_shutdown;
	start_and_wait(m);
	assert_int_equal(m->end, VCPU_SHUTDOWN);
}

static void test_unknown_exits_go_to_the_arch(void **state)
{
	struct machine *m = *state;

	m->script[0] = exit_debug;
	start_and_wait(m);
	assert_int_equal(m->end, VCPU_UNKNOWN_EXIT);
	assert_string_equal(m->detail, "reason 4");
}

static void test_string_output_reaches_the_device_element_by_element(void **state)
{
	struct machine *m = *state;

	m->script[0] = exit_out_string;
	m->script[1] = exit_hlt;
	start_and_wait(m);
	assert_int_equal(m->writes, 3);
	assert_int_equal(m->wrote, 0x0403);
}

static void test_coalesced_writes_come_in_order_and_once(void **state)
{
	struct machine *m = *state;

	m->script[0] = exit_after_coalesced_writes;
	start_and_wait(m);
	assert_int_equal(m->writes, 2);
	assert_int_equal(m->wrote, 11);
	vcpu_drain_coalesced(&m->vcpu);
	assert_int_equal(m->writes, 2);
}

static void test_coalescing_is_asked_for_ports(void **state)
{
	struct machine *m = *state;

	kvm_coalesce_port(&m->kvm, 0xcf8, 4);
	assert_int_equal(fake_sys_count(&m->fake, KVM_REGISTER_COALESCED_MMIO), 1);
	m->kvm.coalesced_page = 0;
	kvm_coalesce_port(&m->kvm, 0xcf8, 4);
	assert_int_equal(fake_sys_count(&m->fake, KVM_REGISTER_COALESCED_MMIO), 1);
}

static void test_mmio_read_fills_the_page(void **state)
{
	struct machine *m = *state;
	uint32_t value;

	m->script[0] = exit_mmio_read;
	m->script[1] = exit_hlt;
	start_and_wait(m);
	memcpy(&value, m->vcpu.run->mmio.data, 4);
	assert_int_equal(value, 0x55667788 + 4 + 4);
}

static void test_unmapped_mmio_reads_all_ones(void **state)
{
	struct machine *m = *state;
	uint32_t value;

	m->script[0] = exit_mmio_read_nothing;
	m->script[1] = exit_hlt;
	start_and_wait(m);
	memcpy(&value, m->vcpu.run->mmio.data, 4);
	assert_int_equal(value, UINT32_MAX);
}

static void test_pause_completes_io_then_parks(void **state)
{
	struct machine *m = *state;

	assert_int_equal(vcpu_start(&m->vcpu), 0);
	for (int i = 0; i < 100; i++) {
		unsigned before = m->completions;

		vcpu_pause(&m->vcpu);
		assert_true(m->completions > before);
		vcpu_resume(&m->vcpu);
	}
}

static void test_pause_of_an_ended_vcpu_returns(void **state)
{
	struct machine *m = *state;

	m->script[0] = exit_hlt;
	start_and_wait(m);
	vcpu_pause(&m->vcpu);
	vcpu_resume(&m->vcpu);
}

static void test_stop_of_a_paused_vcpu_and_start_again(void **state)
{
	struct machine *m = *state;

	assert_int_equal(vcpu_start(&m->vcpu), 0);
	vcpu_pause(&m->vcpu);
	vcpu_stop(&m->vcpu);
	m->script[0] = exit_hlt;
	start_and_wait(m);
	assert_int_equal(m->end, VCPU_HALTED);
}

/* An access not completed now would be completed later, overwriting registers of the next boot. */
static void test_stop_completes_io(void **state)
{
	struct machine *m = *state;

	m->script[0] = exit_mmio_read;
	m->read_until_stopped = true;
	assert_int_equal(vcpu_start(&m->vcpu), 0);
	while (sem_wait(&m->reading))
		;
	assert_int_equal(m->completions, 0);
	vcpu_stop(&m->vcpu);
	assert_int_equal(m->completions, 1);
}

static void test_pause_of_a_stopped_vcpu_does_nothing(void **state)
{
	struct machine *m = *state;

	vcpu_pause(&m->vcpu);
	vcpu_resume(&m->vcpu);
	assert_int_equal(vcpu_start(&m->vcpu), 0);
	vcpu_stop(&m->vcpu);
	vcpu_pause(&m->vcpu);
	vcpu_resume(&m->vcpu);
	assert_int_equal(atomic_load(&m->vcpu.request), VCPU_REQ_STOP);
}

static void test_pauses_nest(void **state)
{
	struct machine *m = *state;

	assert_int_equal(vcpu_start(&m->vcpu), 0);
	vcpu_pause(&m->vcpu);
	vcpu_pause(&m->vcpu);
	vcpu_resume(&m->vcpu);
	m->script[0] = exit_hlt; /* checked only now that it has stopped */
	assert_int_equal(sem_trywait(&m->ended), -1);
	vcpu_resume(&m->vcpu);
	while (sem_wait(&m->ended))
		;
	assert_int_equal(m->end, VCPU_HALTED);
}

static void test_a_paused_vcpu_starts_parked(void **state)
{
	struct machine *m = *state;

	vcpu_pause(&m->vcpu);
	assert_int_equal(vcpu_start(&m->vcpu), 0);
	assert_int_equal(m->completions, 1);
	assert_int_equal(m->entries, 0);
	m->script[0] = exit_hlt;
	vcpu_resume(&m->vcpu);
	while (sem_wait(&m->ended))
		;
}

/* It continues only after vcpu_pause() and vcpu_resume(). */
static void test_a_debugged_vcpu_parks(void **state)
{
	struct machine *m = *state;

	m->vcpu.ops = &debugged_ops;
	m->script[0] = exit_debug;
	m->script[1] = exit_hlt;
	assert_int_equal(vcpu_start(&m->vcpu), 0);
	while (sem_wait(&m->debugged))
		;
	vcpu_pause(&m->vcpu);
	assert_int_equal(m->next, 1);
	assert_int_equal(m->entries, 1);
	vcpu_resume(&m->vcpu);
	while (sem_wait(&m->ended))
		;
	assert_int_equal(m->end, VCPU_HALTED);
}

/* Its parked post was not consumed: the next start must not mistake it for its own. */
static void test_stop_of_a_debugged_vcpu_and_start_again(void **state)
{
	struct machine *m = *state;

	m->vcpu.ops = &debugged_ops;
	m->script[0] = exit_debug;
	assert_int_equal(vcpu_start(&m->vcpu), 0);
	while (sem_wait(&m->debugged))
		;
	vcpu_stop(&m->vcpu);
	m->completions = 0;
	vcpu_pause(&m->vcpu);
	assert_int_equal(vcpu_start(&m->vcpu), 0);
	assert_int_equal(m->completions, 1);
	vcpu_resume(&m->vcpu);
}

static void test_stop_is_never_lost(void **state)
{
	struct machine *m = *state;

	for (int i = 0; i < 200; i++) {
		assert_int_equal(vcpu_start(&m->vcpu), 0);
		vcpu_stop(&m->vcpu);
	}
}

static void test_each_failing_call_leaves_no_fd(void **state)
{
	(void)state;
	for (unsigned n = 1;; n++) {
		unsigned before = fake_open_fds();
		struct fake_sys fake;
		struct kvm kvm;
		struct vcpu vcpu;
		int ret;

		fake_sys_init(&fake);
		fake.fail_at = n;
		fake.fail_errno = ENODEV;
		ret = kvm_init(&kvm, &fake.sys, 0);
		if (!ret) {
			ret = vcpu_init(&vcpu, &kvm, 0, NULL, NULL, &ops, NULL);
			if (!ret)
				vcpu_destroy(&vcpu);
			kvm_destroy(&kvm);
		}
		assert_int_equal(fake_open_fds(), before);
		fake_sys_destroy(&fake);
		if (fake.calls < n)
			break;
		/* Two capabilities may be missing: four vCPUs are assumed, and no coalescing. */
		assert_true(ret < 0 || kvm.max_vcpus == 4 || !kvm.coalesced_page);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hlt_ends_the_vcpu),
		TEST(test_shutdown_is_told_from_halt),
		TEST(test_unknown_exits_go_to_the_arch),
		TEST(test_string_output_reaches_the_device_element_by_element),
		TEST(test_coalesced_writes_come_in_order_and_once),
		TEST(test_coalescing_is_asked_for_ports),
		TEST(test_mmio_read_fills_the_page),
		TEST(test_unmapped_mmio_reads_all_ones),
		TEST(test_pause_completes_io_then_parks),
		TEST(test_pause_of_an_ended_vcpu_returns),
		TEST(test_stop_of_a_paused_vcpu_and_start_again),
		TEST(test_stop_completes_io),
		TEST(test_pause_of_a_stopped_vcpu_does_nothing),
		TEST(test_pauses_nest),
		TEST(test_a_paused_vcpu_starts_parked),
		TEST(test_a_debugged_vcpu_parks),
		TEST(test_stop_of_a_debugged_vcpu_and_start_again),
		TEST(test_stop_is_never_lost),
		cmocka_unit_test(test_each_failing_call_leaves_no_fd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
