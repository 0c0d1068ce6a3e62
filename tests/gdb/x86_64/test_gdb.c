/* SPDX-License-Identifier: Apache-2.0 */
/* A debugger's packets on vCPUs of a fake KVM, whose guest is a function of the test. */
#include "../../../vmm/gdb/gdb.h"
#include "machine/machine.h"
#include "arch/debug.h"
#include "fake_sys.h"

#include <poll.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { CPUS = 3, RAM = 4 << 20, CODE = 0x1000, INT3 = 0xcc };

/* Virtual addresses from here on map to RAM from 0; only RAM is mapped. */
#define KERNEL 0xffffffff80000000

struct bench {
	struct fake_sys fake;
	struct kvm kvm;
	struct gmem mem;
	struct bus pio, mmio;
	struct vcpu vcpus[CPUS];
	struct machine_parts parts;
	struct gdb *gdb;
	char sent[2 * GDB_SEND_MAX];
	size_t sent_len;
	sem_t woken;
	bool detached, killed;
	unsigned pausing, paused;

	struct kvm_regs regs[CPUS];
	struct kvm_guest_debug debug[CPUS];
	unsigned debugs[CPUS]; /* KVM_SET_GUEST_DEBUGs */
	bool kernel_is_mapped;
	/* What a vCPU does at a KVM_RUN; false: it waits for an interrupt. */
	bool (*_Atomic guest)(struct bench *b, unsigned cpu, struct kvm_run *run);
	_Atomic unsigned entries[CPUS];
	uint8_t code_seen; /* by the guest */
};

static unsigned cpu_of(const struct bench *b, int fd)
{
	for (unsigned i = 0; i < CPUS; i++)
		if (b->vcpus[i].fd == fd)
			return i;
	fail();
	return 0;
}

static int translate(const struct bench *b, struct kvm_translation *t)
{
	bool is_kernel = t->linear_address >= KERNEL;

	t->valid = is_kernel ? b->kernel_is_mapped : t->linear_address < RAM + 4096;
	t->physical_address = is_kernel ? t->linear_address - KERNEL : t->linear_address;
	return 0;
}

static int answer(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct bench *b = fake->hook_data;

	switch (request) {
	case KVM_GET_REGS:
		*(struct kvm_regs *)arg = b->regs[cpu_of(b, fd)];
		return 0;
	case KVM_SET_REGS:
		b->regs[cpu_of(b, fd)] = *(struct kvm_regs *)arg;
		return 0;
	case KVM_GET_SREGS:
		memset(arg, 0, sizeof(struct kvm_sregs));
		return 0;
	case KVM_GET_FPU:
		memset(arg, 0, sizeof(struct kvm_fpu));
		return 0;
	case KVM_GET_MSRS:
		return 1;
	case KVM_TRANSLATE:
		return translate(b, arg);
	case KVM_SET_GUEST_DEBUG:
		b->debug[cpu_of(b, fd)] = *(struct kvm_guest_debug *)arg;
		b->debugs[cpu_of(b, fd)]++;
		return 0;
	default:
		return FAKE_PASS;
	}
}

static int play(struct fake_sys *fake, int fd, struct kvm_run *run)
{
	struct bench *b = fake->hook_data;
	unsigned cpu = cpu_of(b, fd);

	if (__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST))
		return -EINTR;
	b->entries[cpu]++;
	if (b->guest && b->guest(b, cpu, run))
		return 0;
	poll(NULL, 0, 1);
	return -EINTR;
}

static void send_bytes(void *owner, const char *data, size_t len)
{
	struct bench *b = owner;

	assert_true(len < sizeof(b->sent) - b->sent_len);
	memcpy(b->sent + b->sent_len, data, len);
	b->sent_len += len;
}

static void wake(void *owner)
{
	sem_post(&((struct bench *)owner)->woken);
}

static void pausing(struct vm *vm)
{
	((struct bench *)vm)->pausing++;
}

static void paused(struct vm *vm)
{
	((struct bench *)vm)->paused++;
}

static void leaves(void *owner)
{
	((struct bench *)owner)->detached = true;
}

static void killed(struct vm *vm, const struct verdict *end)
{
	assert_string_equal(end->detail, "killed by gdb");
	((struct bench *)vm)->killed = true;
}

static const struct gdb_ops ops = { .send = send_bytes, .wake = wake, .leaves = leaves };

static const struct machine_ops machine_ops = {
	.end = killed,
	.pausing = pausing,
	.paused = paused,
};

static enum vcpu_end no_exit(struct vcpu *vcpu, char *detail, size_t len)
{
	snprintf(detail, len, "reason %u", vcpu->run->exit_reason);
	return VCPU_UNKNOWN_EXIT;
}

static void ended(void *owner, struct vcpu *vcpu, enum vcpu_end end, const char *detail)
{
	(void)owner;
	(void)vcpu;
	(void)end;
	(void)detail;
}

static void debugged(void *owner, struct vcpu *vcpu)
{
	gdb_vcpu_debugged(((struct bench *)owner)->gdb, vcpu);
}

static const struct vcpu_ops vcpu_ops = { .exit = no_exit, .ended = ended, .debugged = debugged };

static struct bench *new_bench(bool wait)
{
	static const struct gmem_range range = { 0, RAM };
	static const struct gmem_options no_options = { 0 };
	struct bench *b = calloc(1, sizeof(*b));
	const struct gdb_options options = {
		.parts = &b->parts, .wait = wait, .ops = &ops, .owner = b
	};

	b->parts = (struct machine_parts){
		.vcpus = b->vcpus, .vcpu_count = CPUS, .mem = &b->mem, .ops = &machine_ops,
		.vm = (struct vm *)b, /* only passed on */
	};
	fake_sys_init(&b->fake);
	sem_init(&b->woken, 0, 0);
	assert_int_equal(kvm_init(&b->kvm, &b->fake.sys, 0), 0);
	assert_int_equal(gmem_init(&b->mem, &range, 1, &no_options), 0);
	for (unsigned i = 0; i < CPUS; i++)
		assert_int_equal(vcpu_init(&b->vcpus[i], &b->kvm, i, &b->pio, &b->mmio, &vcpu_ops, b),
				 0);
	b->fake.hook = answer;
	b->fake.hook_data = b;
	b->fake.run = play;
	assert_int_equal(gdb_new(&b->gdb, &options), 0);
	return b;
}

static int setup(void **state)
{
	struct bench *b = new_bench(true);

	alarm(60); /* a vCPU that hangs */
	gdb_attach(b->gdb);
	*state = b;
	return 0;
}

static int setup_running(void **state)
{
	struct bench *b = new_bench(false);

	alarm(60);
	for (unsigned i = 0; i < CPUS; i++)
		assert_int_equal(vcpu_start(&b->vcpus[i]), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	/* All first: cpu_of() looks at each. */
	for (unsigned i = 0; i < CPUS; i++)
		vcpu_stop(&b->vcpus[i]);
	for (unsigned i = 0; i < CPUS; i++)
		vcpu_destroy(&b->vcpus[i]);
	gdb_free(b->gdb);
	gmem_destroy(&b->mem);
	kvm_destroy(&b->kvm);
	fake_sys_destroy(&b->fake);
	free(b);
	alarm(0);
	return 0;
}

static void start(struct bench *b)
{
	for (unsigned i = 0; i < CPUS; i++)
		assert_int_equal(vcpu_start(&b->vcpus[i]), 0);
}

static void take(struct bench *b, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		gdb_take(b->gdb, (uint8_t)data[i]);
}

/* What was sent to the debugger since the last call, without "+" and the frame. */
static const char *sent(struct bench *b)
{
	char *text = b->sent;

	b->sent[b->sent_len] = '\0';
	b->sent_len = 0;
	text += strspn(text, "+");
	if (*text == '$')
		text++;
	if (strlen(text) > 3 && text[strlen(text) - 3] == '#')
		text[strlen(text) - 3] = '\0';
	else if (*text == '#')
		*text = '\0';
	return text;
}

static const char *ask(struct bench *b, const char *packet)
{
	struct gdb_reply reply = { .len = 0 };
	char frame[GDB_FRAME_MAX];
	size_t len;

	b->sent_len = 0;
	gdb_reply_add(&reply, packet, strlen(packet));
	len = gdb_reply_frame(&reply, frame);
	take(b, frame, len);
	return sent(b);
}

#define CHECK(packet, reply) assert_string_equal(ask(b, packet), reply)

/* Waits for the stop reply. */
static const char *await_stop(struct bench *b)
{
	do {
		while (sem_wait(&b->woken))
			;
		gdb_look(b->gdb);
	} while (!b->sent_len);
	return sent(b);
}

static bool debug_exit(struct kvm_run *run, unsigned exception, uint64_t pc, uint64_t dr6)
{
	run->exit_reason = KVM_EXIT_DEBUG;
	run->debug.arch = (struct kvm_debug_exit_arch){
		.exception = exception, .pc = pc, .dr6 = 0xffff0ff0 | dr6
	};
	return true;
}

/* --- Introduction ----------------------------------------------------------------------------- */

static void the_two_sides_introduce_themselves(void **state)
{
	struct bench *b = *state;

	assert_non_null(strstr(ask(b, "qSupported:swbreak+;hwbreak+;xmlRegisters=i386"),
			       "PacketSize=1000;"));
	CHECK("vMustReplyEmpty", "");
	CHECK("qAttached", "1");
	CHECK("vCont?", "vCont;c;C;s;S");
	CHECK("?", "T05thread:1;");
	take(b, "$?#00", 5);
	assert_memory_equal(b->sent, "-", 1);
	CHECK("QStartNoAckMode", "OK");
	take(b, "$?#3f", 5);
	assert_int_equal(b->sent[0], '$');
	b->sent_len = 0;
	take(b, "$?#00", 5);
	assert_int_equal(b->sent_len, 0);
}

static void a_lost_reply_is_sent_again(void **state)
{
	struct bench *b = *state;

	CHECK("qC", "QC1");
	take(b, "-", 1);
	assert_string_equal(sent(b), "QC1");
}

static void the_description_comes_in_pieces(void **state)
{
	struct bench *b = *state;
	char whole[ARCH_DEBUG_TARGET_MAX], text[ARCH_DEBUG_TARGET_MAX] = "", packet[80];
	const char *piece;

	arch_debug_describe(whole, sizeof(whole));
	do {
		snprintf(packet, sizeof(packet), "qXfer:features:read:target.xml:%zx,1f0",
			 strlen(text));
		piece = ask(b, packet);
		assert_true(*piece == 'm' || *piece == 'l');
		strcat(text, piece + 1);
	} while (*piece == 'm');
	assert_string_equal(text, whole);
	CHECK("qXfer:features:read:target.xml:ffffffffffffffff,1", "E16");
	CHECK("qXfer:features:read:other.xml:0,1", "");
}

static void vcpus_are_threads(void **state)
{
	struct bench *b = *state;

	CHECK("qfThreadInfo", "m1,2,3");
	CHECK("qsThreadInfo", "l");
	CHECK("T3", "OK");
	CHECK("T4", "E03");
	CHECK("T0", "E03");
	CHECK("Hg2", "OK");
	CHECK("qC", "QC2");
	CHECK("Hg4", "E16");
	CHECK("Hc-1", "OK");
	CHECK("Hg0", "OK");
	CHECK("qC", "QC2");
	CHECK("Hx1", "E16");
	assert_memory_equal(ask(b, "qThreadExtraInfo,1"), "764350552030", 12); /* vCPU 0 */
	CHECK("qThreadExtraInfo,9", "E03");
}

/* --- Registers, memory ------------------------------------------------------------------------ */

static void registers_are_read_and_written(void **state)
{
	struct bench *b = *state;
	char block[2 * ARCH_DEBUG_REGISTERS_MAX + 2] = "G";

	b->regs[1].rax = 0x1122334455667788;
	CHECK("Hg2", "OK");
	CHECK("p0", "8877665544332211");
	CHECK("P0=0100000000000000", "OK");
	assert_int_equal(b->regs[1].rax, 1);
	assert_int_equal(b->regs[0].rax, 0);
	CHECK("P0=01", "E16");
	CHECK("P0=010000000000000000", "E16");
	CHECK("pffff", "E16");
	CHECK("p", "E16");

	strcpy(block + 1, ask(b, "g"));
	assert_int_equal(strlen(block + 1), 2 * arch_debug_registers_size());
	memcpy(block + 1 + 16, "ff00", 4); /* rbx */
	CHECK(block, "OK");
	assert_int_equal(b->regs[1].rbx, 0xff);
	block[strlen(block) - 1] = '\0';
	CHECK(block, "E16");
}

static void memory_is_read_and_written(void **state)
{
	static const uint8_t code[] = { 0x90, 0xf4 };
	struct bench *b = *state;
	uint8_t *ram = gmem_ptr(&b->mem, 0, RAM);

	memcpy(ram + CODE, code, sizeof(code));
	CHECK("m1000,2", "90f4");
	CHECK("M1001,2:aB01", "OK");
	assert_memory_equal(ram + CODE, "\x90\xab\x01", 3);
	CHECK("X2000,3:}#x", "OK"); /* the escapes are the frame's */
	assert_memory_equal(ram + 0x2000, "}#x", 3);
	CHECK("X2000,0:", "OK");
	CHECK("X2000,4:abc", "E16");
	CHECK("M1000,2:ab", "E16");
	CHECK("M1000,1:ab00", "E16");
	CHECK("m1000", "E16");
}

static void memory_ends_where_ram_does(void **state)
{
	struct bench *b = *state;
	char packet[80];

	snprintf(packet, sizeof(packet), "m%x,8", RAM - 2);
	CHECK(packet, "0000");
	snprintf(packet, sizeof(packet), "m%x,1", RAM);
	CHECK(packet, "E0e");
	snprintf(packet, sizeof(packet), "M%x,4:01020304", RAM - 2);
	CHECK(packet, "E0e");
	CHECK("mffffffffffffffff,2", "E0e");
	assert_int_equal(strlen(ask(b, "m0,ffffffffffffffff")), GDB_PACKET_MAX);
}

static void memory_is_the_guests_own_view(void **state)
{
	struct bench *b = *state;

	*(uint8_t *)gmem_ptr(&b->mem, CODE, 1) = 0x5a;
	CHECK("mffffffff80001000,1", "E0e");
	b->kernel_is_mapped = true;
	CHECK("mffffffff80001000,1", "5a");
}

/* --- Running ---------------------------------------------------------------------------------- */

static void nothing_runs_before_it_may(void **state)
{
	struct bench *b = *state;

	start(b);
	CHECK("?", "T05thread:1;");
	for (unsigned i = 0; i < CPUS; i++)
		assert_int_equal(b->entries[i], 0);
	CHECK("vCont;c", "");
	while (!b->entries[0] || !b->entries[2])
		poll(NULL, 0, 1);
	take(b, "\x03", 1);
	assert_string_equal(sent(b), "T02thread:1;");
	assert_int_equal(b->pausing, 1);
	assert_int_equal(b->paused, 1);
}

static bool steps(struct bench *b, unsigned cpu, struct kvm_run *run)
{
	return b->debug[cpu].control & KVM_GUESTDBG_SINGLESTEP &&
	       debug_exit(run, 1, ++b->regs[cpu].rip, 0x4000);
}

static void one_steps_while_others_stay(void **state)
{
	struct bench *b = *state;

	b->guest = steps;
	start(b);
	CHECK("vCont;s:2", "");
	assert_string_equal(await_stop(b), "T05thread:2;");
	assert_int_equal(b->entries[0], 0);
	assert_int_equal(b->entries[1], 1);
	assert_int_equal(b->entries[2], 0);
	CHECK("s", ""); /* the thread that stopped */
	assert_string_equal(await_stop(b), "T05thread:2;");
	assert_int_equal(b->regs[1].rip, 2);
	CHECK("vCont;s:1;c", "");
	assert_string_equal(await_stop(b), "T05thread:1;");
	assert_int_equal(b->debug[1].control, 0);
}

static bool meets_a_debug_register(struct bench *b, unsigned cpu, struct kvm_run *run)
{
	return cpu == 2 && b->debug[cpu].control & KVM_GUESTDBG_USE_HW_BP &&
	       debug_exit(run, 1, 0x5000, 1 << 1);
}

static void hardware_points_stop_all(void **state)
{
	struct bench *b = *state;

	ask(b, "qSupported:swbreak+;hwbreak+");
	b->guest = meets_a_debug_register;
	CHECK("Z1,5000,1", "OK");
	CHECK("Z1,5000,1", "OK"); /* once is enough */
	CHECK("Z1,6000,1", "OK");
	start(b);
	CHECK("c", "");
	assert_string_equal(await_stop(b), "T05thread:3;hwbreak:;");
	for (unsigned i = 0; i < CPUS; i++) {
		assert_int_equal(b->debug[i].arch.debugreg[0], 0x5000);
		assert_int_equal(b->debug[i].arch.debugreg[1], 0x6000);
	}
	CHECK("z1,5000,1", "OK");
	CHECK("z1,6000,1", "OK");
	CHECK("z1,6000,1", "OK");
	CHECK("Z2,1234,4", "OK");
	CHECK("Z4,5678,8", "OK");
	CHECK("c", "");
	assert_string_equal(await_stop(b), "T05thread:3;awatch:5678;");
}

static void there_are_so_many_points(void **state)
{
	struct bench *b = *state;
	char packet[40];

	for (unsigned i = 0; i < 4; i++) {
		snprintf(packet, sizeof(packet), "Z1,%x,1", i);
		CHECK(packet, "OK");
	}
	CHECK("Z1,4,1", "E1c");
	CHECK("Z2,8,4", "E1c");
	CHECK("z1,0,1", "OK");
	CHECK("Z2,8,4", "OK");
	CHECK("Z3,10,4", ""); /* no CPU has it */
	CHECK("Z5,10,4", "");
	CHECK("Z0,1000,1;X1,0", "");
	CHECK("Z1,10", "E16");
	for (unsigned i = 0; i < 59; i++) {
		snprintf(packet, sizeof(packet), "Z0,%x,1", CODE + i);
		CHECK(packet, "OK");
	}
	CHECK("Z0,3000,1", "OK");
	CHECK("Z0,3001,1", "E1c");
}

static bool meets_a_trap(struct bench *b, unsigned cpu, struct kvm_run *run)
{
	uint8_t code = *(volatile uint8_t *)gmem_ptr(&b->mem, CODE, 1);

	if (cpu != 1 || code != INT3)
		return false;
	b->code_seen = code;
	return debug_exit(run, 3, CODE, 0);
}

static void traps_are_in_memory_while_the_guest_runs(void **state)
{
	struct bench *b = *state;
	uint8_t *ram = gmem_ptr(&b->mem, 0, RAM);

	ask(b, "qSupported:swbreak+;hwbreak+");
	ram[CODE] = 0x90;
	b->guest = meets_a_trap;
	CHECK("Z0,1000,1", "OK");
	assert_int_equal(ram[CODE], 0x90);
	start(b);
	CHECK("c", "");
	assert_string_equal(await_stop(b), "T05thread:2;swbreak:;");
	assert_int_equal(b->code_seen, INT3);
	assert_int_equal(ram[CODE], 0x90);
	assert_int_equal(b->debug[0].control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP);
	CHECK("m1000,1", "90");
	CHECK("z0,1000,1", "OK");
	CHECK("c", "");
	take(b, "\x03", 1);
	assert_string_equal(sent(b), "T02thread:2;");
}

/* Its address is not mapped yet: no trap can be placed. */
static void a_breakpoint_before_the_kernel_is_mapped(void **state)
{
	struct bench *b = *state;

	CHECK("Z0,ffffffff80001000,1", "OK");
	start(b);
	CHECK("c", "");
	take(b, "\x03", 1);
	assert_true(b->debug[0].arch.debugreg[0] == KERNEL + CODE);
	assert_int_equal(b->debug[0].control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP);
	for (unsigned i = 0; i < 3; i++)
		CHECK(i == 0 ? "Z0,ffffffff80002000,1" :
		      i == 1 ? "Z0,ffffffff80003000,1" :
			       "Z0,ffffffff80004000,1", "OK");
	CHECK("Z0,ffffffff80005000,1", "E0e");
	b->kernel_is_mapped = true;
	CHECK("Z0,ffffffff80005000,1", "OK");
}

/* A trap of the guest itself, then its own single step. */
static bool debugs_itself(struct bench *b, unsigned cpu, struct kvm_run *run)
{
	if (cpu || b->debugs[0] > 2)
		return false;
	return b->debugs[0] == 1 ? debug_exit(run, 3, 0x7777, 0) :
				   debug_exit(run, 1, 0x7778, 0x4000);
}

static void the_guest_gets_its_own_exceptions(void **state)
{
	struct bench *b = *state;

	b->guest = debugs_itself;
	CHECK("Z0,1000,1", "OK");
	start(b);
	CHECK("c", "");
	while (b->debugs[0] == 1) {
		while (sem_wait(&b->woken))
			;
		gdb_look(b->gdb);
	}
	assert_true(b->debug[0].control & KVM_GUESTDBG_INJECT_BP);
	while (b->debugs[0] == 2) {
		while (sem_wait(&b->woken))
			;
		gdb_look(b->gdb);
	}
	assert_true(b->debug[0].control & KVM_GUESTDBG_INJECT_DB);
	assert_int_equal(b->sent_len, 0);
	take(b, "\x03", 1);
	assert_string_equal(sent(b), "T02thread:1;");
	/* Once. */
	CHECK("c", "");
	assert_false(b->debug[0].control & (KVM_GUESTDBG_INJECT_BP | KVM_GUESTDBG_INJECT_DB));
}

static void packets_have_to_wait_for_a_stop(void **state)
{
	struct bench *b = *state;

	start(b);
	CHECK("c", "");
	CHECK("g", "E10");
	CHECK("c", "E10");
	take(b, "\x03", 1);
	assert_string_equal(sent(b), "T02thread:1;");
	take(b, "\x03", 1);
	assert_int_equal(b->sent_len, 0);
}

static void actions_are_checked(void **state)
{
	struct bench *b = *state;

	CHECK("vCont;", "E16");
	CHECK("vCont;x", "E16");
	CHECK("vCont;c:9", "E16");
	CHECK("vCont;C", "E16");
	CHECK("vCont;c;", "E16");
	CHECK("vCont;c:1x", "E16");
	CHECK("c1000", "E16");
	CHECK("vCont;C0b:1;s:-1", "");
}

/* KVM refuses: no vCPU was resumed. */
static void a_failing_resume_is_told(void **state)
{
	struct bench *b = *state;

	start(b);
	b->fake.calls = 0;
	b->fake.fail_at = 2;
	b->fake.fail_errno = EINVAL;
	CHECK("c", "E16");
	b->fake.fail_at = 0;
	for (unsigned i = 0; i < CPUS; i++)
		assert_int_equal(b->entries[i], 0);
	CHECK("?", "T05thread:1;");
}

/* --- Ends ------------------------------------------------------------------------------------- */

static void assert_runs_free(struct bench *b)
{
	for (unsigned i = 0; i < CPUS; i++) {
		unsigned before = b->entries[i];

		while (b->entries[i] == before)
			poll(NULL, 0, 1);
		assert_int_equal(b->debug[i].control, 0);
	}
}

static void a_detached_guest_runs_on(void **state)
{
	struct bench *b = *state;

	start(b);
	CHECK("Z0,1000,1", "OK");
	CHECK("Z1,2000,1", "OK");
	CHECK("D", "OK");
	assert_true(b->detached);
	assert_runs_free(b);
	assert_int_equal(*(uint8_t *)gmem_ptr(&b->mem, CODE, 1), 0);
	/* And may be debugged again. */
	gdb_attach(b->gdb);
	CHECK("?", "T05thread:1;");
}

static void a_guest_without_its_debugger_runs_on(void **state)
{
	struct bench *b = *state;

	start(b);
	CHECK("Z0,1000,1", "OK");
	CHECK("c", "");
	gdb_hang_up(b->gdb);
	assert_runs_free(b);
	assert_int_equal(*(uint8_t *)gmem_ptr(&b->mem, CODE, 1), 0);
}

static void a_running_guest_is_stopped_by_who_comes(void **state)
{
	struct bench *b = *state;
	unsigned before;

	assert_runs_free(b);
	gdb_attach(b->gdb);
	before = b->entries[0];
	CHECK("?", "T05thread:1;");
	assert_int_equal(b->entries[0], before);
	CHECK("D", "OK");
	assert_runs_free(b);
}

static void a_guest_may_be_killed(void **state)
{
	struct bench *b = *state;

	CHECK("kx", "E16");
	assert_false(b->killed);
	CHECK("k", "");
	assert_true(b->killed);
	gdb_ended(b->gdb, 137);
	assert_int_equal(b->sent_len, 0);
}

static void killing_does_not_wait(void **state)
{
	struct bench *b = *state;

	start(b);
	CHECK("c", "");
	CHECK("vKill;1", "OK");
	assert_true(b->killed);
}

static void the_exit_status_is_told(void **state)
{
	struct bench *b = *state;

	gdb_ended(b->gdb, 3);
	assert_int_equal(b->sent_len, 0); /* not expected while all are stopped */
	start(b);
	CHECK("c", "");
	gdb_ended(b->gdb, 102);
	assert_string_equal(sent(b), "W66");
}

static void a_reset_guest_stops_again(void **state)
{
	struct bench *b = *state;
	uint8_t *ram = gmem_ptr(&b->mem, 0, RAM);
	unsigned before;

	start(b);
	CHECK("Z0,1000,1", "OK");
	CHECK("c", "");
	b->sent_len = 0;
	for (unsigned i = 0; i < CPUS; i++)
		vcpu_stop(&b->vcpus[i]);
	assert_int_equal(gmem_clear(&b->mem), 0);
	gdb_restarting(b->gdb);
	before = b->entries[0];
	start(b);
	gdb_restarted(b->gdb);
	assert_string_equal(sent(b), "T05thread:1;");
	assert_int_equal(b->entries[0], before);
	CHECK("z0,1000,1", "OK");
	CHECK("c", "");
	assert_int_equal(ram[CODE], 0);
	take(b, "\x03", 1);
	assert_string_equal(sent(b), "T02thread:1;");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_two_sides_introduce_themselves),
		TEST(a_lost_reply_is_sent_again),
		TEST(the_description_comes_in_pieces),
		TEST(vcpus_are_threads),
		TEST(registers_are_read_and_written),
		TEST(memory_is_read_and_written),
		TEST(memory_ends_where_ram_does),
		TEST(memory_is_the_guests_own_view),
		TEST(nothing_runs_before_it_may),
		TEST(one_steps_while_others_stay),
		TEST(hardware_points_stop_all),
		TEST(there_are_so_many_points),
		TEST(traps_are_in_memory_while_the_guest_runs),
		TEST(a_breakpoint_before_the_kernel_is_mapped),
		TEST(the_guest_gets_its_own_exceptions),
		TEST(packets_have_to_wait_for_a_stop),
		TEST(actions_are_checked),
		TEST(a_failing_resume_is_told),
		TEST(a_detached_guest_runs_on),
		TEST(a_guest_without_its_debugger_runs_on),
		cmocka_unit_test_setup_teardown(a_running_guest_is_stopped_by_who_comes,
						setup_running, teardown),
		TEST(a_guest_may_be_killed),
		TEST(killing_does_not_wait),
		TEST(the_exit_status_is_told),
		TEST(a_reset_guest_stops_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
