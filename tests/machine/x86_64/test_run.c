/* SPDX-License-Identifier: Apache-2.0 */
/* Whole runs of a machine on a fake KVM, whose guest is a function of the test. */
#include "devices/rng.h"
#include "fake_machine.h"
#include "fake_sys.h"

#include "gdb/server.h"
#include "guestlog/guest_log.h"
#include "machine/machine.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { COM1 = 0x3f8, I8042_COMMAND = 0x64, EXIT_PORT = 0xf4, PULSE_RESET = 0xfe };
enum { VMGENID = 0xfffe0 };
enum { CPUS = 2, TIMEOUT_NS = 100000000 };
/* On a busy host, too, the vCPUs run by then. */
static const uint64_t built_ns = 20ULL * TIMEOUT_NS;

struct run {
	struct fake_sys fake;
	struct machine_config config;
	struct gdb_config gdb;
	struct guest_log log;
	struct verdict verdict;
	struct fake_kernel kernel;
	int screen; /* screen: read end of standard output */
	int saved_in, saved_out;
	/* What a vCPU does at a KVM_RUN; false: it waits for an interrupt. */
	bool (*guest)(struct run *r, unsigned cpu, struct kvm_run *run);
	/* The same while a vCPU of the first boot is being stopped. */
	bool (*last_word)(struct run *r, struct kvm_run *run);
	_Atomic unsigned entries[CPUS]; /* KVM_RUNs */
	unsigned quiet;			/* of vCPU 0, in a row, while vCPU 1 did not run */
	unsigned seen;
	_Atomic unsigned boots;
	const char *text; /* what prints_then_resets() still has to print */
	bool reader_leaves; /* when the timeout asks where the vCPU is, or at the second boot */
	const char *output; /* standard output is this file, not a pipe */
	bool first_halts;   /* vCPU 0 is in HLT */
	uint8_t ids[2][16]; /* VM generation ids, by boot */
};

static struct run *run_of(struct fake_sys *fake)
{
	return container_of(fake, struct run, fake);
}

static bool out(struct kvm_run *run, uint16_t port, uint8_t value)
{
	return fake_port_access(run, KVM_EXIT_IO_OUT, port, value);
}

static int play(struct fake_sys *fake, int fd, struct kvm_run *run)
{
	struct run *r = run_of(fake);
	unsigned cpu = fd != fake->vcpus[0].fd;

	if (__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST))
		return r->last_word && r->boots == 1 && r->last_word(r, run) ? 0 : -EINTR;
	r->entries[cpu]++;
	if (r->guest(r, cpu, run))
		return 0;
	/* A kick between the check above and this wait is found at the next check. */
	poll(NULL, 0, 1);
	return -EINTR;
}

static int watch(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct run *r = run_of(fake);

	if (request == KVM_GET_MP_STATE) {
		bool halts = r->first_halts && fd == fake->vcpus[0].fd;

		((struct kvm_mp_state *)arg)->mp_state =
			halts ? KVM_MP_STATE_HALTED : KVM_MP_STATE_RUNNABLE;
		return 0;
	}
	if (request == KVM_SET_PIT2) /* at each power-on */
		r->boots++;
	/* Registers are read at power-on, too. */
	if (r->reader_leaves &&
	    ((request == KVM_GET_REGS && r->entries[0]) || r->boots > 1))
		close_fd(&r->screen);
	return FAKE_PASS;
}

static int setup(void **state)
{
	struct run *r = calloc(1, sizeof(*r));

	fake_sys_init(&r->fake);
	r->fake.run = play;
	r->fake.hook = watch;
	fake_machine_init(&r->config, &r->kernel);
	r->config.serial = SERIAL_STDIO;
	r->screen = -1;
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct run *r = *state;

	close_fd(&r->kernel.fd);
	close_fd(&r->screen);
	fake_sys_destroy(&r->fake);
	free(r);
	return 0;
}

static void observe(struct run *r, const struct machine_observer_ops *ops, void *owner)
{
	r->config.observers[r->config.observer_count++] = (struct machine_observer){ ops, owner };
}

/* Standard input is empty, standard output a pipe without a reader unless a file is given. */
static void run_machine(struct run *r)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), ends[2];

	assert_true(null >= 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fflush(stdout);
	r->saved_in = dup(STDIN_FILENO);
	r->saved_out = dup(STDOUT_FILENO);
	dup2(null, STDIN_FILENO);
	dup2(ends[1], STDOUT_FILENO);
	if (r->output) {
		int file = open(r->output, O_WRONLY | O_CLOEXEC);

		assert_int_equal(dup2(file, STDOUT_FILENO), STDOUT_FILENO);
		close(file);
	}
	close(null);
	close(ends[1]);
	r->screen = ends[0];

	alarm(100); /* a machine that hangs */
	assert_true(machine_run(&r->config, &r->fake.sys, &r->verdict));
	alarm(0);

	dup2(r->saved_in, STDIN_FILENO);
	dup2(r->saved_out, STDOUT_FILENO);
	close(r->saved_in);
	close(r->saved_out);
}

static bool exits_with_7(struct run *r, unsigned cpu, struct kvm_run *run)
{
	(void)r;
	(void)cpu;
	return out(run, EXIT_PORT, 7);
}

static void test_the_guest_sets_the_status(void **state)
{
	struct run *r = *state;

	r->guest = exits_with_7;
	run_machine(r);
	assert_int_equal(r->verdict.outcome, OUTCOME_STATUS);
	assert_int_equal(r->verdict.status, 7);
}

static bool prints_for_ever(struct run *r, unsigned cpu, struct kvm_run *run)
{
	(void)r;
	(void)cpu;
	return out(run, COM1, 'x');
}

/* The vCPU waits for room in the output, which only the loop can signal. */
static void test_timeout_while_nobody_reads_the_output(void **state)
{
	struct run *r = *state;

	r->guest = prints_for_ever;
	r->config.timeout_ns = TIMEOUT_NS;
	r->reader_leaves = true;
	run_machine(r);
	assert_int_equal(r->verdict.outcome, OUTCOME_TIMEOUT);
	assert_int_equal(r->verdict.status, 124);
}

/* vCPU 0 resets once vCPU 1 waits in its output. */
static bool resets_beside_a_printer(struct run *r, unsigned cpu, struct kvm_run *run)
{
	if (r->boots > 1)
		return cpu == 0 && out(run, EXIT_PORT, 7);
	if (cpu == 1)
		return out(run, COM1, 'x');
	r->quiet = r->entries[1] && r->entries[1] == r->seen ? r->quiet + 1 : 0;
	r->seen = r->entries[1];
	return r->quiet > 20 && out(run, I8042_COMMAND, PULSE_RESET);
}

static void test_restart_while_nobody_reads_the_output(void **state)
{
	struct run *r = *state;

	r->guest = resets_beside_a_printer;
	r->config.cpus = r->config.boot.cpus = CPUS;
	r->config.on_reboot = ON_REBOOT_RESTART;
	r->reader_leaves = true;
	run_machine(r);
	assert_int_equal(r->verdict.outcome, OUTCOME_STATUS);
	assert_int_equal(r->verdict.status, 7);
}

/* Linux pulses the line ten times; here the second pulse comes while the first is being handled. */
static bool resets_again(struct run *r, struct kvm_run *run)
{
	return !r->quiet++ && out(run, I8042_COMMAND, PULSE_RESET);
}

static bool resets_once(struct run *r, unsigned cpu, struct kvm_run *run)
{
	if (r->boots == 1)
		return r->entries[cpu] == 1 && out(run, I8042_COMMAND, PULSE_RESET);
	/* Long enough for a second restart, if there were one. */
	return r->quiet++ > 20 && out(run, EXIT_PORT, 7);
}

static void test_one_reboot_is_one_restart(void **state)
{
	struct run *r = *state;

	r->guest = resets_once;
	r->last_word = resets_again;
	r->config.on_reboot = ON_REBOOT_RESTART;
	run_machine(r);
	assert_int_equal(r->verdict.status, 7);
	assert_int_equal(r->boots, 2);
}

static bool reads_its_id(struct run *r, unsigned cpu, struct kvm_run *run)
{
	(void)cpu;
	memcpy(r->ids[r->boots - 1], (char *)r->fake.slots[0].userspace_addr + VMGENID, 16);
	return r->boots == 1 ? out(run, I8042_COMMAND, PULSE_RESET) : out(run, EXIT_PORT, 7);
}

/* A guest without firmware tables may use that memory as it likes. */
static void test_each_boot_with_tables_has_its_own_generation_id(void **state)
{
	static const uint8_t zero[16];
	struct run *r = *state;

	r->guest = reads_its_id;
	r->config.on_reboot = ON_REBOOT_RESTART;
	run_machine(r);
	assert_int_equal(r->boots, 2);
	assert_memory_equal(r->ids[0], zero, 16);
	assert_memory_equal(r->ids[1], zero, 16);

	r->boots = 0;
	r->config.acpi = r->config.boot.firmware_tables = true;
	run_machine(r);
	assert_int_equal(r->boots, 2);
	assert_memory_not_equal(r->ids[0], zero, 16);
	assert_memory_not_equal(r->ids[1], zero, 16);
	assert_memory_not_equal(r->ids[0], r->ids[1], 16);
}

/* A machine of many CPUs and queues needs more files than the default limit of a process. */
static void test_the_limit_of_open_files_is_raised(void **state)
{
	struct run *r = *state;
	struct rlimit before, low;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = (struct rlimit){ fake_open_fds() + 10, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	r->guest = exits_with_7;
	r->config.console = CONSOLE_NULL;
	((struct rng_config *)device_set_add(&r->config.devices, &rng_kind))->on = true;
	run_machine(r);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(r->verdict.status, 7);
}

static bool prints_then_resets(struct run *r, unsigned cpu, struct kvm_run *run)
{
	(void)cpu;
	if (*r->text)
		return out(run, COM1, (uint8_t)*r->text++);
	return out(run, I8042_COMMAND, PULSE_RESET);
}

static void test_a_panic_on_the_console_decides(void **state)
{
	struct run *r = *state;

	observe(r, &guest_log_ops, &r->log);
	r->text = "[ 1.0] Kernel panic - not syncing: no init\r\n";
	r->guest = prints_then_resets;
	run_machine(r);
	assert_int_equal(r->verdict.outcome, OUTCOME_PANIC);
	assert_int_equal(r->verdict.status, 102);
	assert_string_equal(r->verdict.detail, "Kernel panic - not syncing: no init");
}

struct reader {
	char text[64];
	size_t len;
	const char *enough; /* the text that it waits for */
};

static bool reads(void *owner, enum guest_stream stream, const uint8_t *data, size_t len,
		  struct verdict *end)
{
	struct reader *reader = owner;

	assert_int_equal(stream, GUEST_SERIAL);
	for (size_t i = 0; i < len && reader->len < sizeof(reader->text) - 1; i++)
		reader->text[reader->len++] = (char)data[i];
	if (!reader->enough || strcmp(reader->text, reader->enough) != 0)
		return false;
	end->status = 3;
	snprintf(end->detail, sizeof(end->detail), "read %s", reader->enough);
	return true;
}

/* All observers see all output, even of a console that is off, and any can end the run. */
static void test_observers_read_the_console_and_end_the_run(void **state)
{
	static const struct machine_observer_ops deaf = { 0 }, ops = { .console = reads };
	struct run *r = *state;
	struct reader first = { 0 }, second = { .enough = "go, stop" };

	r->text = "go, stop here";
	r->guest = prints_then_resets;
	r->config.serial = SERIAL_OFF;
	observe(r, &deaf, NULL);
	observe(r, &ops, &first);
	observe(r, &ops, &second);
	run_machine(r);
	assert_int_equal(r->verdict.outcome, OUTCOME_OBSERVER);
	assert_int_equal(r->verdict.status, 3);
	assert_string_equal(r->verdict.detail, "read go, stop");
	assert_memory_equal(first.text, second.enough, strlen(second.enough));
}

struct looker {
	unsigned ticks, vcpus; /* bit n: vCPU n was shown */
};

static bool counts(void *owner, struct verdict *end)
{
	struct looker *looker = owner;

	end->status = 9;
	return ++looker->ticks == 3;
}

static void looks(void *owner, unsigned id, const struct arch_vcpu_state *state)
{
	struct looker *looker = owner;

	assert_true(state->register_count > 0);
	looker->vcpus |= 1u << id;
}

static bool does_nothing(struct run *r, unsigned cpu, struct kvm_run *run)
{
	(void)r;
	(void)cpu;
	(void)run;
	return false;
}

static void test_time_passes_for_an_observer(void **state)
{
	static const struct machine_observer_ops ops = { .tick = counts };
	struct run *r = *state;
	struct looker looker = { 0 };

	r->guest = does_nothing;
	observe(r, &ops, &looker);
	run_machine(r);
	assert_int_equal(r->verdict.outcome, OUTCOME_OBSERVER);
	assert_int_equal(r->verdict.status, 9);
	assert_true(looker.ticks >= 3);
}

static void test_a_timeout_shows_where_every_vcpu_is(void **state)
{
	static const struct machine_observer_ops ops = { .vcpu = looks };
	struct run *r = *state;
	struct looker looker = { 0 };

	r->guest = does_nothing;
	r->config.cpus = r->config.boot.cpus = CPUS;
	r->config.timeout_ns = built_ns;
	observe(r, &ops, &looker);
	run_machine(r);
	assert_int_equal(r->verdict.outcome, OUTCOME_TIMEOUT);
	assert_int_equal(looker.vcpus, (1u << CPUS) - 1);
}

/* Each read of a vCPU is narrated: a timeout reads its activity once. */
static void test_a_vcpu_is_not_read_for_observers_that_do_not_look(void **state)
{
	static const struct machine_observer_ops ops = { 0 };
	struct run *r = *state;
	struct looker looker = { 0 };

	r->guest = does_nothing;
	r->config.timeout_ns = built_ns;
	observe(r, &ops, &looker);
	run_machine(r);
	assert_int_equal(r->verdict.outcome, OUTCOME_TIMEOUT);
	assert_int_equal(fake_sys_count(&r->fake, KVM_GET_MP_STATE), 2); /* one at power-on */
}

/* What run_machine() left in the pipe; the writing end is closed. */
static size_t read_screen(struct run *r, char *text, size_t len)
{
	ssize_t got = read(r->screen, text, len);

	assert_true(got >= 0);
	return (size_t)got;
}

static void test_output_that_is_not_wanted_is_not_shown(void **state)
{
	struct run *r = *state;
	char text[32];

	r->text = "hello";
	r->guest = prints_then_resets;
	r->config.no_output = true;
	run_machine(r);
	assert_int_equal(r->verdict.outcome, OUTCOME_REBOOT);
	assert_int_equal(read_screen(r, text, sizeof(text)), 0);
	close_fd(&r->screen);

	r->text = "hello";
	r->config.no_output = false;
	run_machine(r);
	assert_int_equal(read_screen(r, text, sizeof(text)), 5);
}

/* Whether the guest runs on or ends, and even if its last output is not flushed. */
static void test_output_that_is_lost_is_a_host_error(void **state)
{
	static const struct {
		const char *text; /* NULL: no end of it */
		bool (*guest)(struct run *r, unsigned cpu, struct kvm_run *run);
	} cases[] = {
		{ NULL, prints_for_ever },
		{ "a line\r\n", prints_then_resets },
		{ "a prompt", prints_then_resets },
	};
	struct run *r = *state;

	r->output = "/dev/full";
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		r->text = cases[i].text;
		r->guest = cases[i].guest;
		run_machine(r);
		close_fd(&r->screen);
		assert_int_equal(r->verdict.outcome, OUTCOME_HOST);
		assert_int_equal(r->verdict.status, 101);
		assert_string_equal(r->verdict.detail, "standard output: No space left on device");
	}
}

static bool prints_a_last_word(struct run *r, struct kvm_run *run)
{
	return !r->quiet++ && out(run, COM1, 'x');
}

/* Lost output after a failure changes nothing. */
static void test_a_failure_stays_what_it_was_without_output(void **state)
{
	struct run *r = *state;

	r->output = "/dev/full";
	r->guest = exits_with_7;
	r->last_word = prints_a_last_word;
	run_machine(r);
	assert_int_equal(r->verdict.outcome, OUTCOME_STATUS);
	assert_int_equal(r->verdict.status, 7);
}

/* --- A debugger --- */

struct debugger {
	pthread_t thread;
	char path[64];
	const char *says; /* a packet */
	char heard[512];
	size_t heard_len;
};

static void *debug_guest(void *arg)
{
	struct debugger *d = arg;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ssize_t got;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", d->path);
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		poll(NULL, 0, 1);
	if (write(fd, d->says, strlen(d->says)) < 0)
		perror("write");
	while ((got = read(fd, d->heard + d->heard_len, sizeof(d->heard) - d->heard_len)) > 0)
		d->heard_len += (size_t)got;
	close(fd);
	return NULL;
}

/* A unique name. */
static const char *socket_path(struct debugger *d)
{
	snprintf(d->path, sizeof(d->path), "/tmp/kinglet-test-%d.gdb", (int)getpid());
	return d->path;
}

static struct gdb_server *add_server(struct run *r)
{
	struct gdb_server *server;

	assert_int_equal(gdb_server_new(&server, &r->gdb), 0);
	observe(r, &gdb_server_ops, server);
	return server;
}

static void run_with_server(struct run *r)
{
	struct gdb_server *server = add_server(r);

	run_machine(r);
	gdb_server_free(server);
}

/* A run with a debugger that sends these packets, and then waits for the end. */
static void run_debugged(struct run *r, struct debugger *d)
{
	r->gdb.listen = socket_path(d);
	assert_int_equal(pthread_create(&d->thread, NULL, debug_guest, d), 0);
	run_with_server(r);
	pthread_join(d->thread, NULL);
	assert_int_equal(access(d->path, F_OK), -1);
}

static void test_a_debugger_lets_the_guest_run(void **state)
{
	struct run *r = *state;
	struct debugger d = { .says = "$vCont;c#a8" };

	r->guest = exits_with_7;
	run_debugged(r, &d);
	assert_int_equal(r->verdict.status, 7);
	assert_memory_equal(d.heard, "+$W07#be", 8);
}

static void test_a_debugger_kills_the_guest(void **state)
{
	struct run *r = *state;
	struct debugger d = { .says = "$k#6b" };

	r->guest = exits_with_7;
	run_debugged(r, &d);
	assert_int_equal(r->verdict.outcome, OUTCOME_SIGNAL);
	assert_int_equal(r->verdict.status, 137);
	assert_string_equal(r->verdict.detail, "killed by gdb");
	assert_int_equal(r->entries[0], 0);
}

static void test_a_debugger_leaves(void **state)
{
	struct run *r = *state;
	struct debugger d = { .says = "$D#44" };

	r->guest = exits_with_7;
	run_debugged(r, &d);
	assert_int_equal(r->verdict.status, 7);
	assert_memory_equal(d.heard, "+$OK#9a", 7);
}

static void test_time_runs_out_before_a_debugger_comes(void **state)
{
	struct run *r = *state;
	struct debugger d = { 0 };

	r->guest = exits_with_7;
	r->gdb.listen = socket_path(&d);
	r->config.timeout_ns = TIMEOUT_NS;
	run_with_server(r);
	assert_int_equal(r->verdict.outcome, OUTCOME_TIMEOUT);
	assert_int_equal(r->entries[0], 0);
}

static void test_nobody_waits_for_a_debugger_with_nowait(void **state)
{
	struct run *r = *state;
	struct debugger d = { 0 };

	r->guest = exits_with_7;
	r->gdb.listen = socket_path(&d);
	r->gdb.nowait = true;
	run_with_server(r);
	assert_int_equal(r->verdict.status, 7);
}

/* An existing file belongs to someone else, and is kept. */
static void test_a_socket_that_is_taken_is_refused(void **state)
{
	struct run *r = *state;
	struct debugger d = { 0 };
	int fd = open(socket_path(&d), O_CREAT | O_CLOEXEC, 0600);

	close_fd(&fd);
	r->gdb.listen = d.path;
	run_with_server(r);
	assert_int_equal(r->verdict.outcome, OUTCOME_HOST);
	assert_int_equal(unlink(d.path), 0);
}

/* --- Pauses, asked for by the main thread --- */

struct pauser {
	struct machine_ask ask;
	struct loop_event built; /* in the control loop */
	const struct machine_parts *parts;
	const struct run *run;
	const char *steps; /* p: pause, r: resume; what is left of them */
	unsigned done;
	int results[6];
	unsigned entries; /* KVM_RUNs when it was paused */
	bool leaves_it_paused, leaves_the_end;
};

static void pauses(struct machine_ask *ask)
{
	struct pauser *p = container_of(ask, struct pauser, ask);
	const struct machine_ops *does = p->parts->ops;
	int ret;

	if (*p->steps++ == 'p')
		ret = does->pause(p->parts->vm);
	else
		ret = does->resume(p->parts->vm);
	p->results[p->done++] = ret;
	p->entries = p->run->entries[0] + p->run->entries[1];
}

static void pauses_next(struct machine_ask *ask)
{
	struct pauser *p = container_of(ask, struct pauser, ask);
	const struct verdict quit = { .outcome = OUTCOME_QUIT };

	if (*p->steps)
		p->parts->ops->ask(p->parts->vm, ask);
	else if (!p->leaves_the_end)
		p->parts->ops->end(p->parts->vm, &quit);
}

static void pauser_begins(struct loop_event *event, uint32_t events)
{
	(void)events;
	eventfd_drain(event->fd);
	pauses_next(&container_of(event, struct pauser, built)->ask);
}

static int pauser_built(void *owner, const struct machine_parts *parts)
{
	struct pauser *p = owner;

	p->parts = parts;
	p->ask = (struct machine_ask){ .run = pauses, .answered = pauses_next };
	p->built.fn = pauser_begins;
	return loop_add(parts->control_loop, &p->built, EPOLLIN);
}

static void pauser_stopped(void *owner, const struct verdict *verdict)
{
	struct pauser *p = owner;

	(void)verdict;
	/* No vCPU has run since the pause, not even to be stopped. */
	if (p->leaves_it_paused)
		assert_int_equal(p->run->entries[0] + p->run->entries[1], p->entries);
}

static void run_pauses(struct run *r, struct pauser *p, const char *steps)
{
	static const struct machine_observer_ops ops = {
		.built = pauser_built,
		.stopped = pauser_stopped,
	};

	p->run = r;
	p->steps = steps;
	p->built.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	r->config.cpus = r->config.boot.cpus = CPUS;
	observe(r, &ops, p);
	run_machine(r);
	close_fd(&p->built.fd);
	assert_int_equal(r->verdict.outcome, OUTCOME_QUIT);
}

static void test_a_machine_is_paused_and_resumed(void **state)
{
	static const int results[] = { -EALREADY, 0, -EALREADY, 0, 0 };
	struct run *r = *state;
	struct pauser p = { 0 };

	r->guest = does_nothing;
	run_pauses(r, &p, "rpprp");
	assert_memory_equal(p.results, results, sizeof(results));
}

static void test_a_paused_machine_ends(void **state)
{
	struct run *r = *state;
	struct pauser p = { .leaves_it_paused = true };

	r->guest = prints_for_ever;
	r->reader_leaves = true;
	run_pauses(r, &p, "p");
	assert_int_equal(p.results[0], 0);
}

static void test_the_time_of_a_paused_machine_runs_out(void **state)
{
	static const struct machine_observer_ops ops = { .built = pauser_built };
	struct run *r = *state;
	struct pauser p = { .run = r, .steps = "p", .leaves_the_end = true };

	p.built.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	r->guest = does_nothing;
	r->config.timeout_ns = TIMEOUT_NS;
	observe(r, &ops, &p);
	run_machine(r);
	close_fd(&p.built.fd);
	assert_int_equal(r->verdict.outcome, OUTCOME_TIMEOUT);
}

static void test_what_a_debugger_holds_is_not_paused(void **state)
{
	struct run *r = *state;
	struct debugger d = { 0 };
	struct pauser p = { 0 };
	struct gdb_server *server;

	r->guest = exits_with_7;
	r->gdb.listen = socket_path(&d);
	server = add_server(r);
	run_pauses(r, &p, "p");
	gdb_server_free(server);
	assert_int_equal(p.results[0], -EBUSY);
	assert_int_equal(r->entries[0], 0);
}

/* --- The clock, and signals --- */

static int raised; /* the signal that the guest of these tests causes */

static bool raises(struct run *r, unsigned cpu, struct kvm_run *run)
{
	(void)cpu;
	(void)run;
	if (!r->quiet++)
		kill(getpid(), raised);
	return false;
}

static bool raises_then_exits(struct run *r, unsigned cpu, struct kvm_run *run)
{
	raises(r, cpu, run);
	/* Long enough for a signal that counts to have ended the run. */
	return r->quiet > 200 && out(run, EXIT_PORT, 7);
}

static void test_every_signal_that_would_kill_ends_the_run(void **state)
{
	static const int numbers[] = { SIGINT,	SIGTERM,   SIGHUP,  SIGQUIT, SIGALRM, SIGVTALRM,
				       SIGPROF, SIGXCPU,   SIGUSR1, SIGUSR2, SIGPOLL, SIGPWR,
				       SIGSTKFLT };
	struct run *r = *state;

	r->guest = raises;
	for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
		raised = numbers[i];
		signal(raised, SIG_DFL); /* a shell's background job ignores some */
		r->quiet = 0;
		run_machine(r);
		close_fd(&r->screen);
		assert_int_equal(r->verdict.outcome, OUTCOME_SIGNAL);
		assert_int_equal(r->verdict.status, 128 + numbers[i]);
	}
}

static bool reported;

static void reports(void *owner)
{
	(void)owner;
	reported = true;
}

/* SIGUSR1 makes observers report. */
static void test_sigusr1_asks_an_observer(void **state)
{
	static const struct machine_observer_ops ops = { .report = reports };
	struct run *r = *state;

	observe(r, &ops, NULL);
	r->guest = raises_then_exits;
	raised = SIGUSR1;
	run_machine(r);
	assert_int_equal(r->verdict.outcome, OUTCOME_STATUS);
	assert_true(reported);
}

static void test_a_signal_that_is_ignored_stays_so(void **state)
{
	static const int numbers[] = { SIGINT, SIGHUP, SIGUSR2, SIGWINCH };
	struct run *r = *state;

	r->guest = raises_then_exits;
	for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
		sigset_t set;

		/* Like a new process: nothing is blocked. */
		sigemptyset(&set);
		sigprocmask(SIG_SETMASK, &set, NULL);
		raised = numbers[i];
		r->quiet = 0;
		signal(raised, SIG_IGN);
		run_machine(r);
		signal(raised, SIG_DFL);
		close_fd(&r->screen);
		assert_int_equal(r->verdict.outcome, OUTCOME_STATUS);
	}
}

/* A second one must not end the process before the verdict of the first is printed. */
static void test_a_second_signal_waits_for_the_verdict(void **state)
{
	const struct timespec now = { 0 };
	struct run *r = *state;
	sigset_t set;

	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	r->guest = raises;
	raised = SIGTERM;
	run_machine(r);
	kill(getpid(), SIGTERM);
	assert_int_equal(r->verdict.status, 128 + SIGTERM);
	sigaddset(&set, SIGTERM);
	assert_int_equal(sigtimedwait(&set, NULL, &now), SIGTERM);
}

static void test_a_timeout_tells_of_the_vcpu_that_does_not_wait(void **state)
{
	struct run *r = *state;

	r->guest = does_nothing;
	r->first_halts = true;
	r->config.cpus = r->config.boot.cpus = CPUS;
	r->config.timeout_ns = built_ns;
	run_machine(r);
	assert_int_equal(r->verdict.outcome, OUTCOME_TIMEOUT);
	assert_non_null(strstr(r->verdict.detail, "vCPU 1: rip "));
}

static void test_the_timeout_counts_from_the_start_of_kinglet(void **state)
{
	struct run *r = *state;

	r->guest = does_nothing;
	r->config.timeout_ns = 3600 * UINT64_C(1000000000);
	r->config.started_ns = sys_now_ns() - r->config.timeout_ns;
	run_machine(r);
	assert_int_equal(r->verdict.outcome, OUTCOME_TIMEOUT);
}

/* The machine's thread blocks forever. */
static void stand_still(void)
{
	for (;;)
		pause();
}

/* And then SIGTERM ends the run. */
static void stand_still_and_terminate(void)
{
	kill(getpid(), SIGTERM);
	stand_still();
}

static int stuck_in_building(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	(void)fake;
	(void)fd;
	(void)arg;
	if (request == KVM_CREATE_PIT2)
		stand_still_and_terminate();
	return FAKE_PASS;
}

static bool stuck_in_the_loop(void *owner, struct verdict *end)
{
	(void)owner;
	(void)end;
	stand_still();
	return false;
}

/* At the reset that comes with a reboot inside the process. */
static int stuck_in_a_reset(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	(void)fd;
	(void)arg;
	if (request == KVM_SET_PIT2 && ++run_of(fake)->boots == 2)
		stand_still_and_terminate();
	return FAKE_PASS;
}

/* In a child process, which exits with threads running. Returns the exit status. */
static int run_stuck(struct run *r)
{
	pid_t child;
	int status;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		bool gone;

		alarm(100);
		gone = machine_run(&r->config, &r->fake.sys, &r->verdict);
		_exit(gone ? 1 : r->verdict.status);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_a_signal_while_building_is_stuck(void **state)
{
	struct run *r = *state;

	r->guest = does_nothing;
	r->fake.hook = stuck_in_building;
	assert_int_equal(run_stuck(r), 128 + SIGTERM);
}

static void test_a_timeout_while_the_loop_is_stuck(void **state)
{
	static const struct machine_observer_ops ops = { .tick = stuck_in_the_loop };
	struct run *r = *state;

	r->guest = does_nothing;
	r->config.timeout_ns = 20 * TIMEOUT_NS; /* ticks come before */
	observe(r, &ops, NULL);
	assert_int_equal(run_stuck(r), 124);
}

static void test_a_signal_while_a_reset_is_stuck(void **state)
{
	struct run *r = *state;
	struct debugger d = { 0 };
	struct gdb_server *server;

	r->guest = resets_once;
	r->fake.hook = stuck_in_a_reset;
	r->config.on_reboot = ON_REBOOT_RESTART;
	r->gdb.listen = socket_path(&d);
	r->gdb.nowait = true;
	server = add_server(r);
	assert_int_equal(run_stuck(r), 128 + SIGTERM);
	gdb_server_free(server);
	assert_int_equal(access(d.path, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_signal_that_would_kill_ends_the_run,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_sigusr1_asks_an_observer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_signal_that_is_ignored_stays_so, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_second_signal_waits_for_the_verdict, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_timeout_tells_of_the_vcpu_that_does_not_wait,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_timeout_counts_from_the_start_of_kinglet,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_signal_while_building_is_stuck, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_timeout_while_the_loop_is_stuck, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_signal_while_a_reset_is_stuck, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_the_guest_sets_the_status, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_panic_on_the_console_decides, setup, teardown),
		cmocka_unit_test_setup_teardown(test_observers_read_the_console_and_end_the_run,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_time_passes_for_an_observer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_timeout_shows_where_every_vcpu_is, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_a_vcpu_is_not_read_for_observers_that_do_not_look, setup, teardown),
		cmocka_unit_test_setup_teardown(test_output_that_is_not_wanted_is_not_shown, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_output_that_is_lost_is_a_host_error, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_failure_stays_what_it_was_without_output,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_debugger_lets_the_guest_run, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_debugger_kills_the_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_debugger_leaves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_time_runs_out_before_a_debugger_comes, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_nobody_waits_for_a_debugger_with_nowait, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_socket_that_is_taken_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_machine_is_paused_and_resumed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_paused_machine_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_time_of_a_paused_machine_runs_out, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_what_a_debugger_holds_is_not_paused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_timeout_while_nobody_reads_the_output, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_restart_while_nobody_reads_the_output, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_one_reboot_is_one_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_each_boot_with_tables_has_its_own_generation_id, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_limit_of_open_files_is_raised, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
