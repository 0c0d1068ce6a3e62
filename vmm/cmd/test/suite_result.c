/* SPDX-License-Identifier: Apache-2.0 */
/* From what was watched to a result, and from results to the report. */
#include "cmd/suite.h"

#include "base/utf8.h"
#include "cmd/kernel.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

static cJSON *clean_string(const char *text)
{
	size_t len = strlen(text), size = 3 * len + 1; /* each byte may become U+FFFD */
	_cleanup_free_ char *clean = malloc(size);

	if (!clean)
		return NULL;
	utf8_clean(clean, size, text, len);
	return cJSON_CreateString(clean);
}

/*
 * Sets a key to a value, which is taken, NULL included. An object that lacks a key for want of
 * memory is the same as one for a process that died: its reader finds defaults.
 */
static void set(cJSON *object, const char *key, cJSON *value)
{
	if (!value || !cJSON_AddItemToObject(object, key, value))
		cJSON_Delete(value);
}

static void set_text(cJSON *object, const char *key, const char *text)
{
	set(object, key, text ? clean_string(text) : cJSON_CreateNull());
}

static void append(cJSON *array, cJSON *value)
{
	if (!value || !cJSON_AddItemToArray(array, value))
		cJSON_Delete(value);
}

/* --- The outcome ------------------------------------------------------------------------------ */

struct conclusion {
	const char *outcome;
	bool passed;
	int status;
	char detail[480];
};

static const char *const outcome_names[] = {
	[OUTCOME_POWEROFF] = "powered-off",
	[OUTCOME_REBOOT] = "rebooted",
	[OUTCOME_HALTED] = "halted",
	[OUTCOME_STATUS] = "guest-status",
	[OUTCOME_USAGE] = "usage",
	[OUTCOME_HOST] = "host-error",
	[OUTCOME_PANIC] = "panic",
	[OUTCOME_TRIPLE_FAULT] = "triple-fault",
	[OUTCOME_INTERNAL_ERROR] = "internal-error",
	[OUTCOME_TIMEOUT] = "timeout",
	[OUTCOME_SIGNAL] = "signal",
	[OUTCOME_QUIT] = "quit",
	[OUTCOME_OBSERVER] = "seen",
	[OUTCOME_BUDGET] = "budget",
};

static void fail(struct conclusion *c, const char *outcome, const char *detail)
{
	c->outcome = outcome;
	c->passed = false;
	c->status = EXIT_TEST_FAILED;
	snprintf(c->detail, sizeof(c->detail), "%s", detail);
}

/*
 * The console whose results count: both have the same when the guest prints to both; where one
 * fails, that one.
 */
static const struct ktap *ktap_of(const struct judge *judge)
{
	const struct ktap *found = NULL;

	for (unsigned i = 0; i < GUEST_STREAMS; i++) {
		const struct ktap *ktap = &judge->ktap[i];

		if (ktap->problem_count || ktap_count(ktap).failed)
			return ktap;
		if (!found && ktap->count)
			found = ktap;
	}
	return found;
}

static const struct ktap_test *first_failure(const struct ktap_test *test)
{
	for (; test; test = test->next) {
		const struct ktap_test *inner = first_failure(test->children);

		if (inner)
			return inner;
		if (test->status == KTAP_FAIL)
			return test;
	}
	return NULL;
}

static void judge_ktap(struct conclusion *c, const struct ktap *ktap)
{
	struct ktap_counts counts;
	char detail[400];

	if (!ktap)
		return;
	counts = ktap_count(ktap);
	if (counts.failed) {
		snprintf(detail, sizeof(detail), "%u of %u tests failed, first: %s", counts.failed,
			 counts.failed + counts.passed + counts.skipped + counts.todo,
			 first_failure(ktap->tests.first)->name);
		fail(c, "tests-failed", detail);
	} else if (ktap->problem_count) {
		fail(c, "tests-failed", ktap->problems[0]);
	}
}

static void judge_missing(struct conclusion *c, const struct judge *judge)
{
	char detail[480];

	for (unsigned i = 0; i < judge->expect_count; i++) {
		if (judge->expect[i].line)
			continue;
		snprintf(detail, sizeof(detail), "%.200s, but nothing matched %.200s",
			 c->detail, judge->expect[i].source);
		fail(c, "expected-missing", detail);
		return;
	}
}

static const char *rejected_line(const struct judge *judge)
{
	for (unsigned i = 0; i < judge->reject_count; i++)
		if (judge->reject[i].line)
			return judge->reject[i].line;
	return "";
}

/* Of a guest that went down by itself, with all else as it should be. */
static void judge_reboot(struct conclusion *c, const struct judge *judge, enum outcome outcome)
{
	bool rebooted = outcome == OUTCOME_REBOOT;

	if (rebooted && !judge->options->expect_reboot)
		fail(c, "rebooted", "a reboot passes with --expect-reboot only");
	else if (!rebooted && judge->options->expect_reboot)
		fail(c, "expected-missing", "the guest did not reboot");
}

/* A run that came to its own end, or to ours, has still to be judged by what was seen. */
static struct conclusion conclude(const struct judge *judge, const struct verdict *verdict)
{
	struct conclusion c = {
		.outcome = outcome_names[verdict->outcome],
		.passed = verdict->status == 0 && verdict->outcome != OUTCOME_QUIT,
		.status = verdict->status,
	};

	snprintf(c.detail, sizeof(c.detail), "%s", verdict->detail);
	if (!c.passed && verdict->outcome != OUTCOME_OBSERVER)
		return c;
	if (judge->end == JUDGE_REJECTED) {
		fail(&c, "rejected", rejected_line(judge));
	} else if (judge->end == JUDGE_COMPLAINT) {
		fail(&c, kernel_complaint_name(judge->complaint_kind),
		     judge->complaint ? judge->complaint : "");
	} else if (judge->end == JUDGE_BOOT_FAILED) {
		fail(&c, "boot-failed", judge->boot_failure ? judge->boot_failure : "");
	} else if (judge->end == JUDGE_EXPECTED) {
		c.outcome = "expected";
		snprintf(c.detail, sizeof(c.detail), "%s",
			 judge->expect[judge->expect_count - 1].line);
		judge_ktap(&c, ktap_of(judge));
	} else {
		judge_missing(&c, judge);
		if (c.passed)
			judge_ktap(&c, ktap_of(judge));
		if (c.passed)
			judge_reboot(&c, judge, verdict->outcome);
	}
	return c;
}

/* --- Its parts as JSON ------------------------------------------------------------------------ */

static cJSON *patterns_json(const struct judge_pattern *patterns, unsigned count)
{
	cJSON *array = cJSON_CreateArray();

	for (unsigned i = 0; i < count; i++) {
		cJSON *item = cJSON_CreateObject();

		set_text(item, "pattern", patterns[i].source);
		set_text(item, "line", patterns[i].line);
		append(array, item);
	}
	return array;
}

static cJSON *kernel_json(const struct judge *judge)
{
	cJSON *kernel = cJSON_CreateObject();

	set(kernel, "warnings", cJSON_CreateNumber(judge->complaints[KERNEL_WARNING]));
	set(kernel, "bugs", cJSON_CreateNumber(judge->complaints[KERNEL_BUG]));
	set(kernel, "oopses", cJSON_CreateNumber(judge->complaints[KERNEL_OOPS]));
	return kernel;
}

static cJSON *format_string(const char *fmt, ...) __printf(1, 2);
static cJSON *format_string(const char *fmt, ...)
{
	char text[200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return clean_string(text);
}

/* A kernel that moved itself at its start is looked up where it was linked to be. */
static uint64_t linked_address(const struct symbols *symbols, const struct arch_vcpu_state *state)
{
	uint64_t linked = state->anchor_symbol ? symbols_address(symbols, state->anchor_symbol) : 0;

	return linked ? state->ip - (state->anchor - linked) : state->ip;
}

/* "function+0x1c", to be freed; NULL where no symbol is known. */
static char *symbol_name(const struct symbols *symbols, const struct arch_vcpu_state *state)
{
	uint64_t offset;
	const char *name =
		symbols ? symbols_find(symbols, linked_address(symbols, state), &offset) : NULL;
	char *text;

	return name && asprintf(&text, "%s+0x%" PRIx64, name, offset) >= 0 ? text : NULL;
}

static cJSON *symbol_json(const struct symbols *symbols, const struct arch_vcpu_state *state)
{
	_cleanup_free_ char *name = symbol_name(symbols, state);

	return name ? clean_string(name) : cJSON_CreateNull();
}

static cJSON *registers_json(const struct arch_vcpu_state *state)
{
	cJSON *registers = cJSON_CreateObject();

	for (unsigned i = 0; i < state->register_count; i++) {
		const struct arch_register *reg = &state->registers[i];

		set(registers, reg->name,
		    format_string("0x%" PRIx64 "%s%s", reg->value, *reg->bits ? " " : "",
				  reg->bits));
	}
	return registers;
}

static cJSON *vcpus_json(const struct judge *judge, const struct symbols *symbols)
{
	cJSON *array = cJSON_CreateArray();

	for (unsigned i = 0; i < judge->vcpu_count; i++) {
		const struct arch_vcpu_state *state = &judge->vcpus[i].state;
		cJSON *vcpu = cJSON_CreateObject();

		set(vcpu, "id", cJSON_CreateNumber(judge->vcpus[i].id));
		set(vcpu, "ip", format_string("0x%" PRIx64, state->ip));
		set(vcpu, "symbol", symbol_json(symbols, state));
		set_text(vcpu, "mode", state->mode);
		set_text(vcpu, "activity", state->activity);
		set(vcpu, "registers", registers_json(state));
		append(array, vcpu);
	}
	return array;
}

/* Each ends with a newline. */
static cJSON *lines_json(const char *text)
{
	cJSON *array = cJSON_CreateArray();

	for (; *text; text += strcspn(text, "\n") + 1) {
		_cleanup_free_ char *line = strndup(text, strcspn(text, "\n"));

		append(array, line ? clean_string(line) : NULL);
	}
	return array;
}

static cJSON *tests_json(const struct ktap_test *test)
{
	static const char *const names[] = {
		[KTAP_PASS] = "pass",
		[KTAP_FAIL] = "fail",
		[KTAP_SKIP] = "skip",
		[KTAP_TODO] = "todo",
	};
	cJSON *array = cJSON_CreateArray();

	for (; test; test = test->next) {
		cJSON *item = cJSON_CreateObject();

		set_text(item, "name", test->name);
		set_text(item, "result", names[test->status]);
		if (test->reason && *test->reason)
			set_text(item, "reason", test->reason);
		if (test->diagnosis)
			set(item, "diagnosis", lines_json(test->diagnosis));
		if (test->children)
			set(item, "tests", tests_json(test->children));
		append(array, item);
	}
	return array;
}

static cJSON *ktap_json(const struct ktap *ktap)
{
	struct ktap_counts counts = ktap_count(ktap);
	cJSON *tap = cJSON_CreateObject(), *problems = cJSON_CreateArray();

	set(tap, "passed", cJSON_CreateNumber(counts.passed));
	set(tap, "failed", cJSON_CreateNumber(counts.failed));
	set(tap, "skipped", cJSON_CreateNumber(counts.skipped));
	set(tap, "todo", cJSON_CreateNumber(counts.todo));
	set(tap, "planned", cJSON_CreateBool(!ktap->unplanned));
	set(tap, "truncated", cJSON_CreateBool(ktap->truncated));
	for (unsigned i = 0; i < ktap->problem_count; i++)
		append(problems, clean_string(ktap->problems[i]));
	set(tap, "problems", problems);
	set(tap, "tests", tests_json(ktap->tests.first));
	return tap;
}

static cJSON *tail_json(const struct judge *judge)
{
	cJSON *array = cJSON_CreateArray();
	const char *line;

	for (unsigned i = 0; (line = tail_line(&judge->tail, i)); i++)
		append(array, cJSON_CreateString(line));
	return array;
}

/* The complaint's place among the lines that are kept, where it is the reason of the end. */
static cJSON *trouble_json(const struct judge *judge, const struct verdict *verdict)
{
	unsigned count = judge->tail.count,
		 first = count > TAIL_LINES ? count - TAIL_LINES : 0;
	bool by_kernel = judge->end == JUDGE_COMPLAINT || verdict->outcome == OUTCOME_PANIC ||
			 verdict->outcome == OUTCOME_TRIPLE_FAULT;

	if (!by_kernel || !judge->trouble)
		return NULL;
	return cJSON_CreateNumber(judge->trouble > first ? judge->trouble - 1 - first : 0);
}

static cJSON *result_new(const struct conclusion *c, double seconds)
{
	cJSON *result = cJSON_CreateObject();

	set_text(result, "result", c->passed ? "pass" : "fail");
	set_text(result, "outcome", c->outcome);
	set(result, "status", cJSON_CreateNumber(c->status));
	set(result, "seconds", cJSON_CreateNumber(seconds));
	set_text(result, "detail", c->detail);
	return result;
}

/* The line of a timeout is about the first vCPU that does not wait (see locate()): its function. */
static void name_place(struct conclusion *c, const struct judge *judge,
		       const struct symbols *symbols)
{
	_cleanup_free_ char *name = NULL;
	size_t used = strlen(c->detail);
	unsigned at = 0;

	while (at < judge->vcpu_count && strcmp(judge->vcpus[at].state.activity, "running") != 0)
		at++;
	if (judge->vcpu_count)
		name = symbol_name(symbols, &judge->vcpus[at % judge->vcpu_count].state);
	/* Unless the line does not know the place. */
	if (name && strncmp(c->detail, "vCPU ", 5) == 0)
		snprintf(c->detail + used, sizeof(c->detail) - used, " in %s", name);
}

cJSON *result_of_run(struct judge *judge, const struct verdict *verdict, double seconds,
		      const struct symbols *symbols)
{
	struct conclusion c;
	const struct ktap *ktap;
	cJSON *result;

	judge_finish(judge);
	c = conclude(judge, verdict);
	if (verdict->outcome == OUTCOME_TIMEOUT)
		name_place(&c, judge, symbols);
	ktap = ktap_of(judge);
	result = result_new(&c, seconds);
	set(result, "expected", patterns_json(judge->expect, judge->expect_count));
	set(result, "rejected", patterns_json(judge->reject, judge->reject_count));
	set(result, "kernel", kernel_json(judge));
	set(result, "vcpus", vcpus_json(judge, symbols));
	set(result, "tap", ktap ? ktap_json(ktap) : cJSON_CreateNull());
	set(result, "lines", cJSON_CreateNumber(judge->tail.count));
	set(result, "console", tail_json(judge));
	set(result, "complaint", trouble_json(judge, verdict));
	return result;
}

cJSON *result_of_death(const char *detail, double seconds)
{
	struct conclusion c = { .outcome = "vmm-failure", .status = 104 };

	snprintf(c.detail, sizeof(c.detail), "%s", detail);
	return result_new(&c, seconds);
}

/* --- Readers ---------------------------------------------------------------------------------- */

const char *result_text(const cJSON *result, const char *key)
{
	const char *text = cJSON_GetStringValue(json_get(result, key));

	return text ? text : "";
}

double result_number(const cJSON *result, const char *key)
{
	const cJSON *value = json_get(result, key);

	return cJSON_IsNumber(value) ? value->valuedouble : 0;
}

bool result_passed(const cJSON *result)
{
	return strcmp(result_text(result, "result"), "pass") == 0;
}

bool result_may_be_retried(const cJSON *result)
{
	static const char *const hopeless[] = { "usage", "host-error", "signal" };

	if (result_passed(result))
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(hopeless); i++)
		if (strcmp(result_text(result, "outcome"), hopeless[i]) == 0)
			return false;
	return true;
}

/* --- The report ------------------------------------------------------------------------------- */

/* What was booted; the version is that which the kernel's file names. */
static cJSON *boot_json(const struct boot_options *boot)
{
	cJSON *object = cJSON_CreateObject();
	char version[KERNEL_VERSION_MAX];
	bool known = boot->kernel && !kernel_version(boot->kernel, version);

	set_text(object, "kernel", boot->kernel);
	set_text(object, "version", known ? version : NULL);
	set_text(object, "initrd", boot->initrd);
	set_text(object, "cmdline", boot->cmdline);
	return object;
}

static cJSON *arguments_json(const struct common_options *options)
{
	cJSON *array = cJSON_CreateArray();

	for (int i = 0; i < options->argc; i++)
		append(array, clean_string(options->argv[i]));
	return array;
}

static cJSON *host_json(void)
{
	cJSON *object = cJSON_CreateObject();
	struct utsname host;

	if (uname(&host))
		return object;
	set_text(object, "name", host.nodename);
	set_text(object, "kernel", host.release);
	set_text(object, "machine", host.machine);
	return object;
}

/* RFC 3339, when the tests began. */
static cJSON *date_json(double seconds)
{
	time_t start = time(NULL) - (time_t)seconds;
	struct tm utc;
	char text[32];

	return gmtime_r(&start, &utc) && strftime(text, sizeof(text), "%FT%TZ", &utc) ?
		       cJSON_CreateString(text) :
		       NULL;
}

/* The last attempt counts; of those before it, how they ended is kept. */
static cJSON *case_json(const struct test_case *test)
{
	int count = cJSON_GetArraySize(test->attempts);
	const cJSON *last = cJSON_GetArrayItem(test->attempts, count - 1), *member;
	cJSON *item = cJSON_CreateObject(), *before = cJSON_CreateArray();

	set_text(item, "name", *test->name ? test->name : test->options->run.config.boot.kernel);
	set(item, "boot", boot_json(&test->options->run.config.boot));
	set(item, "flaky", cJSON_CreateBool(count > 1 && result_passed(last)));
	for (member = json_first(last); member; member = member->next)
		set(item, member->string, cJSON_Duplicate(member, true));
	for (int i = 0; i + 1 < count; i++)
		append(before, cJSON_Duplicate(cJSON_GetArrayItem(test->attempts, i), true));
	set(item, "failed_attempts", before);
	return item;
}

cJSON *report_of_suite(const struct suite *suite, const struct common_options *options,
		       double seconds)
{
	cJSON *report = cJSON_CreateObject(), *tests = cJSON_CreateArray();
	unsigned passed = 0, failed = 0, flaky = 0;

	for (unsigned i = 0; i < suite->count; i++) {
		cJSON *item;

		if (!cJSON_GetArraySize(suite->cases[i].attempts))
			continue;
		item = case_json(&suite->cases[i]);
		passed += result_passed(item);
		failed += !result_passed(item);
		flaky += cJSON_IsTrue(json_get(item, "flaky"));
		append(tests, item);
	}
	set_text(report, "kinglet", KINGLET_VERSION);
	set(report, "arguments", arguments_json(options));
	set(report, "date", date_json(seconds));
	set(report, "host", host_json());
	set(report, "passed", cJSON_CreateNumber(passed));
	set(report, "failed", cJSON_CreateNumber(failed));
	set(report, "flaky", cJSON_CreateNumber(flaky));
	set(report, "seconds", cJSON_CreateNumber(seconds));
	set(report, "tests", tests);
	return report;
}
