/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the guest's consoles line by line and decides when the test ends. */

#include "suite.h"

#include "base/log.h"

#include <string.h>

/* A kernel's report of a fault is complete within a second of its first line, or never. */
enum { PATIENCE_TICKS = 1000 / MACHINE_TICK_MS };

static void destroy_patterns(struct judge_patterns *patterns)
{
	for (unsigned i = 0; i < patterns->count; i++) {
		regfree(&patterns->list[i].regex);
		free(patterns->list[i].line);
	}
}

void judge_destroy(struct judge *judge)
{
	destroy_patterns(&judge->expect);
	destroy_patterns(&judge->reject);
	for (unsigned i = 0; i < GUEST_STREAMS; i++)
		ktap_destroy(&judge->ktap[i]);
	tail_destroy(&judge->tail);
	free(judge->complaint);
	free(judge->boot_failure);
	free(judge->vcpus);
	*judge = (struct judge){ 0 };
}

/* True when another pattern matched for the first time. */
static bool match(struct judge_patterns *patterns, const char *line, int flags)
{
	unsigned before = patterns->matched;

	for (unsigned i = 0; i < patterns->count; i++) {
		struct judge_pattern *pattern = &patterns->list[i];

		if (pattern->line || regexec(&pattern->regex, line, 0, NULL, flags) != 0)
			continue;
		pattern->line = strdup(line);
		patterns->matched += pattern->line != NULL;
	}
	return patterns->matched != before;
}

/* An oops, or a recent warning, explains the panic that follows it. */
static void look_for_trouble(struct judge *judge, const char *message, enum kernel_complaint kind)
{
	static const char panic[] = "Kernel panic - not syncing";
	unsigned here = judge->tail.count;

	if (judge->trouble)
		return;
	if (kind == KERNEL_WARNING)
		judge->warned = here;
	if (kind >= KERNEL_BUG || judge->complaint)
		judge->trouble = here;
	else if (!strncmp(message, panic, strlen(panic)))
		judge->trouble = judge->warned && here - judge->warned < TAIL_LINES ?
					 judge->warned :
					 here;
}

/* Only from the kernel, not from a program that prints the same. */
static void look_for_complaint(struct judge *judge, const char *message, bool stamped)
{
	enum kernel_complaint kind = message_complaint(message);

	judge->stamped = judge->stamped || stamped;
	if (judge->stamped && !stamped)
		return;
	judge->complaints[kind]++;
	if (kind != KERNEL_FINE && kind >= judge->options->fail_on && !judge->complaint) {
		judge->complaint = strdup(message);
		judge->complaint_kind = kind;
		judge->patience = PATIENCE_TICKS;
	} else if (judge->complaint && message_ends_trace(message)) {
		judge->end = JUDGE_COMPLAINT;
	}
	look_for_trouble(judge, message, kind);
}

static void take_line(struct judge *judge, enum guest_stream stream, const char *line)
{
	bool stamped;
	const char *message = message_of_line(line, &stamped);

	tail_add(&judge->tail, line);
	ktap_line(&judge->ktap[stream], message);
	if (judge->end == JUDGE_OPEN)
		look_for_complaint(judge, message, stamped);
}

static bool expects_no_more(const struct judge *judge)
{
	return judge->expect.count && judge->expect.matched == judge->expect.count &&
	       !judge->options->expect_reboot;
}

/* Not if it is expected: a test may check that there is a prompt. */
static void look_for_boot_failure(struct judge *judge, const char *line)
{
	const char *message = message_of_line(line, NULL);
	enum boot_failure failure = message_boot_failure(message);

	if (failure == BOOT_FINE)
		return;
	/* The last reason is the most relevant. */
	if (failure == BOOT_FAILURE_REASON || !judge->boot_failure) {
		free(judge->boot_failure);
		judge->boot_failure = strdup(message);
	}
	if (failure == BOOT_FAILURE_END)
		judge->end = JUDGE_BOOT_FAILED;
}

static void match_line(struct judge *judge, const char *line, int flags)
{
	bool expected;

	if (judge->end != JUDGE_OPEN)
		return;
	expected = match(&judge->expect, line, flags);
	if (match(&judge->reject, line, flags))
		judge->end = JUDGE_REJECTED;
	else if (expects_no_more(judge) && !judge->complaint)
		judge->end = JUDGE_EXPECTED;
	else if (!expected)
		look_for_boot_failure(judge, line);
}

/* The machine gets the result once, and only good or bad: the judge has the details. */
static bool has_just_ended(enum judge_end before, const struct judge *judge, struct verdict *end)
{
	end->status = judge->end == JUDGE_EXPECTED ? 0 : EXIT_TEST_FAILED;
	return before == JUDGE_OPEN && judge->end != JUDGE_OPEN;
}

static bool see_line(void *owner, enum guest_stream stream, const char *line, bool whole,
		     struct verdict *end)
{
	struct judge *judge = owner;
	enum judge_end before = judge->end;

	if (whole)
		take_line(judge, stream, line);
	/* A prompt has no newline; but the end of a line that may still grow must not match $. */
	match_line(judge, line, whole ? 0 : REG_NOTEOL);
	return has_just_ended(before, judge, end);
}

static bool see_tick(void *owner, struct verdict *end)
{
	struct judge *judge = owner;
	bool ended = guest_log_tick(&judge->log, end);
	enum judge_end before = judge->end;

	if (judge->patience && !--judge->patience && before == JUDGE_OPEN)
		judge->end = JUDGE_COMPLAINT;
	return has_just_ended(before, judge, end) || ended;
}

static void see_vcpu(void *owner, unsigned id, const struct arch_vcpu_state *state)
{
	struct judge *judge = owner;

	if (!judge->vcpus)
		judge->vcpus = calloc(JUDGE_MAX_VCPUS, sizeof(*judge->vcpus));
	if (judge->vcpus && judge->vcpu_count < JUDGE_MAX_VCPUS)
		judge->vcpus[judge->vcpu_count++] =
			(struct judge_vcpu){ .id = id, .state = *state };
}

static int compile(struct judge_patterns *patterns, const char *option,
		   const char *const *sources, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct judge_pattern *pattern = &patterns->list[i];
		int ret = regcomp(&pattern->regex, sources[i], REG_EXTENDED | REG_NOSUB);
		char why[120];

		if (ret) {
			regerror(ret, &pattern->regex, why, sizeof(why));
			log_error("--%s %.80s: %s; write an extended regular expression as for "
				  "grep -E", option, sources[i], why);
			return -EINVAL;
		}
		pattern->source = sources[i];
		patterns->count++;
	}
	return 0;
}

int judge_init(struct judge *judge, const struct test_options *options)
{
	int ret;

	*judge = (struct judge){ .options = options };
	guest_log_listen(&judge->log, (struct line_listener){ .line = see_line, .owner = judge });
	ret = compile(&judge->expect, "expect", options->expect, options->expect_count);
	if (!ret)
		ret = compile(&judge->reject, "reject", options->reject, options->reject_count);
	if (ret)
		judge_destroy(judge);
	return ret;
}

const struct machine_observer_ops judge_ops = {
	.vcpu = see_vcpu,
	.tick = see_tick,
};

void judge_finish(struct judge *judge)
{
	bool cut = judge->end != JUDGE_OPEN;

	guest_log_finish(&judge->log);
	for (unsigned i = 0; i < GUEST_STREAMS; i++)
		ktap_finish(&judge->ktap[i], cut);
	if (judge->end == JUDGE_OPEN && judge->complaint)
		judge->end = JUDGE_COMPLAINT;
}
