/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the result of a run from what was observed. */
#include "suite.h"

#include "cmd/commands.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

/* --- The outcome ------------------------------------------------------------------------------ */

struct conclusion {
	const char *outcome;
	bool passed;
	int status;
	char detail[480];
};

/* The arguments may include the detail so far. */
static void fail(struct conclusion *c, const char *outcome, const char *fmt, ...) __printf(3, 4);
static void fail(struct conclusion *c, const char *outcome, const char *fmt, ...)
{
	struct conclusion failed = { .outcome = outcome, .status = EXIT_TEST_FAILED };
	va_list args;

	va_start(args, fmt);
	vsnprintf(failed.detail, sizeof(failed.detail), fmt, args);
	va_end(args);
	*c = failed;
}

/*
 * The console whose results count: both are the same if the guest prints to both; if one has
 * failures, that one.
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
	struct ktap_counts counts = ktap ? ktap_count(ktap) : (struct ktap_counts){ 0 };

	if (counts.failed)
		fail(c, "tests-failed", "%u of %u tests failed, first: %s", counts.failed,
		     counts.failed + counts.passed + counts.skipped + counts.todo,
		     first_failure(ktap->tests.first)->name);
	else if (ktap && ktap->problem_count)
		fail(c, "tests-failed", "%s", ktap->problems[0]);
}

/* The first pattern that matched, or that did not; NULL: there is none. */
static const struct judge_pattern *find_pattern(const struct judge_patterns *patterns, bool matched)
{
	for (unsigned i = 0; i < patterns->count; i++)
		if ((patterns->list[i].line != NULL) == matched)
			return &patterns->list[i];
	return NULL;
}

/* For a guest that ended by itself. */
static void judge_end(struct conclusion *c, const struct judge *judge, enum outcome outcome)
{
	const struct judge_pattern *missing = find_pattern(&judge->expect, false);
	bool rebooted = outcome == OUTCOME_REBOOT;

	if (missing)
		fail(c, "expected-missing", "%.200s, but nothing matched %.200s", c->detail,
		     missing->source);
	else if (c->passed)
		judge_ktap(c, ktap_of(judge));
	if (!c->passed)
		return;
	if (rebooted && !judge->options->expect_reboot)
		fail(c, "rebooted", "a reboot passes with --expect-reboot only");
	else if (!rebooted && judge->options->expect_reboot)
		fail(c, "expected-missing", "the guest did not reboot");
}

/* A run ended by the guest or by us must still be judged by its output. */
static struct conclusion conclude(const struct judge *judge, const struct verdict *verdict)
{
	struct conclusion c = {
		.outcome = outcome_word(verdict->outcome),
		.passed = verdict->status == 0 && verdict->outcome != OUTCOME_QUIT,
		.status = verdict->status,
	};
	const struct judge_pattern *rejected = find_pattern(&judge->reject, true);

	snprintf(c.detail, sizeof(c.detail), "%s", verdict->detail);
	if (!c.passed && verdict->outcome != OUTCOME_OBSERVER)
		return c;
	switch (judge->end) {
	case JUDGE_REJECTED:
		fail(&c, "rejected", "%s", rejected ? rejected->line : "");
		break;
	case JUDGE_COMPLAINT:
		fail(&c, kernel_complaint_name(judge->complaint_kind), "%s",
		     judge->complaint ? judge->complaint : "");
		break;
	case JUDGE_BOOT_FAILED:
		fail(&c, "boot-failed", "%s", judge->boot_failure ? judge->boot_failure : "");
		break;
	case JUDGE_EXPECTED:
		c.outcome = "expected";
		snprintf(c.detail, sizeof(c.detail), "%s",
			 judge->expect.list[judge->expect.count - 1].line);
		judge_ktap(&c, ktap_of(judge));
		break;
	case JUDGE_OPEN:
		judge_end(&c, judge, verdict->outcome);
		break;
	}
	return c;
}

/* --- Its parts as JSON ------------------------------------------------------------------------ */

static cJSON *patterns_json(const struct judge_patterns *patterns)
{
	cJSON *array = cJSON_CreateArray();

	for (unsigned i = 0; i < patterns->count; i++) {
		cJSON *item = cJSON_CreateObject();

		json_set_text(item, "pattern", patterns->list[i].source);
		json_set_text(item, "line", patterns->list[i].line);
		json_append(array, item);
	}
	return array;
}

static cJSON *kernel_json(const struct judge *judge)
{
	cJSON *kernel = cJSON_CreateObject();

	json_set(kernel, "warnings", cJSON_CreateNumber(judge->complaints[KERNEL_WARNING]));
	json_set(kernel, "bugs", cJSON_CreateNumber(judge->complaints[KERNEL_BUG]));
	json_set(kernel, "oopses", cJSON_CreateNumber(judge->complaints[KERNEL_OOPS]));
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
	return json_text(text);
}

/* The address of a relocated kernel (KASLR) is converted to its link address. */
static uint64_t linked_address(const struct symbols *symbols, const struct arch_vcpu_state *state)
{
	uint64_t linked = state->anchor_symbol ? symbols_address(symbols, state->anchor_symbol) : 0;

	return linked ? state->ip - (state->anchor - linked) : state->ip;
}

/* "function+0x1c", to be freed; NULL without a symbol. */
static char *symbol_name(const struct symbols *symbols, const struct arch_vcpu_state *state)
{
	uint64_t offset;
	const char *name =
		symbols ? symbols_find(symbols, linked_address(symbols, state), &offset) : NULL;
	char *text;

	return name && asprintf(&text, "%s+0x%" PRIx64, name, offset) >= 0 ? text : NULL;
}

static cJSON *registers_json(const struct arch_vcpu_state *state)
{
	cJSON *registers = cJSON_CreateObject();

	for (unsigned i = 0; i < state->register_count; i++) {
		const struct arch_register *reg = &state->registers[i];

		json_set(registers, reg->name,
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
		_cleanup_free_ char *symbol = symbol_name(symbols, state);
		cJSON *vcpu = cJSON_CreateObject();

		json_set(vcpu, "id", cJSON_CreateNumber(judge->vcpus[i].id));
		json_set(vcpu, "ip", format_string("0x%" PRIx64, state->ip));
		json_set_text(vcpu, "symbol", symbol);
		json_set_text(vcpu, "mode", state->mode);
		json_set_text(vcpu, "activity", state->activity);
		json_set(vcpu, "registers", registers_json(state));
		json_append(array, vcpu);
	}
	return array;
}

/* Each ends with a newline. */
static cJSON *lines_json(const char *text)
{
	cJSON *array = cJSON_CreateArray();

	for (; *text; text += strcspn(text, "\n") + 1) {
		_cleanup_free_ char *line = strndup(text, strcspn(text, "\n"));

		json_append(array, line ? json_text(line) : NULL);
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

		json_set_text(item, "name", test->name);
		json_set_text(item, "result", names[test->status]);
		if (test->reason && *test->reason)
			json_set_text(item, "reason", test->reason);
		if (test->diagnosis)
			json_set(item, "diagnosis", lines_json(test->diagnosis));
		if (test->children)
			json_set(item, "tests", tests_json(test->children));
		json_append(array, item);
	}
	return array;
}

static cJSON *ktap_json(const struct ktap *ktap)
{
	struct ktap_counts counts = ktap_count(ktap);
	cJSON *tap = cJSON_CreateObject(), *problems = cJSON_CreateArray();

	json_set(tap, "passed", cJSON_CreateNumber(counts.passed));
	json_set(tap, "failed", cJSON_CreateNumber(counts.failed));
	json_set(tap, "skipped", cJSON_CreateNumber(counts.skipped));
	json_set(tap, "todo", cJSON_CreateNumber(counts.todo));
	json_set(tap, "planned", cJSON_CreateBool(!ktap->unplanned));
	json_set(tap, "truncated", cJSON_CreateBool(ktap->truncated));
	for (unsigned i = 0; i < ktap->problem_count; i++)
		json_append(problems, json_text(ktap->problems[i]));
	json_set(tap, "problems", problems);
	json_set(tap, "tests", tests_json(ktap->tests.first));
	return tap;
}

static cJSON *tail_json(const struct judge *judge)
{
	cJSON *array = cJSON_CreateArray();
	const char *line;

	for (unsigned i = 0; (line = tail_line(&judge->tail, i)); i++)
		json_append(array, cJSON_CreateString(line));
	return array;
}

/* The index of the complaint among the kept lines, if it is the reason of the end. */
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

	json_set_text(result, "result", c->passed ? "pass" : "fail");
	json_set_text(result, "outcome", c->outcome);
	json_set(result, "status", cJSON_CreateNumber(c->status));
	json_set(result, "seconds", cJSON_CreateNumber(seconds));
	json_set_text(result, "detail", c->detail);
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
	/* Unless the line has no place. */
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
	json_set(result, "expected", patterns_json(&judge->expect));
	json_set(result, "rejected", patterns_json(&judge->reject));
	json_set(result, "kernel", kernel_json(judge));
	json_set(result, "vcpus", vcpus_json(judge, symbols));
	json_set(result, "tap", ktap ? ktap_json(ktap) : cJSON_CreateNull());
	json_set(result, "lines", cJSON_CreateNumber(judge->tail.count));
	json_set(result, "console", tail_json(judge));
	json_set(result, "complaint", trouble_json(judge, verdict));
	return result;
}

cJSON *result_of_death(const char *detail, double seconds)
{
	struct conclusion c = { .outcome = "vmm-failure", .status = 104 };

	snprintf(c.detail, sizeof(c.detail), "%s", detail);
	return result_new(&c, seconds);
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
