/* SPDX-License-Identifier: Apache-2.0 */
/* Observers of a machine, and the effect of their results on the run. */
#include "../../vmm/machine/observe.h"

#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct looker {
	struct rig *rig;
	char name;
	int begin, built; /* what these return */
	int status;	  /* the exit status that it sets; 0: none */
	struct machine_panic panic;
};

struct rig {
	struct machine_config config;
	struct ending ending;
	struct observers observers;
	struct looker lookers[3];
	char told[200];
};

static void note(const struct looker *looker, const char *call)
{
	struct rig *rig = looker->rig;
	size_t len = strlen(rig->told);

	snprintf(rig->told + len, sizeof(rig->told) - len, "%s%s %c", len ? ", " : "", call,
		 looker->name);
}

static int begin(void *owner, const struct machine_parts *parts)
{
	(void)parts;
	note(owner, "begin");
	return ((const struct looker *)owner)->begin;
}

static int built(void *owner, const struct machine_parts *parts)
{
	(void)parts;
	note(owner, "built");
	return ((const struct looker *)owner)->built;
}

static void stopped(void *owner, const struct verdict *verdict)
{
	(void)verdict;
	note(owner, "stopped");
}

static bool gone(void *owner, struct verdict *verdict)
{
	const struct looker *looker = owner;

	note(looker, "gone");
	verdict->outcome = OUTCOME_OBSERVER;
	verdict->status = looker->status;
	snprintf(verdict->detail, sizeof(verdict->detail), "%c", looker->name);
	return looker->status;
}

static bool sees_console(void *owner, enum guest_stream stream, const uint8_t *data, size_t len,
			 struct verdict *end)
{
	const struct looker *looker = owner;

	(void)stream;
	(void)data;
	(void)len;
	note(looker, "console");
	end->status = looker->status;
	return looker->status;
}

static void knows_panic(void *owner, struct machine_panic *panic)
{
	*panic = ((const struct looker *)owner)->panic;
}

static void happened(void *owner, enum machine_event event, const char *what)
{
	assert_int_equal(event, MACHINE_PANICKED);
	note(owner, what);
}

static const struct machine_observer_ops ops = {
	.begin = begin,
	.built = built,
	.stopped = stopped,
	.gone = gone,
	.console = sees_console,
	.panic = knows_panic,
	.happened = happened,
};

/* Between the second and the third is one without any callback. */
static int setup(void **state)
{
	static const struct machine_observer_ops blind = { 0 };
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	for (unsigned i = 0; i < ARRAY_SIZE(rig->lookers); i++) {
		rig->lookers[i] = (struct looker){ .rig = rig, .name = (char)('a' + i) };
		rig->config.observers[i + (i > 1)] =
			(struct machine_observer){ &ops, &rig->lookers[i] };
	}
	rig->config.observers[2].ops = &blind;
	rig->config.observer_count = 4;
	assert_int_equal(ending_init(&rig->ending), 0);
	assert_int_equal(observers_init(&rig->observers, &rig->config, &rig->ending, NULL), 0);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	pthread_mutex_destroy(&rig->observers.lock);
	ending_destroy(&rig->ending);
	free(rig);
	return 0;
}

static void live(struct rig *rig)
{
	int ret = observers_begin(&rig->observers, NULL);

	if (!ret && !observers_built(&rig->observers, NULL))
		observers_stopped(&rig->observers);
	observers_gone(&rig->observers);
	assert_int_equal(rig->ending.unfinished, 0);
}

static void all_are_told_in_order(void **state)
{
	struct rig *rig = *state;

	live(rig);
	assert_string_equal(rig->told, "begin a, begin b, begin c, built a, built b, built c, "
				       "stopped a, stopped b, stopped c, gone a, gone b, gone c");
}

static void what_did_not_begin_does_not_end(void **state)
{
	struct rig *rig = *state;

	rig->lookers[1].begin = -ENOENT;
	live(rig);
	assert_string_equal(rig->told, "begin a, begin b, gone a");
}

static void what_was_not_built_is_not_stopped(void **state)
{
	struct rig *rig = *state;

	rig->lookers[1].built = -EADDRINUSE;
	live(rig);
	assert_string_equal(rig->told, "begin a, begin b, begin c, built a, built b, stopped a, "
				       "gone a, gone b, gone c");
}

/* The first one's result counts, and none if the run has failed already. */
static void an_observer_makes_a_failure_of_a_success(void **state)
{
	struct rig *rig = *state;

	rig->lookers[0].status = 1;
	rig->lookers[1].status = 2;
	assert_int_equal(observers_begin(&rig->observers, NULL), 0);
	ending_decide(&rig->ending, OUTCOME_POWEROFF, 0, "powered off");
	observers_gone(&rig->observers);
	assert_string_equal(rig->ending.verdict.detail, "a");
}

static void a_failure_stays_what_it_is(void **state)
{
	struct rig *rig = *state;

	rig->lookers[0].status = 1;
	assert_int_equal(observers_begin(&rig->observers, NULL), 0);
	ending_decide(&rig->ending, OUTCOME_STATUS, 7, "exit port");
	observers_gone(&rig->observers);
	assert_int_equal(rig->ending.verdict.status, 7);
}

static void the_first_that_has_seen_enough_ends_the_run(void **state)
{
	struct rig *rig = *state;

	rig->lookers[1].status = 5;
	rig->lookers[2].status = 6;
	observers_console(&rig->observers, GUEST_SERIAL, NULL, 0);
	assert_string_equal(rig->told, "console a, console b, console c");
	assert_int_equal(rig->ending.verdict.outcome, OUTCOME_OBSERVER);
	assert_int_equal(rig->ending.verdict.status, 5);
}

static void the_strongest_proof_of_a_panic_counts(void **state)
{
	struct rig *rig = *state;
	struct machine_panic panic;

	rig->lookers[0].panic = (struct machine_panic){ PANIC_TEXT, "text" };
	rig->lookers[1].panic = (struct machine_panic){ PANIC_SURE, "sure" };
	panic = observers_panic(&rig->observers);
	assert_int_equal(panic.proof, PANIC_SURE);
	assert_string_equal(panic.line, "sure");
}

/* A crash kernel may run on for minutes after it. */
static void a_panic_that_a_console_shows_is_told_once(void **state)
{
	struct rig *rig = *state;

	rig->lookers[1].panic = (struct machine_panic){ PANIC_TEXT, "text" };
	observers_console(&rig->observers, GUEST_SERIAL, NULL, 0);
	assert_string_equal(rig->told, "console a, console b, console c");
	rig->lookers[1].panic.proof = PANIC_SURE;
	*rig->told = '\0';
	observers_console(&rig->observers, GUEST_SERIAL, NULL, 0);
	observers_console(&rig->observers, GUEST_SERIAL, NULL, 0);
	assert_string_equal(rig->told, "console a, console b, console c, text a, text b, text c, "
				       "console a, console b, console c");
}

static void none_is_a_debugger(void **state)
{
	struct rig *rig = *state;

	assert_false(observers_debugged(&rig->observers, NULL));
	assert_false(observers_can_report(&rig->observers));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_are_told_in_order),
		TEST(what_did_not_begin_does_not_end),
		TEST(what_was_not_built_is_not_stopped),
		TEST(an_observer_makes_a_failure_of_a_success),
		TEST(a_failure_stays_what_it_is),
		TEST(the_first_that_has_seen_enough_ends_the_run),
		TEST(the_strongest_proof_of_a_panic_counts),
		TEST(a_panic_that_a_console_shows_is_told_once),
		TEST(none_is_a_debugger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
