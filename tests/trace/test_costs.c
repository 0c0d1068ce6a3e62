/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/costs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void test_the_same_name_adds_up(void **state)
{
	static struct costs costs, more;

	(void)state;
	costs_add(&costs, "a", 1, 10);
	costs_add(&costs, "b", 1, 100);
	costs_add(&more, "a", 2, 5);
	costs_merge(&costs, &more);
	costs_sort(&costs);
	assert_int_equal(costs.count, 2);
	assert_string_equal(costs.costs[0].name, "b");
	assert_int_equal(costs.costs[1].count, 3);
	assert_int_equal(costs.costs[1].ns, 15);
}

static void test_a_name_that_is_cut_is_one_name(void **state)
{
	static const char name[] = "0123456789012345678901234567890123456789"
				   "0123456789012345678901234567890123456789";
	static struct costs costs;

	(void)state;
	costs_add(&costs, name, 1, 1);
	costs_add(&costs, name, 1, 1);
	assert_int_equal(costs.count, 1);
	assert_int_equal(costs.costs[0].count, 2);
}

static void test_what_finds_no_room_is_counted_together(void **state)
{
	static struct costs costs;
	uint64_t sum = 0;

	(void)state;
	for (unsigned i = 0; i < 2 * COSTS_MAX; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		costs_add(&costs, name, 1, 1);
	}
	assert_int_equal(costs.count, COSTS_MAX);
	assert_string_equal(costs.costs[COSTS_MAX - 1].name, "others");
	for (unsigned i = 0; i < costs.count; i++)
		sum += costs.costs[i].count;
	assert_int_equal(sum, 2 * COSTS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same_name_adds_up),
		cmocka_unit_test(test_a_name_that_is_cut_is_one_name),
		cmocka_unit_test(test_what_finds_no_room_is_counted_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
