/* SPDX-License-Identifier: Apache-2.0 */
/* --explain, --trace and --budget over whole runs on a fake KVM, whose guest prints a text. */
#include "devices/rng.h"
#include "capture.h"
#include "fake_machine.h"
#include "fake_sys.h"

#include "machine/machine.h"
#include "trace/observer.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

enum { COM1 = 0x3f8, LINE_STATUS = COM1 + 5, EXIT_PORT = 0xf4, LONG = 64 << 10, PIPED = 4 << 20 };

struct run {
	struct fake_sys fake;
	struct machine_config config;
	struct watch_config watch;
	struct verdict verdict;
	struct fake_kernel kernel;
	char file[32];
	int file_fd;
	const char *text; /* what the guest prints, byte by byte, before it ends with status */
	uint8_t status;
	bool ended;
	bool polls; /* it reads line status before each byte */
	bool polled;
	char *said; /* LONG */
};

static int play(struct fake_sys *fake, int fd, struct kvm_run *run)
{
	struct run *r = container_of(fake, struct run, fake);

	(void)fd;
	if (__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST))
		return -EINTR;
	if (r->polls && *r->text && !r->polled) {
		r->polled = true;
		fake_port_access(run, KVM_EXIT_IO_IN, LINE_STATUS, 0);
		return 0;
	}
	r->polled = false;
	if (*r->text)
		fake_port_access(run, KVM_EXIT_IO_OUT, COM1, (uint8_t)*r->text++);
	else if (!r->ended)
		fake_port_access(run, KVM_EXIT_IO_OUT, EXIT_PORT, r->status);
	else
		return poll(NULL, 0, 1) - EINTR;
	r->ended = run->io.port == EXIT_PORT;
	return 0;
}

static int make_file(char *path, size_t len)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	assert_true(fd >= 0);
	snprintf(path, len, "/proc/self/fd/%d", fd);
	return fd;
}

static int setup(void **state)
{
	struct run *r = calloc(1, sizeof(*r));

	if (!r)
		return -1;
	fake_sys_init(&r->fake);
	r->fake.run = play;
	r->file_fd = make_file(r->file, sizeof(r->file));
	r->said = malloc(LONG);
	r->text = "";
	fake_machine_init(&r->config, &r->kernel);
	r->config.serial = SERIAL_STDIO;
	r->config.no_input = r->config.no_output = true;
	((struct rng_config *)device_set_add(&r->config.devices, &rng_kind))->on = true;
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct run *r = *state;

	close_fd(&r->kernel.fd);
	close_fd(&r->file_fd);
	fake_sys_destroy(&r->fake);
	free(r->said);
	free(r);
	return 0;
}

static void run_machine(struct run *r)
{
	struct capture capture;
	struct guest_log log = { 0 };
	struct watch *watch;

	assert_int_equal(watch_new(&watch, &r->watch), 0);
	r->config.observers[0] = (struct machine_observer){ &watch_ops, watch };
	r->config.observers[1] = (struct machine_observer){ &guest_log_ops, &log };
	r->config.observer_count = watch ? 2 : 0;
	guest_log_listen(&log, watch_listener(watch));
	r->ended = false;
	capture_stderr_begin(&capture);
	alarm(100); /* a machine that hangs */
	assert_true(machine_run(&r->config, &r->fake.sys, &r->verdict));
	alarm(0);
	capture_stderr_end(&capture, r->said, LONG);
	watch_free(watch);
	assert_null(r->fake.sys.trace);
}

static void assert_said(const struct run *r, const char *text)
{
	if (!strstr(r->said, text))
		fail_msg("not said: %s\n%s", text, r->said);
}

/* The content of the file. */
static const char *written(struct run *r)
{
	ssize_t got = pread(r->file_fd, r->said, LONG - 1, 0);

	assert_true(got > 0);
	r->said[got] = '\0';
	return r->said;
}

static unsigned count(const char *text, const char *word)
{
	unsigned n = 0;

	while ((text = strstr(text, word))) {
		text += strlen(word);
		n++;
	}
	return n;
}

static void test_nothing_is_said_unasked(void **state)
{
	struct run *r = *state;

	r->text = "x";
	run_machine(r);
	assert_string_equal(r->said, "");
}

static void test_every_call_has_a_sentence(void **state)
{
	struct run *r = *state;

	r->watch.explain = true;
	run_machine(r);
	assert_said(r, "machine open: /dev/kvm is fd ");
	assert_said(r, "vCPU 0  run: first KVM_RUN: the guest's first instruction  [vmm/core/vcpu.c:");
	assert_said(r, "vCPU 0  KVM_EXIT_IO: the guest writes 1 byte, 0x0, to port 0xf4: exit port  [");
	assert_said(r, "machine run: the machine is taken down  [");
	assert_null(strstr(r->said, "ioctl 0x"));
	for (const char *line = r->said; *line; line = strchr(line, '\n') + 1)
		if (strncmp(line, "machine ", 8) != 0 && strncmp(line, "vCPU 0  ", 8) != 0)
			fail_msg("whose line is this? %.80s", line);
}

/* The line is that of the call, not that of a wrapper around it. */
static void test_the_source_is_named(void **state)
{
	struct run *r = *state;

	r->watch.explain = true;
	run_machine(r);
	assert_said(r, "[api.rst 4.2; vmm/core/kvm.c:");
	assert_said(r, "[api.rst 4.14; arch/x86_64/cpu.c:");
	assert_said(r, "[api.rst 4.24; arch/x86_64/vm.c:");
	assert_null(strstr(r->said, "sys.c:"));
}

static void test_repeats_are_folded(void **state)
{
	struct run *r = *state;
	char text[1205 + 1];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	r->text = text;
	r->watch.explain = true;
	run_machine(r);
	assert_said(r, "vCPU 0  … 1,204 more writes to COM1\n");
	assert_int_equal(count(r->said, "to port 0x3f8"), 1);
}

/* Two alternating kinds are two counts, and a count of one is singular. */
static void test_alternating_repeats_are_folded(void **state)
{
	struct run *r = *state;

	r->text = "123";
	r->polls = true;
	r->watch.explain = true;
	run_machine(r);
	assert_said(r, "vCPU 0  … 2 more reads of COM1, 2 more writes to COM1\n");
	r->text = "12";
	r->polls = false;
	run_machine(r);
	assert_said(r, "vCPU 0  … 1 more write to COM1\n");
}

static void test_phases_come_from_the_console(void **state)
{
	struct run *r = *state;

	r->text = "[    0.000000] Linux version 6.1.0 (x@y)\r\n"
		  "Running /tests\n"
		  "[    0.5] Run /sbin/init as init process\r\n";
	r->watch.explain = true;
	run_machine(r);
	assert_said(r, "run: the kernel prints its banner  [");
	assert_said(r, "run: the kernel starts init  [");
	assert_true(strstr(r->said, "banner") < strstr(r->said, "starts init"));

	r->text = "Linux\nversion 6.1\nRun /sbin/init\n";
	run_machine(r);
	assert_null(strstr(r->said, "banner"));
	assert_null(strstr(r->said, "starts init"));
}

static void test_trace_file(void **state)
{
	struct run *r = *state;
	const char *json;

	r->text = "12345";
	r->watch.trace = r->file;
	run_machine(r);
	assert_string_equal(r->said, "");
	json = written(r);
	assert_memory_equal(json, "{\"otherData\":{\"producer\":\"Kinglet ", 33);
	assert_string_equal(json + strlen(json) - 4, "\n]}\n");
	/* Five bytes, and the exit port. */
	assert_int_equal(count(json, "\"name\":\"write to COM1\",\"cat\":\"exit\",\"ph\":\"X\""), 5);
	assert_int_equal(count(json, "\"name\":\"write to exit port\""), 1);
	assert_true(count(json, "\"name\":\"KVM_RUN\",\"cat\":\"guest\"") >= 6);
	assert_int_equal(count(json, "\"name\":\"KVM_CREATE_VM\",\"cat\":\"ioctl\""), 1);
	assert_int_equal(count(json, "\"args\":{\"name\":\"vCPU 0\"}"), 1);
	assert_int_equal(count(json, "\"cat\":\"phase\",\"ph\":\"X\""), 6);
}

/* Also when it outgrows the buffer of its thread many times. */
/* Into a pipe that is read completely, or not at all. */
struct pipe_reader {
	int ends[2];
	char *text;
	size_t len;
};

static void *read_pipe(void *arg)
{
	struct pipe_reader *reader = arg;
	ssize_t n;

	do {
		n = read(reader->ends[0], reader->text + reader->len, PIPED - reader->len);
		reader->len += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	return NULL;
}

static void trace_into_pipe(struct run *r, struct pipe_reader *reader, bool is_read)
{
	char text[2000 + 1], path[32];
	pthread_t thread;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	r->text = text;
	assert_int_equal(pipe2(reader->ends, O_CLOEXEC), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", reader->ends[1]);
	r->watch.trace = path;
	if (is_read)
		assert_int_equal(pthread_create(&thread, NULL, read_pipe, reader), 0);
	run_machine(r);
	close(reader->ends[1]);
	if (is_read)
		pthread_join(thread, NULL);
	close(reader->ends[0]);
}

static void test_trace_into_a_pipe(void **state)
{
	struct run *r = *state;
	struct pipe_reader reader = { .text = calloc(1, PIPED + 1) };

	assert_non_null(reader.text);
	trace_into_pipe(r, &reader, true);
	assert_string_equal(r->said, "");
	assert_true(reader.len > LONG);
	assert_string_equal(reader.text + reader.len - 4, "\n]}\n");
	assert_true(count(reader.text, "write to COM1") >= 2000);
	free(reader.text);
}

static void test_trace_into_a_pipe_that_is_not_read(void **state)
{
	struct run *r = *state;
	struct pipe_reader reader;

	trace_into_pipe(r, &reader, false);
	assert_said(r, ": its reader is too slow: the end and ");
	assert_said(r, " events are lost\n");
	assert_int_equal(r->verdict.status, 101);
}

static void test_trace_file_of_a_long_run(void **state)
{
	struct run *r = *state;
	static char text[4001];
	char *all;
	ssize_t size;

	memset(text, '\\', sizeof(text) - 1);
	r->text = text;
	r->watch.trace = r->file;
	run_machine(r);
	size = lseek(r->file_fd, 0, SEEK_END);
	all = calloc(1, (size_t)size + 1);
	assert_non_null(all);
	assert_int_equal(pread(r->file_fd, all, (size_t)size, 0), size);
	assert_int_equal(count(all, "\"name\":\"write to COM1\""), sizeof(text) - 1);
	assert_int_equal(count(all, "\n]}\n"), 1);
	assert_int_equal(count(all, "0x5c '\\\\', to"), sizeof(text) - 1);
	free(all);
}

static void test_trace_file_that_cannot_be(void **state)
{
	struct run *r = *state;

	r->watch.trace = "/proc/nonesuch/x";
	run_machine(r);
	assert_int_equal(r->verdict.status, 100);
	assert_string_equal(r->said, "kinglet: --trace /proc/nonesuch/x: No such file or directory\n");
	assert_int_equal(r->fake.calls, 0);
}

static void test_page(void **state)
{
	static const char *const facts[] = {
		"<!DOCTYPE html>",
		"<td>first KVM_RUN: the guest's first instruction</td>",
		"<tr><td>vCPU 0</td><td class=\"n\">",
		"<tr><td>write to COM1</td><td class=\"n\">3</td>",
		"<tr><td>KVM_CREATE_VM</td><td class=\"n\">1</td>",
		"<h3>virtio-rng 0</h3>",
		"<b>queue 0</b><i>has not run",
		"RAM</td><td class=\"a\">0x0000000000</td><td class=\"a\">0x00007fffff</td>",
		"<td class=\"n\">8 MiB</td>",
		"<code>00:01.0</code> <b>virtio-rng 0</b>",
		"COM1</td><td class=\"a\">0x03f8</td><td class=\"a\">0x03ff</td>",
		"it did not print both",
	};
	struct run *r = *state;
	const char *page;

	r->text = "abc";
	r->watch.explain_page = r->file;
	run_machine(r);
	assert_string_equal(r->said, "");
	page = written(r);
	for (unsigned i = 0; i < ARRAY_SIZE(facts); i++)
		if (!strstr(page, facts[i]))
			fail_msg("not on the page: %s\n%s", facts[i], page);
	assert_string_equal(page + strlen(page) - 8, "</html>\n");
	/* It has no external resources. */
	assert_null(strstr(page, "http"));
	assert_null(strstr(page, "src="));
	assert_null(strstr(page, "@import"));
	assert_null(strstr(page, "url("));
}

static void test_page_that_cannot_be(void **state)
{
	struct run *r = *state;

	r->watch.explain_page = "/proc/nonesuch/x";
	run_machine(r);
	assert_int_equal(r->verdict.status, 100);
	assert_string_equal(r->said,
			    "kinglet: --explain=html /proc/nonesuch/x: No such file or directory\n");
}

/* The guest's success does not make the run a success; a failure keeps its status. */
static void test_files_that_do_not_fit(void **state)
{
	static const struct {
		struct watch_config watch;
		const char *said;
	} cases[] = {
		{ { .trace = "/dev/full" },
		  "kinglet: --trace /dev/full: write: No space left on device\n" },
		{ { .explain_page = "/dev/full" },
		  "kinglet: --explain=html /dev/full: write: No space left on device\n" },
	};
	struct run *r = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		r->watch = cases[i].watch;
		r->status = 0;
		run_machine(r);
		assert_int_equal(r->verdict.outcome, OUTCOME_HOST);
		assert_int_equal(r->verdict.status, 101);
		assert_string_equal(r->said, cases[i].said);
		r->status = 7;
		run_machine(r);
		assert_int_equal(r->verdict.outcome, OUTCOME_STATUS);
		assert_int_equal(r->verdict.status, 7);
	}
}

static void test_budget_that_is_kept(void **state)
{
	struct run *r = *state;

	r->text = "Linux version 6\n";
	r->watch.budgets[PHASE_KERNEL] = 3600000000000;
	r->watch.budgets[PHASE_RUN] = 3600000000000;
	run_machine(r);
	assert_int_equal(r->verdict.status, 0);
}

static void test_budget_that_is_not(void **state)
{
	struct run *r = *state;

	r->watch.budgets[PHASE_DOWN] = 1;
	run_machine(r);
	assert_int_equal(r->verdict.outcome, OUTCOME_BUDGET);
	assert_int_equal(r->verdict.status, 1);
	assert_non_null(strstr(r->verdict.detail, "down after "));
	assert_non_null(strstr(r->verdict.detail, " ms, allowed are 0.0 ms"));
}

/* A budget that cannot be measured fails. */
static void test_budget_of_a_phase_that_does_not_come(void **state)
{
	struct run *r = *state;

	r->watch.budgets[PHASE_INIT] = 3600000000000;
	run_machine(r);
	assert_int_equal(r->verdict.outcome, OUTCOME_BUDGET);
	assert_int_equal(r->verdict.status, 1);
	assert_non_null(strstr(r->verdict.detail, "init was not seen"));
}

/* A failed run keeps its own status. */
static void test_budget_of_a_run_that_fails(void **state)
{
	struct run *r = *state;

	r->status = 7;
	r->watch.budgets[PHASE_DOWN] = 1;
	run_machine(r);
	assert_int_equal(r->verdict.outcome, OUTCOME_STATUS);
	assert_int_equal(r->verdict.status, 7);
}

/*
 * Every Nth call of the kernel fails: the machine, its narration and its files are cleaned up
 * anyway.
 */
static void test_failures_are_narrated(void **state)
{
	struct run *r = *state;
	unsigned fds = fake_open_fds();

	r->watch.explain = true;
	r->watch.trace = r->file;
	for (unsigned n = 1; n < 60; n++) {
		r->fake.calls = r->fake.vcpu_count = r->fake.irqfd_count = 0;
		r->fake.ioeventfd_count = r->fake.request_count = 0;
		r->fake.fail_at = n;
		run_machine(r);
		/* Not an ioctl, but logged: the mmap of vCPU 0's struct kvm_run. */
		if (r->fake.calls >= n && !strstr(r->said, "kinglet: vCPU 0: KVM_CREATE_VCPU"))
			assert_said(r, ": refused: Input/output error");
		assert_int_equal(fake_open_fds(), fds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_is_said_unasked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_call_has_a_sentence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_source_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(test_repeats_are_folded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alternating_repeats_are_folded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_phases_come_from_the_console, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trace_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trace_into_a_pipe, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trace_into_a_pipe_that_is_not_read, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_trace_file_of_a_long_run, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trace_file_that_cannot_be, setup, teardown),
		cmocka_unit_test_setup_teardown(test_page, setup, teardown),
		cmocka_unit_test_setup_teardown(test_page_that_cannot_be, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files_that_do_not_fit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_budget_that_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_budget_that_is_not, setup, teardown),
		cmocka_unit_test_setup_teardown(test_budget_of_a_phase_that_does_not_come, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_budget_of_a_run_that_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failures_are_narrated, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
