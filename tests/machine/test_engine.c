/* SPDX-License-Identifier: Apache-2.0 */
/* The engine alone: the Makefile links this without the tools. */
#include "unit.h"

#include "machine/machine.h"

/* This needs neither KVM nor a file. */
static void a_machine_is_run_without_tools(void **state)
{
	const struct machine_config config = { .boot = { .kernel = "none" }, .memory = 1 };
	struct verdict verdict;
	struct sys sys;

	(void)state;
	sys_init(&sys);
	assert_true(machine_run(&config, &sys, &verdict));
	assert_int_equal(verdict.outcome, OUTCOME_USAGE);
	assert_int_equal(verdict.status, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_machine_is_run_without_tools),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
