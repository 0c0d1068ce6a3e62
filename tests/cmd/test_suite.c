/* SPDX-License-Identifier: Apache-2.0 */
/* kinglet test, without a machine: options, lists, the observer, results and reports. */
#include "../../vmm/cmd/test/suite.h"
#include "../../vmm/machine/snapshot_folder.h"
#include "cmd/commands.h"
#include "cmd/cmdline.h"
#include "devices/blk.h"
#include "devices/rng.h"
#include "devices/vsock.h"

#include "capture.h"
#include "fake_sys.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

enum { MAX_ARGS = 16 };

/* The parsed options of one test; the caller destroys them. */
static void parse(struct test_options *options, const char *const *args)
{
	static char *argv[MAX_ARGS + 1];
	int argc = 0;

	for (; args[argc]; argc++)
		argv[argc] = (char *)args[argc];
	argv[argc] = NULL;
	*options = (struct test_options){ 0 };
	assert_int_equal(options_parse(&command_test, &options->run.common, argc, argv), 0);
}
#define PARSE(options, ...) parse(options, (const char *const[]){ "k", __VA_ARGS__, NULL })

/* --- Options ---------------------------------------------------------------------------------- */

static void a_test_is_short_and_silent_unless_told(void **state)
{
	struct test_options o;

	(void)state;
	PARSE(&o, NULL);
	assert_int_equal(o.run.config.timeout_ns, UINT64_C(60000000000));
	assert_true(o.run.config.no_input && o.run.config.no_output);
	assert_int_equal(o.fail_on, KERNEL_BUG);
	assert_int_equal(o.retries, 0);
	options_destroy(&o.run.common);

	PARSE(&o, "--timeout", "2s", "--verbose", "--expect", "a", "--expect=b", "--reject", "c",
	      "--fail-on", "panic", "--retries", "3");
	assert_int_equal(o.run.config.timeout_ns, UINT64_C(2000000000));
	assert_false(o.run.config.no_output);
	assert_int_equal(o.expect_count, 2);
	assert_string_equal(o.expect[1], "b");
	assert_int_equal(o.reject_count, 1);
	assert_true(o.fail_on > KERNEL_OOPS);
	assert_int_equal(o.retries, 3);
	options_destroy(&o.run.common);
}

static void a_letter_is_as_good_as_its_name(void **state)
{
	static const char *const lines[][4] = {
		{ "--list", "l", "-j4", NULL },
		{ "--list=l", "-j", "4", NULL },
		{ "--list=l", "--jobs=4", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct test_options o;

		parse(&o, lines[i]);
		assert_int_equal(o.jobs, 4);
		options_destroy(&o.run.common);
	}
}

static void wrong_options_are_refused(void **state)
{
	static const struct {
		const char *args[4];
		const char *says;
	} cases[] = {
		{ { "k", "--expect", "(" }, "--expect (: " },
		{ { "k", "--reject", "[" }, "grep -E" },
		{ { "k", "--expect", "" }, "empty" },
		{ { "k", "--jobs", "2" }, "--jobs goes with --list" },
		{ { "k", "-j0" }, "--jobs 0: must be 1 to 256" },
		{ { "k", "-j" }, "--jobs needs a value" },
		{ { "k", "-x4" }, "-x4: unknown option" },
		{ { "--list=l", "--", "a" }, "--list: arguments" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *argv[4];
		int argc = 0;
		struct capture capture;
		char said[2048];

		for (; argc < 4 && cases[i].args[argc]; argc++)
			argv[argc] = (char *)cases[i].args[argc];
		capture_stderr_begin(&capture);
		assert_int_equal(command_execute(&command_test, argc, argv), EXIT_USAGE);
		capture_stderr_end(&capture, said, sizeof(said));
		if (!strstr(said, cases[i].says))
			fail_msg("no \"%s\" in: %s", cases[i].says, said);
	}
}

/* --- Lists ------------------------------------------------------------------------------------ */

static void a_line_is_split_as_a_shell_would(void **state)
{
	static const struct {
		const char *line;
		int count;
		const char *words[4];
	} cases[] = {
		{ "", 0, { NULL } },
		{ "  \n", 0, { NULL } },
		{ "# comment 'x", 0, { NULL } },
		{ "a b # c", 2, { "a", "b" } },
		{ "a#b\tc\r\n", 2, { "a#b", "c" } },
		{ "a 'b  c' \"d e\"", 3, { "a", "b  c", "d e" } },
		{ "a'b'\"c\"d", 1, { "abcd" } },
		{ "'' \"\"", 2, { "", "" } },
		{ "a\\ b '\\' \"\\\"\"", 3, { "a b", "\\", "\"" } },
		{ "end\\", 1, { "end\\" } },
		{ "'open", -EINVAL, { NULL } },
		{ "a \"open", -EINVAL, { NULL } },
		{ "1 2 3 4 5", -E2BIG, { NULL } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char line[64], *words[4];

		snprintf(line, sizeof(line), "%s", cases[i].line);
		assert_int_equal(suite_split_line(line, words, 4), cases[i].count);
		for (int w = 0; w < cases[i].count; w++)
			assert_string_equal(words[w], cases[i].words[w]);
	}
}

/* A list in an anonymous file; *fd keeps it open. */
static void write_list(const char *text, int *fd, char *path, size_t len)
{
	*fd = memfd_create("list", MFD_CLOEXEC);
	assert_true(*fd >= 0);
	assert_int_equal(write(*fd, text, strlen(text)), strlen(text));
	snprintf(path, len, "/proc/self/fd/%d", *fd);
}

static void lines_go_on_from_the_command_line(void **state)
{
	struct test_options o;
	struct suite suite;
	char path[40];
	int fd;

	(void)state;
	write_list("# two tests\n"
		   "first one --memory 64M --expect 'a b' -- single\n\n"
		   "second two --timeout 5s --retries 0\n",
		   &fd, path, sizeof(path));
	parse(&o, (const char *const[]){ "--list", path, "--memory", "32M", "--expect", "x",
					 "--retries", "2", NULL });
	assert_int_equal(suite_load(&suite, &o), 0);
	assert_int_equal(suite.count, 2);
	assert_string_equal(suite.cases[0].name, "first");
	assert_string_equal(suite.cases[0].options->run.config.boot.kernel, "one");
	assert_string_equal(suite.cases[0].options->run.config.boot.cmdline,
			    "console=ttyS0 panic=-1 -- single");
	assert_int_equal(suite.cases[0].options->run.config.memory, 64 << 20);
	assert_int_equal(suite.cases[0].options->expect_count, 2);
	assert_string_equal(suite.cases[0].options->expect[1], "a b");
	assert_int_equal(suite.cases[0].options->retries, 2);
	assert_int_equal(suite.cases[1].options->run.config.memory, 32 << 20);
	assert_int_equal(suite.cases[1].options->run.config.timeout_ns, UINT64_C(5000000000));
	assert_int_equal(suite.cases[1].options->expect_count, 1);
	assert_int_equal(suite.cases[1].options->retries, 0);
	suite_destroy(&suite);
	options_destroy(&o.run.common);
	close(fd);
}

/* What can be given once replaces that of the command line. */
static void a_line_adds_devices_to_those_of_the_command_line(void **state)
{
	static const struct {
		const char *last_disk;
		unsigned disks;
		uint32_t cid;
		bool rng;
	} wanted[] = { { "b", 2, 4, false }, { "a", 1, 3, true } };
	struct test_options o;
	struct suite suite;
	char path[40];
	int fd;

	(void)state;
	write_list("first k --disk b --vsock 4 --rng off\nsecond k\n", &fd, path, sizeof(path));
	parse(&o, (const char *const[]){ "--list", path, "--disk", "a", "--vsock", "3", NULL });
	assert_int_equal(suite_load(&suite, &o), 0);
	assert_int_equal(suite.count, ARRAY_SIZE(wanted));
	for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++) {
		const struct device_set *set = &suite.cases[i].options->run.config.devices;
		const struct disk_config *disk =
			device_set_get(set, &blk_kind, wanted[i].disks - 1);
		const struct vsock_config *vsock = device_set_get(set, &vsock_kind, 0);
		const struct rng_config *rng = device_set_get(set, &rng_kind, 0);

		assert_int_equal(set->count, wanted[i].disks + 2);
		assert_string_equal(disk->image.path, wanted[i].last_disk);
		assert_int_equal(vsock->cid, wanted[i].cid);
		assert_true(rng->on == wanted[i].rng);
	}
	suite_destroy(&suite);
	options_destroy(&o.run.common);
	close(fd);
}

/* A machine's own sections are left out. */
static void write_snapshot(const char *dir)
{
	const char *const words[] = { "--memory=8M" };
	struct snapshot_info info = { .cpus = 1, .memory = 8 << 20 };
	struct state *saved;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/memory", dir);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, (off_t)info.memory), 0);
	close(fd);
	snprintf(path, sizeof(path), "%s/state", dir);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(state_new(&saved), 0);
	assert_int_equal(snapshot_describe(saved, &info, words, ARRAY_SIZE(words)), 0);
	assert_int_equal(state_write(saved, fd), 0);
	state_free(saved);
	close(fd);
}

/* A thousand tests must not need a thousand descriptors. */
static void lines_share_the_snapshot_of_the_command_line(void **state)
{
	char dir[] = "/tmp/kinglet-suite-XXXXXX", text[80], path[40];
	struct test_options o;
	struct suite suite;
	unsigned open_before;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	write_snapshot(dir);
	snprintf(text, sizeof(text), "first\nsecond\nthird --from %s\n", dir);
	write_list(text, &fd, path, sizeof(path));
	parse(&o, (const char *const[]){ "--list", path, "--from", dir, NULL });
	open_before = fake_open_fds();
	assert_int_equal(suite_load(&suite, &o), 0);
	assert_int_equal(suite.count, 3);
	for (unsigned i = 0; i < suite.count; i++)
		assert_int_equal(suite.cases[i].options->run.config.memory, 8 << 20);
	assert_ptr_equal(suite.cases[0].options->run.config.restore,
			 suite.cases[1].options->run.config.restore);
	assert_ptr_not_equal(suite.cases[0].options->run.config.restore,
			     suite.cases[2].options->run.config.restore);
	assert_int_equal(fake_open_fds(), open_before + 2);
	suite_destroy(&suite);
	assert_int_equal(fake_open_fds(), open_before);
	options_destroy(&o.run.common);
	close(fd);
	snprintf(text, sizeof(text), "rm -r %s", dir);
	assert_int_equal(system(text), 0); /* NOLINT: no input */
}

/* Two of them may run at once. */
static void each_line_has_a_machine_of_its_own_name(void **state)
{
	static const char *const wanted[] = { "ci-1", "x", "ci-3" };
	struct test_options o;
	struct suite suite;
	char path[40];
	int fd;

	(void)state;
	assert_int_equal(setenv("XDG_RUNTIME_DIR", "/run", 1), 0);
	write_list("first k\nsecond k --name x\nthird k\n", &fd, path, sizeof(path));
	parse(&o, (const char *const[]){ "--list", path, "--name", "ci", NULL });
	assert_int_equal(suite_load(&suite, &o), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++)
		assert_string_equal(suite.cases[i].options->run.control.name, wanted[i]);
	suite_destroy(&suite);
	options_destroy(&o.run.common);
	close(fd);
}

static void all_lines_cannot_have_one_socket(void **state)
{
	char *argv[] = { (char *)"--list", (char *)"/dev/null", (char *)"--control", (char *)"/x",
			 NULL };
	struct capture capture;

	(void)state;
	capture_stderr_begin(&capture);
	assert_int_equal(command_execute(&command_test, 4, argv), EXIT_USAGE);
	capture_expect(&capture, "--control /x: is one socket, for all tests of the list");
}

static void a_wrong_line_is_named_before_anything_runs(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "", "no test is in it" },
		{ "a k\nb k --cpus 0\n", "line 2 is wrong" },
		{ "a k\nb --cpus 1\n", "no KERNEL is given; write NAME KERNEL" },
		{ "a k\nb --cpus 1\n", "line 2 is wrong" },
		{ "a k\na k\n", "a: a second test of this name" },
		{ "a k 'x\n", "a quote is not closed" },
		{ "a k --control /x\nb k --control /x", "--control /x: is that of test a, too" },
		{ "a k --name x\nb k --name x", "--name x: is that of test a, too" },
		{ "a k --report f\n", "stand on the command line" },
		{ "a k --list f\n", "stand on the command line" },
		{ "a k --jobs 2\n", "--jobs" },
		{ "a k --help\n", "stand on the command line" },
		{ "a k --expect (\n", "--expect (" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char path[40], said[2048];
		char *argv[] = { (char *)"--list", path, NULL };
		struct capture capture;
		int fd;

		write_list(cases[i].text, &fd, path, sizeof(path));
		capture_stderr_begin(&capture);
		assert_int_equal(command_execute(&command_test, 2, argv), EXIT_USAGE);
		capture_stderr_end(&capture, said, sizeof(said));
		if (!strstr(said, cases[i].says))
			fail_msg("no \"%s\" in: %s", cases[i].says, said);
		close(fd);
	}
}

/* --- What the kernel does not print ------------------------------------------------------------ */

static void a_command_line_chooses_the_log_level(void **state)
{
	static const struct {
		const char *line;
		int level;
	} cases[] = {
		{ "", -1 },
		{ "console=ttyS0 panic=-1", -1 },
		{ "quiet", 4 },
		{ "  a\tquiet b", 4 },
		{ "loglevel=3", 3 },
		{ "quiet loglevel=7", 7 },
		{ "loglevel=7 quiet", 4 },
		{ "debug", 10 },
		{ "ignore_loglevel quiet", INT_MAX },
		{ "loglevel=x quietly noquiet a=quiet", -1 },
		{ "dyndbg=\"file a quiet +p\" -- quiet", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(cmdline_loglevel(cases[i].line), cases[i].level);
}

/* --fail-on warn sees warnings, or says why not, once. */
static void what_the_kernel_hides_is_said_once(void **state)
{
	static const struct {
		const char *line, *says; /* NULL: nothing */
	} cases[] = {
		{ "a k --fail-on warn --append 'loglevel=5'", NULL },
		{ "a k --append quiet", NULL },
		{ "a k --fail-on panic --append 'loglevel=1'", NULL },
		{ "a k --fail-on warn --append quiet\nb k --fail-on warn --append quiet",
		  "kinglet: warning: a: --fail-on warn: the kernel's command line sets log level 4, "
		  "which hides what it is to see; write loglevel=5 or more at its end\n" },
		{ "a k --append 'quiet loglevel=3'", "--fail-on bug: the kernel's command line sets "
						     "log level 3" },
		{ "a k --fail-on oops --append 'loglevel=0'", "write loglevel=1 or more" },
	};
	struct test_options o;

	(void)state;
	parse(&o, (const char *const[]){ "k", "--fail-on", "warn", NULL });
	assert_string_equal(o.run.config.boot.cmdline, "console=ttyS0 panic=-1 loglevel=7");
	options_destroy(&o.run.common);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char path[40], said[2048];
		/* A report that cannot be written: no test is run. */
		char *argv[] = { (char *)"--list", path, (char *)"--report", (char *)"/dev", NULL };
		struct capture capture;
		int fd;

		write_list(cases[i].line, &fd, path, sizeof(path));
		capture_stderr_begin(&capture);
		assert_int_equal(command_execute(&command_test, 4, argv), EXIT_USAGE);
		capture_stderr_end(&capture, said, sizeof(said));
		close(fd);
		if (cases[i].says ? !strstr(said, cases[i].says) || strstr(said, " b: ") :
				    strstr(said, "log level") != NULL)
			fail_msg("case %zu: %s", i, said);
	}
}

/* --- The observer ----------------------------------------------------------------------------- */

struct run {
	struct test_options options;
	struct judge judge;
};

static void start(struct run *run, const char *const *args)
{
	parse(&run->options, args);
	assert_int_equal(judge_init(&run->judge, &run->options), 0);
}
#define START(run, ...) start(run, (const char *const[]){ "k", __VA_ARGS__, NULL })

/* True when it ended the run. */
static bool prints_to(struct run *run, enum guest_stream stream, const char *text)
{
	struct verdict end = { 0 };

	return guest_log_ops.console(&run->judge.log, stream, (const uint8_t *)text, strlen(text), &end);
}

static bool prints(struct run *run, const char *text)
{
	return prints_to(run, GUEST_SERIAL, text);
}

static bool waits(struct run *run, unsigned ticks)
{
	struct verdict end = { 0 };
	bool ended = false;

	while (ticks-- && !ended)
		ended = judge_ops.tick(&run->judge, &end);
	return ended;
}

static void powered_off(struct verdict *verdict)
{
	*verdict = (struct verdict){ .outcome = OUTCOME_POWEROFF, .detail = "powered off" };
}

/* The result of a run with `verdict`; the caller deletes it. Ends the run. */
static cJSON *finish(struct run *run, const struct verdict *verdict)
{
	cJSON *result = result_of_run(&run->judge, verdict, 1.5, NULL);

	assert_non_null(result);
	judge_destroy(&run->judge);
	options_destroy(&run->options.run.common);
	return result;
}

static void assert_result(struct run *run, const struct verdict *verdict, const char *outcome,
			  int status, const char *detail)
{
	cJSON *result = finish(run, verdict);

	assert_string_equal(result_text(result, "outcome"), outcome);
	assert_int_equal((int)result_number(result, "status"), status);
	assert_int_equal(result_passed(result), status == 0);
	if (!strstr(result_text(result, "detail"), detail))
		fail_msg("no \"%s\" in: %s", detail, result_text(result, "detail"));
	cJSON_Delete(result);
}

static const struct verdict observed = { .outcome = OUTCOME_OBSERVER };

static void expected_text_ends_the_run_when_all_is_seen(void **state)
{
	struct run run;
	struct verdict off;

	(void)state;
	powered_off(&off);
	START(&run, "--expect", "^one$", "--expect", "two");
	assert_false(prints(&run, "xone\r\nthe two\r\n"));
	assert_true(prints(&run, "one\r\n"));
	assert_false(prints(&run, "one\r\n"));
	assert_result(&run, &observed, "expected", 0, "");

	START(&run, "--expect", "one", "--expect", "two");
	assert_false(prints(&run, "one\n"));
	assert_result(&run, &off, "expected-missing", 1, "nothing matched two");

	/* The last line has no newline when the guest goes down. */
	START(&run, "--expect", "one");
	assert_false(prints(&run, "one"));
	assert_result(&run, &off, "expected", 0, "one");
}

static void a_prompt_is_seen_without_its_newline(void **state)
{
	struct run run;

	(void)state;
	START(&run, "--expect", "login:");
	assert_false(prints(&run, "host login: "));
	assert_true(waits(&run, 1));
	assert_result(&run, &observed, "expected", 0, "login:");

	/* A line that may still grow does not match $ yet. */
	START(&run, "--expect", "foo$");
	assert_false(prints(&run, "foo"));
	assert_false(waits(&run, 3));
	assert_false(prints(&run, "bar\n"));
	assert_true(prints(&run, "foo\n"));
	assert_result(&run, &observed, "expected", 0, "foo");
}

static void rejected_text_ends_the_run_at_once(void **state)
{
	struct run run;

	(void)state;
	START(&run, "--reject", "FAIL", "--expect", "done");
	assert_true(prints(&run, "test FAILED here\n"));
	assert_result(&run, &observed, "rejected", 1, "test FAILED here");
}

static void complaints_of_the_kernel_end_the_run_with_their_trace(void **state)
{
	struct run run;
	struct verdict off;

	(void)state;
	powered_off(&off);
	START(&run, NULL);
	assert_false(prints(&run, "[    1.0] BUG: kernel NULL pointer dereference, address: 0\n"
				  "[    1.1] Oops: 0002 [#1]\n[    1.2] Call Trace:\n"));
	assert_true(prints(&run, "[    1.3] ---[ end trace 0000000000000000 ]---\n"));
	assert_result(&run, &observed, "oops", 1, "BUG: kernel NULL pointer dereference");

	/* One without a trace, or cut short. */
	START(&run, NULL);
	assert_false(prints(&run, "[    1.0] BUG: scheduling while atomic\n"));
	assert_true(waits(&run, 10));
	assert_result(&run, &observed, "bug", 1, "BUG: scheduling while atomic");
	START(&run, "--expect", "done");
	assert_false(prints(&run, "[    1.0] kernel BUG at x.c:1!\n[    1.0] done\n"));
	assert_result(&run, &off, "bug", 1, "kernel BUG at x.c:1!");

	START(&run, "--fail-on", "warn");
	assert_false(prints(&run, "[    1.0] WARNING: CPU: 0 PID: 1 at x.c:1\n"));
	assert_true(prints(&run, "[    1.3] ---[ end trace 0000000000000000 ]---\n"));
	assert_result(&run, &observed, "warning", 1, "WARNING: CPU: 0");
}

static void milder_complaints_are_only_counted(void **state)
{
	struct run run;
	struct verdict off;
	cJSON *result;

	(void)state;
	powered_off(&off);
	START(&run, "--fail-on", "panic");
	assert_false(prints(&run, "[    1.0] WARNING: CPU: 0\n[    1.0] BUG: KASAN: x\n"
				  "[    1.1] Oops: 0002 [#1]\n[    1.1] Oops: 0002 [#2]\n"
				  "[    1.2] ---[ end trace 0 ]---\n"
				  /* Not from the kernel, which prints the time. */
				  "BUG: says a program\n"));
	assert_false(waits(&run, 20));
	result = finish(&run, &off);
	assert_true(result_passed(result));
	assert_int_equal((int)result_number(json_get(result, "kernel"), "warnings"), 1);
	assert_int_equal((int)result_number(json_get(result, "kernel"), "bugs"), 1);
	assert_int_equal((int)result_number(json_get(result, "kernel"), "oopses"), 2);
	cJSON_Delete(result);
}

static void tests_inside_the_guest_decide(void **state)
{
	struct run run;
	struct verdict off;

	(void)state;
	powered_off(&off);
	START(&run, NULL);
	prints(&run, "[    1.0] KTAP version 1\n[    1.0] 1..2\n[    1.1] ok 1 a\n"
		     "[    1.1] not ok 2 b\n");
	assert_result(&run, &off, "tests-failed", 1, "1 of 2 tests failed, first: b");

	START(&run, NULL);
	prints(&run, "not ok 1 - thing\n");
	assert_result(&run, &off, "tests-failed", 1, "1 of 1 tests failed, first: thing");
	START(&run, NULL);
	prints(&run, "ok 1\r\nok 2\r\n1..2\r\n");
	assert_result(&run, &off, "powered-off", 0, "");

	START(&run, NULL);
	prints(&run, "TAP version 13\n1..2\nok 1 a\n");
	assert_result(&run, &off, "tests-failed", 1, "2 planned, 1 seen");

	START(&run, NULL);
	prints(&run, "TAP version 13\n1..2\nok 1 a\nok 2 b # SKIP\n");
	assert_result(&run, &off, "powered-off", 0, "");

	/* Of two consoles, the one that fails. */
	START(&run, NULL);
	prints(&run, "1..1\nok 1 a\n");
	prints_to(&run, GUEST_HVC, "1..1\nnot ok 1 b\n");
	assert_result(&run, &off, "tests-failed", 1, "1 of 1 tests failed, first: b");

	/* What was not seen because the run ended early is not missing; a failure stays one. */
	START(&run, "--expect", "^ok 1");
	assert_true(prints(&run, "TAP version 13\n1..2\nok 1 a\n"));
	assert_result(&run, &observed, "expected", 0, "ok 1 a");
	START(&run, "--expect", "^ok 2");
	assert_true(prints(&run, "TAP version 13\n1..3\nnot ok 1 a\nok 2 b\n"));
	assert_result(&run, &observed, "tests-failed", 1, "first: a");
}

static void a_run_that_broke_is_told_by_the_machine(void **state)
{
	static const struct {
		struct verdict verdict;
		const char *outcome;
	} cases[] = {
		{ { OUTCOME_PANIC, 102, "x" }, "panic" },
		{ { OUTCOME_TRIPLE_FAULT, 103, "x" }, "triple-fault" },
		{ { OUTCOME_INTERNAL_ERROR, 104, "x" }, "internal-error" },
		{ { OUTCOME_TIMEOUT, 124, "x" }, "timeout" },
		{ { OUTCOME_STATUS, 7, "x" }, "guest-status" },
		{ { OUTCOME_STATUS, 0, "x" }, "guest-status" },
		{ { OUTCOME_HOST, 101, "x" }, "host-error" },
		{ { OUTCOME_USAGE, 100, "x" }, "usage" },
		{ { OUTCOME_SIGNAL, 143, "x" }, "signal" },
		{ { OUTCOME_HALTED, 0, "x" }, "halted" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run run;

		START(&run, NULL);
		assert_result(&run, &cases[i].verdict, cases[i].outcome, cases[i].verdict.status,
			      "x");
	}
}

/* Debian's kernel with its initrd and without a root: it gives up, and reboots. */
static void a_reboot_passes_only_when_it_is_expected(void **state)
{
	static const struct verdict rebooted = { OUTCOME_REBOOT, 0, "rebooted" };
	struct verdict off;
	struct run run;

	(void)state;
	powered_off(&off);
	START(&run, NULL);
	assert_result(&run, &rebooted, "rebooted", 1, "--expect-reboot");
	START(&run, "--expect-reboot");
	assert_result(&run, &rebooted, "rebooted", 0, "");
	START(&run, "--expect-reboot");
	assert_result(&run, &off, "expected-missing", 1, "did not reboot");

	/* Text and reboot: both. */
	START(&run, "--expect-reboot", "--expect", "one");
	assert_false(prints(&run, "one\n"));
	assert_result(&run, &rebooted, "rebooted", 0, "");
	START(&run, "--expect-reboot", "--expect", "one");
	assert_result(&run, &rebooted, "expected-missing", 1, "rebooted, but nothing matched one");
	START(&run, "--expect-reboot", "--expect", "one");
	assert_false(prints(&run, "one\n"));
	assert_result(&run, &off, "expected-missing", 1, "did not reboot");

	/* The more specific outcome comes first. */
	START(&run, NULL);
	assert_false(prints(&run, "TAP version 13\n1..1\nnot ok 1 - thing\n"));
	assert_result(&run, &rebooted, "tests-failed", 1, "thing");
}

static void a_boot_that_gives_up_ends_the_run_at_once(void **state)
{
	struct run run;

	(void)state;
	START(&run, "--expect-reboot");
	assert_false(prints(&run, "Begin: Mounting root file system ... \n"
				  "No root device specified. Boot arguments must include a root=\n"));
	assert_true(prints(&run, "Rebooting automatically due to panic= boot argument\n"));
	assert_result(&run, &observed, "boot-failed", 1, "No root device specified.");

	/* A prompt that waits forever, without a newline. */
	START(&run, "--expect", "login:");
	assert_false(prints(&run, "ALERT!  /dev/vda does not exist.  Dropping to a shell!\n\n"
				  "Enter 'help' for a list of built-in commands.\n\n(initramfs) "));
	assert_true(waits(&run, 1));
	assert_result(&run, &observed, "boot-failed", 1, "ALERT!  /dev/vda does not exist.");

	START(&run, NULL);
	assert_true(prints(&run, "[    2.0] systemd[1]: Freezing execution.\n"));
	assert_result(&run, &observed, "boot-failed", 1, "systemd[1]: Freezing");

	/* If it is expected, it is not a failure. */
	START(&run, "--expect", "^\\(initramfs\\) ");
	assert_false(prints(&run, "ALERT!  /dev/vda does not exist.\n(initramfs) "));
	assert_true(waits(&run, 1));
	assert_result(&run, &observed, "expected", 0, "(initramfs)");
	START(&run, "--expect", "emergency mode", "--expect", "ready");
	assert_false(prints(&run, "You are in emergency mode.\n"));
	assert_true(prints(&run, "ready\n"));
	assert_result(&run, &observed, "expected", 0, "ready");
}

static void the_last_lines_are_kept(void **state)
{
	struct run run;
	char line[32];

	(void)state;
	START(&run, NULL);
	assert_null(tail_line(&run.judge.tail, 0));
	for (unsigned i = 0; i < TAIL_LINES + 7; i++) {
		snprintf(line, sizeof(line), "line %u\n", i);
		prints(&run, line);
	}
	assert_string_equal(tail_line(&run.judge.tail, 0), "line 7");
	snprintf(line, sizeof(line), "line %d", TAIL_LINES + 6);
	assert_string_equal(tail_line(&run.judge.tail, TAIL_LINES - 1), line);
	assert_null(tail_line(&run.judge.tail, TAIL_LINES));
	cJSON_Delete(finish(&run, &observed));
}

/* The excerpt begins with the kernel's first message about it, and continues to the end. */
static void a_panics_excerpt_begins_with_its_cause(void **state)
{
	static const struct verdict panicked = { OUTCOME_PANIC, 102, "Kernel panic" },
				    timeout = { OUTCOME_TIMEOUT, 124, "x" };
	static const struct {
		const char *text; /* after this number of other lines */
		unsigned before, after;
		const struct verdict *verdict;
		int complaint; /* index of a kept line; -1: none */
	} cases[] = {
		{ "Kernel panic - not syncing: x\n", 3, 30, &panicked, 3 },
		{ "BUG: kernel NULL pointer dereference\nRIP\nKernel panic - not syncing: x\n", 30,
		  10, &panicked, 30 },
		{ "WARNING: CPU: 0\nRIP\nKernel panic - not syncing: panic_on_warn set\n", 2, 10,
		  &panicked, 2 },
		{ "BUG: kernel NULL pointer dereference\n", 3, TAIL_LINES + 7, &panicked,
		  0 },
		{ "fine\n", 3, 3, &panicked, -1 },
		{ "Kernel panic - not syncing: x\n", 3, 3, &timeout, -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const cJSON *complaint;
		struct run run;
		cJSON *result;

		START(&run, "--fail-on", "panic");
		for (unsigned line = 0; line < cases[i].before; line++)
			prints(&run, "before\n");
		prints(&run, cases[i].text);
		for (unsigned line = 0; line < cases[i].after; line++)
			prints(&run, "after\n");
		result = finish(&run, cases[i].verdict);
		complaint = json_get(result, "complaint");
		assert_int_equal(complaint ? complaint->valueint : -1, cases[i].complaint);
		cJSON_Delete(result);
	}
}

/* --- Reports ---------------------------------------------------------------------------------- */

/* Serialised and parsed again, as a reader of the file would. */
static cJSON *reread(cJSON *json)
{
	char *text = cJSON_PrintUnformatted(json);
	cJSON *read;

	assert_non_null(text);
	read = cJSON_Parse(text);
	assert_non_null(read);
	cJSON_free(text);
	cJSON_Delete(json);
	return read;
}

static char *as_text(void (*print)(FILE *, const cJSON *), const cJSON *report)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	print(out, report);
	assert_int_equal(fclose(out), 0);
	return text;
}

static char *result_as_text(const cJSON *attempts)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	print_result(out, "name", attempts);
	assert_int_equal(fclose(out), 0);
	return text;
}

static cJSON *result_with_hostile_output(void)
{
	struct run run;
	struct verdict off;

	powered_off(&off);
	START(&run, NULL);
	prints(&run, "\x1b[31m<&\"']]>\xff\xfe\x01 \xed\xa0\x80 end\n"
		     "1..2\n  1..1\n  not ok 1 <in\"ner> # ERROR a&b\nnot ok 1 outer\nok 2 s # SKIP no\n");
	return finish(&run, &off);
}

static void reports_survive_whatever_the_guest_prints(void **state)
{
	struct test_options options = { .run.config.boot.kernel = "k<\xff>" };
	struct test_case test = { .name = (char *)"", .options = &options };
	struct suite suite = { .cases = &test, .count = 1 };
	_cleanup_free_ char *xml = NULL;
	const cJSON *item;
	cJSON *report;

	(void)state;
	test.attempts = cJSON_CreateArray();
	cJSON_AddItemToArray(test.attempts, result_of_death("Kinglet was ended by SIGSEGV", 1));
	cJSON_AddItemToArray(test.attempts, reread(result_with_hostile_output()));
	report = reread(report_of_suite(&suite, &options.run.common, 2));
	cJSON_Delete(test.attempts);

	assert_int_equal((int)result_number(report, "failed"), 1);
	item = cJSON_GetArrayItem(json_get(report, "tests"), 0);
	assert_string_equal(result_text(item, "name"), "k<\xef\xbf\xbd>");
	assert_string_equal(result_text(item, "outcome"), "tests-failed");
	assert_int_equal(cJSON_GetArraySize(json_get(item, "failed_attempts")), 1);
	assert_string_equal(
		cJSON_GetStringValue(cJSON_GetArrayItem(json_get(item, "console"), 0)),
		"<&\"']]>\xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd end");

	xml = as_text(junit_print, report);
	assert_non_null(strstr(xml, "tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\""));
	assert_non_null(strstr(xml, "name=\"&lt;in&quot;ner&gt;\""));
	assert_non_null(strstr(xml, "<failure message=\"a&amp;b\"/>"));
	assert_non_null(strstr(xml, "]]&gt;"));
	cJSON_Delete(report);
}

/* Of a guest that prints `console`; the caller frees. */
static char *junit_of(const char *console)
{
	struct test_options options = { .run.config.boot.kernel = "k" };
	struct test_case test = { .name = (char *)"n", .options = &options };
	struct suite suite = { .cases = &test, .count = 1 };
	struct verdict off;
	struct run run;
	cJSON *report;
	char *xml;

	powered_off(&off);
	START(&run, NULL);
	prints(&run, console);
	test.attempts = cJSON_CreateArray();
	cJSON_AddItemToArray(test.attempts, finish(&run, &off));
	report = report_of_suite(&suite, &options.run.common, 1);
	cJSON_Delete(test.attempts);
	xml = as_text(junit_print, report);
	cJSON_Delete(report);
	return xml;
}

static void one_failed_line_is_one_junit_failure(void **state)
{
	static const struct {
		const char *console, *counts, *failure;
	} cases[] = {
		{ "1..2\nnot ok 1 - a\nok 2 - b # SKIP\n", "tests=\"3\" failures=\"1\"",
		  "name=\"a\" classname=\"n\">\n      <failure message=\"not ok\"/>" },
		{ "not ok 1 - a\n", "tests=\"2\" failures=\"1\"", "<failure message=\"not ok\"/>" },
		{ "1..1\nnot ok 1 - a # exit=1\n", "tests=\"2\" failures=\"1\"",
		  "<failure message=\"exit=1\"/>" },
		{ "1..1\nnot ok 1 - a\n  ---\n  got: <1>\n  ...\n", "failures=\"1\"",
		  "<failure message=\"not ok\">got: &lt;1&gt;\n</failure>" },
		{ "1..1\n    1..1\n        1..1\n        not ok 1 a\n    ok 1 b\nnot ok 1 c\n",
		  "tests=\"2\" failures=\"1\"", "classname=\"n.c.b\"" },
		/* The form's failure is the guest's, and is not hidden by a test's. */
		{ "1..2\nok 1 a\n", "tests=\"2\" failures=\"1\"",
		  "<failure type=\"tests-failed\" message=\"all tests: 2 planned, 1 seen\"/>" },
		{ "1..3\nnot ok 1 a\n", "tests=\"2\" failures=\"2\"",
		  "<failure type=\"tests-failed\" message=\"all tests: 3 planned, 1 seen\"/>" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *xml = junit_of(cases[i].console);

		if (!strstr(xml, cases[i].counts) || !strstr(xml, cases[i].failure))
			fail_msg("%s", xml);
	}
}

static void one_line_tells_a_result(void **state)
{
	cJSON *attempts = cJSON_CreateArray();
	_cleanup_free_ char *died = NULL, *failed = NULL, *passed = NULL;
	struct verdict off;
	struct run run;

	(void)state;
	cJSON_AddItemToArray(attempts, result_of_death("a \"quote\"", 0.25));
	died = result_as_text(attempts);
	assert_string_equal(died, "FAIL name outcome=vmm-failure after=0.25s \"a \\\"quote\\\"\"\n");

	cJSON_AddItemToArray(attempts, result_with_hostile_output());
	failed = result_as_text(attempts);
	assert_non_null(strstr(failed, " attempts=2 tests=1-failed,1-skipped "));
	assert_non_null(strstr(failed, "\n  not ok: outer / <in\"ner>: a&b\n"));
	assert_non_null(strstr(failed, "\n  The console:\n  | <&"));

	powered_off(&off);
	START(&run, NULL);
	cJSON_AddItemToArray(attempts, finish(&run, &off));
	passed = result_as_text(attempts);
	assert_string_equal(passed, "PASS name outcome=powered-off after=1.50s attempts=3 flaky\n");
	cJSON_Delete(attempts);
}

static void registers_and_places_are_told(void **state)
{
	static const char map[] = "ffffffff81000000 T _text\nffffffff81000100 T idle\n"
				  "ffffffff82000000 T entry\n";
	const struct verdict fault = { OUTCOME_TRIPLE_FAULT, 103, "x" };
	const struct verdict timeout = { OUTCOME_TIMEOUT, 124, "vCPU 1: rip 0xffffffff81200108" };
	/* A kernel relocated by 2 MiB. */
	const struct arch_vcpu_state at = {
		.ip = 0xffffffff81200108,
		.mode = "64-bit",
		.activity = "halted",
		.anchor_symbol = "entry",
		.anchor = 0xffffffff82200000,
		.register_count = 2,
		.registers = { { "rax", 5, "" }, { "rflags", 2, "IF" } },
	};
	_cleanup_free_ char *text = NULL;
	cJSON *attempts = cJSON_CreateArray();
	struct symbols *symbols;
	struct run run;
	char path[40];
	int fd;

	(void)state;
	write_list(map, &fd, path, sizeof(path));
	assert_int_equal(symbols_load(path, &symbols), 0);
	START(&run, NULL);
	judge_ops.vcpu(&run.judge, 1, &at);
	cJSON_AddItemToArray(attempts, result_of_run(&run.judge, &fault, 1, symbols));
	text = result_as_text(attempts);
	assert_non_null(strstr(text, "\n  vCPU 1: stopped at 0xffffffff81200108 idle+0x8 (64-bit)\n"));
	assert_non_null(strstr(text, " rax 0x5"));
	assert_non_null(strstr(text, " rflags 0x2 IF\n"));
	cJSON_AddItemToArray(attempts, result_of_run(&run.judge, &timeout, 1, symbols));
	free(text);
	text = result_as_text(attempts);
	assert_non_null(strstr(text, "\"vCPU 1: rip 0xffffffff81200108 in idle+0x8\"\n"));
	judge_destroy(&run.judge);
	options_destroy(&run.options.run.common);
	cJSON_Delete(attempts);
	symbols_destroy(symbols);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_test_is_short_and_silent_unless_told),
		cmocka_unit_test(a_letter_is_as_good_as_its_name),
		cmocka_unit_test(wrong_options_are_refused),
		cmocka_unit_test(a_line_is_split_as_a_shell_would),
		cmocka_unit_test(lines_go_on_from_the_command_line),
		cmocka_unit_test(a_line_adds_devices_to_those_of_the_command_line),
		cmocka_unit_test(lines_share_the_snapshot_of_the_command_line),
		cmocka_unit_test(each_line_has_a_machine_of_its_own_name),
		cmocka_unit_test(all_lines_cannot_have_one_socket),
		cmocka_unit_test(a_wrong_line_is_named_before_anything_runs),
		cmocka_unit_test(expected_text_ends_the_run_when_all_is_seen),
		cmocka_unit_test(a_prompt_is_seen_without_its_newline),
		cmocka_unit_test(rejected_text_ends_the_run_at_once),
		cmocka_unit_test(complaints_of_the_kernel_end_the_run_with_their_trace),
		cmocka_unit_test(milder_complaints_are_only_counted),
		cmocka_unit_test(tests_inside_the_guest_decide),
		cmocka_unit_test(a_run_that_broke_is_told_by_the_machine),
		cmocka_unit_test(a_reboot_passes_only_when_it_is_expected),
		cmocka_unit_test(a_boot_that_gives_up_ends_the_run_at_once),
		cmocka_unit_test(a_command_line_chooses_the_log_level),
		cmocka_unit_test(what_the_kernel_hides_is_said_once),
		cmocka_unit_test(the_last_lines_are_kept),
		cmocka_unit_test(a_panics_excerpt_begins_with_its_cause),
		cmocka_unit_test(reports_survive_whatever_the_guest_prints),
		cmocka_unit_test(one_failed_line_is_one_junit_failure),
		cmocka_unit_test(one_line_tells_a_result),
		cmocka_unit_test(registers_and_places_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
