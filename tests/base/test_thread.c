/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"
#include "unit.h"

#include <string.h>

/* What a thread reports about itself. */
struct found {
	sigset_t mask;
	size_t stack;
};

static void *look(void *arg)
{
	struct found *found = arg;
	pthread_attr_t attr;

	pthread_sigmask(SIG_SETMASK, NULL, &found->mask);
	if (!pthread_getattr_np(pthread_self(), &attr)) {
		pthread_attr_getstacksize(&attr, &found->stack);
		pthread_attr_destroy(&attr);
	}
	return arg;
}

static void started(struct found *found, const sigset_t *blocked)
{
	pthread_t thread;
	void *ret;

	memset(found, 0, sizeof(*found));
	assert_int_equal(thread_start(&thread, blocked, look, found), 0);
	assert_int_equal(pthread_join(thread, &ret), 0);
	assert_ptr_equal(ret, found);
}

static void test_signal_mask(void **state)
{
	sigset_t blocked, before, after;
	struct found found;

	(void)state;
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	started(&found, &blocked);
	assert_true(sigismember(&found.mask, SIGTERM));
	assert_false(sigismember(&found.mask, SIGINT));
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
}

static void test_stack_below_a_huge_page(void **state)
{
	struct found found;
	sigset_t none;

	(void)state;
	sigemptyset(&none);
	started(&found, &none);
	assert_in_range(found.stack, 64 << 10, (2 << 20) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signal_mask),
		cmocka_unit_test(test_stack_below_a_huge_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
