/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A debugger that sends arbitrary packets, on vCPUs that stop anywhere, with a KVM that maps some
 * addresses and refuses others. No thread runs: a resumed vCPU only counts as running.
 */
#include "../../vmm/gdb/internal.h"
#include "fake_sys.h"
#include "fuzz.h"

enum { CPUS = 3, RAM = 1 << 14 };

struct scene {
	struct fake_sys fake;
	struct kvm kvm;
	struct gmem mem;
	struct vcpu vcpus[CPUS];
	struct machine_parts parts;
	struct gdb *gdb;
	struct gdb_parser sent; /* the other end */
	size_t sent_len;	/* since the last byte of input */
	bool may_write;		/* RAM, on command; else nothing may */
	bool over;
	bool kvm_refuses;
};

static int answer(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct scene *s = fake->hook_data;
	struct kvm_translation *t = arg;

	(void)fd;
	switch (request) {
	case KVM_TRANSLATE:
		/*
		 * One page in four is not mapped; RAM repeats, and ends within a page.
		 */
		t->valid = t->linear_address >> 12 & 3;
		t->physical_address = t->linear_address & (2 * RAM - 1);
		return 0;
	case KVM_GET_REGS:
		memset(arg, 0, sizeof(struct kvm_regs));
		return 0;
	case KVM_GET_SREGS:
		memset(arg, 0, sizeof(struct kvm_sregs));
		return 0;
	case KVM_GET_FPU:
		memset(arg, 0, sizeof(struct kvm_fpu));
		return 0;
	case KVM_GET_MSRS:
		return 1;
	case KVM_SET_GUEST_DEBUG:
		return s->kvm_refuses ? -EINVAL : 0;
	default:
		return FAKE_PASS;
	}
}

/* Sent packets must parse. */
static void take_sent(void *owner, const char *data, size_t len)
{
	struct scene *s = owner;

	s->sent_len += len;
	for (size_t i = 0; i < len; i++) {
		enum gdb_input input = gdb_parser_take(&s->sent, (uint8_t)data[i]);

		FUZZ_CHECK(input == GDB_MORE || input == GDB_PACKET || (len == 1 && input == GDB_AGAIN));
	}
}

static void ignore(void *owner)
{
	(void)owner;
}

static void over(void *owner)
{
	((struct scene *)owner)->over = true;
}

static const struct gdb_ops ops = {
	.send = take_sent,
	.wake = ignore,
	.leaves = over,
};

static void stands_still(struct vm *vm)
{
	(void)vm;
}

/* The debugger leaves, too. */
static void killed(struct vm *vm, const struct verdict *end)
{
	(void)vm;
	(void)end;
}

static const struct machine_ops machine_ops = {
	.end = killed,
	.pausing = stands_still,
	.paused = stands_still,
};

static void build(struct scene *s, bool wait)
{
	static const struct gmem_range range = { 0, RAM };
	static const struct gmem_options no_options = { 0 };
	const struct gdb_options options = {
		.parts = &s->parts, .wait = wait, .ops = &ops, .owner = s
	};

	memset(s, 0, sizeof(*s));
	s->parts = (struct machine_parts){
		.vcpus = s->vcpus, .vcpu_count = CPUS, .mem = &s->mem, .ops = &machine_ops
	};
	fake_sys_init(&s->fake);
	s->fake.hook = answer;
	s->fake.hook_data = s;
	FUZZ_CHECK(!kvm_init(&s->kvm, &s->fake.sys, 0));
	FUZZ_CHECK(!gmem_init(&s->mem, &range, 1, &no_options));
	for (unsigned i = 0; i < CPUS; i++)
		FUZZ_CHECK(!vcpu_init(&s->vcpus[i], &s->kvm, i, NULL, NULL, NULL, NULL));
	FUZZ_CHECK(!gdb_new(&s->gdb, &options));
}

static void take_down(struct scene *s)
{
	gdb_free(s->gdb);
	for (unsigned i = 0; i < CPUS; i++)
		vcpu_destroy(&s->vcpus[i]);
	gmem_destroy(&s->mem);
	kvm_destroy(&s->kvm);
	fake_sys_destroy(&s->fake);
}

static void take(struct scene *s, uint8_t byte)
{
	s->sent_len = 0;
	gdb_take(s->gdb, byte);
	FUZZ_CHECK(s->sent_len <= GDB_SEND_MAX);
}

/* A packet that begins like a known one, and continues with common bytes. */
static void send_packet(struct scene *s, struct fuzz_input *in)
{
	static const char *const names[] = {
		"?",	 "g",	   "G",	     "p",      "P",	    "m",      "M",
		"X",	 "Z0,",	   "Z1,",    "Z2,",    "Z4,",	    "Z",      "z0,",
		"z1,",	 "z",	   "Hg",     "T",      "vCont;c",   "vCont;", "vCont;s:1",
		"c",	 "s",	   "qfThreadInfo", "qsThreadInfo", "qThreadExtraInfo,",
		"qXfer:features:read:target.xml:", "qSupported:swbreak+;hwbreak+",
		/* Two of these are the same place. */
		"Z0,1000,1", "Z0,1001,1", "Z0,9000,1", "Z0,ffffffff80000000,1", "Z1,1000,1",
		"Z2,2000,f", "z0,1000,1", "z0,9000,1", "G0011",
		/* These end it. */
		"D",	 "k",	   "vKill;",
	};
	enum { ENDS = 3 };
	static const char bytes[] = "0123456789abcdef,:;=-csCS0000,1";
	struct gdb_reply packet = { .len = 0 };
	char frame[GDB_FRAME_MAX];
	unsigned more = fuzz_pick(in, 2) ? fuzz_pick(in, 24) : 0;
	const char *name = names[fuzz_pick(in, ARRAY_SIZE(names) - (fuzz_pick(in, 8) ? ENDS : 0))];
	size_t len;

	if (!s->may_write && (*name == 'M' || *name == 'X'))
		return;
	gdb_reply_format(&packet, "%s", name);
	while (more--) {
		char c = (char)fuzz_take(in, 1);

		if (c >= 0)
			c = bytes[(unsigned)c % (sizeof(bytes) - 1)];
		gdb_reply_add(&packet, &c, 1);
	}
	len = gdb_reply_frame(&packet, frame);
	for (size_t i = 0; i < len; i++)
		take(s, (uint8_t)frame[i]);
}

/* A running vCPU stops, at an address that may have a breakpoint. */
static void meet(struct scene *s, struct fuzz_input *in)
{
	unsigned index = fuzz_pick(in, CPUS);
	struct kvm_debug_exit_arch *exit = &s->vcpus[index].run->debug.arch;

	if (!s->gdb->vcpus[index].running)
		return;
	exit->exception = fuzz_pick(in, 4);
	exit->dr6 = fuzz_take(in, 2);
	exit->pc = s->gdb->points.count ? s->gdb->points.points[0].address : fuzz_take(in, 2);
	gdb_vcpu_debugged(s->gdb, &s->vcpus[index]);
	if (fuzz_pick(in, 4))
		gdb_look(s->gdb);
}

static void restart(struct scene *s)
{
	for (unsigned i = 0; i < CPUS; i++)
		s->vcpus[i].pauses = 0; /* vcpu_stop() */
	FUZZ_CHECK(!gmem_clear(&s->mem));
	gdb_restarting(s->gdb);
	gdb_restarted(s->gdb);
}

static void step(struct scene *s, struct fuzz_input *in)
{
	if (!s->gdb->attached) {
		s->sent = (struct gdb_parser){ .len = 0 };
		gdb_attach(s->gdb);
	}
	switch (fuzz_pick(in, 16)) {
	case 0:
		for (unsigned n = fuzz_pick(in, 64); n && s->may_write; n--)
			take(s, (uint8_t)fuzz_take(in, 1));
		break;
	case 1:
		gdb_hang_up(s->gdb);
		break;
	case 2:
		s->kvm_refuses = fuzz_pick(in, 2);
		break;
	case 3:
		restart(s);
		break;
	case 4:
	case 5:
		take(s, 3);
		break;
	case 6:
	case 7:
	case 8:
		meet(s, in);
		break;
	default:
		send_packet(s, in);
		break;
	}
}

static void check(struct scene *s)
{
	const struct gdb *gdb = s->gdb;
	bool any = false;

	for (unsigned i = 0; i < CPUS; i++) {
		FUZZ_CHECK(s->vcpus[i].pauses == !gdb->vcpus[i].running);
		any |= gdb->vcpus[i].running;
	}
	FUZZ_CHECK(any == gdb->running);
	FUZZ_CHECK(gdb->running || !gdb->points.in_memory);
	FUZZ_CHECK(gdb->current < CPUS);
	FUZZ_CHECK(gdb->points.hard_count <= gdb->points.count);
	FUZZ_CHECK(arch_debug_points_fit(&s->vcpus[0], gdb->points.hard, gdb->points.hard_count));
}

/* Breakpoints leave nothing behind. */
static void check_ram(const struct scene *s)
{
	const uint8_t *ram = gmem_ptr(&s->mem, 0, RAM);

	for (unsigned i = 0; i < RAM && !s->may_write && !s->gdb->points.count; i++)
		FUZZ_CHECK(!ram[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	unsigned fds = fake_open_fds();
	static struct scene s;

	build(&s, fuzz_pick(&in, 2));
	s.may_write = fuzz_pick(&in, 2);
	while (in.left && !s.over) {
		step(&s, &in);
		check(&s);
	}
	if (!s.over)
		gdb_hang_up(s.gdb);
	check_ram(&s);
	take_down(&s);
	FUZZ_CHECK(fake_open_fds() == fds);
	return 0;
}
