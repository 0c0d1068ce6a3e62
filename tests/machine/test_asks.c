/* SPDX-License-Identifier: Apache-2.0 */
/* What the main thread asks of the machine's: both loops are turned by the test. */
#include "../../vmm/machine/asks.h"

#include "unit.h"

#include <string.h>

struct question {
	struct machine_ask ask;
	struct rig *rig;
	char name;
};

struct rig {
	struct loop loop;
	struct asks asks;
	struct question questions[3];
	char told[64];
};

static void note(struct rig *rig, char what, char name)
{
	size_t len = strlen(rig->told);

	assert_true(len + 3 < sizeof(rig->told));
	rig->told[len] = what;
	rig->told[len + 1] = name;
}

static void run(struct machine_ask *ask)
{
	const struct question *q = container_of(ask, struct question, ask);

	note(q->rig, '?', q->name);
}

static void answered(struct machine_ask *ask)
{
	const struct question *q = container_of(ask, struct question, ask);

	note(q->rig, '!', q->name);
}

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	assert_int_equal(loop_init(&rig->loop), 0);
	assert_int_equal(asks_init(&rig->asks, &rig->loop), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(rig->questions); i++)
		rig->questions[i] = (struct question){
			.ask = { .run = run, .answered = answered },
			.rig = rig,
			.name = (char)('a' + i),
		};
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;

	asks_destroy(&rig->asks, &rig->loop);
	loop_destroy(&rig->loop);
	free(rig);
	return 0;
}

static void turn(struct rig *rig)
{
	loop_stop(&rig->loop);
	assert_int_equal(loop_run(&rig->loop), 0);
}

static void each_is_run_and_answered_in_order(void **state)
{
	struct rig *rig = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(rig->questions); i++)
		asks_add(&rig->asks, &rig->questions[i].ask);
	asks_serve(&rig->asks);
	assert_string_equal(rig->told, "?a?b?c");
	turn(rig);
	assert_string_equal(rig->told, "?a?b?c!a!b!c");
}

static void what_is_not_run_has_no_answer(void **state)
{
	struct rig *rig = *state;

	asks_add(&rig->asks, &rig->questions[0].ask);
	asks_serve(&rig->asks);
	asks_add(&rig->asks, &rig->questions[1].ask);
	turn(rig);
	assert_string_equal(rig->told, "?a!a");
}

static void asks_again(struct machine_ask *ask)
{
	struct question *q = container_of(ask, struct question, ask);

	note(q->rig, '!', q->name);
	q->ask.answered = answered;
	asks_add(&q->rig->asks, ask);
}

static void an_answer_may_ask(void **state)
{
	struct rig *rig = *state;

	rig->questions[0].ask.answered = asks_again;
	asks_add(&rig->asks, &rig->questions[0].ask);
	asks_serve(&rig->asks);
	turn(rig);
	asks_serve(&rig->asks);
	turn(rig);
	assert_string_equal(rig->told, "?a!a?a!a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_is_run_and_answered_in_order),
		TEST(what_is_not_run_has_no_answer),
		TEST(an_answer_may_ask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
