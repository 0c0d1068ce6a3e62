/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

/*
 * Ten times what the deepest path needs, and less than a huge page: with the default of 8 MiB, the
 * first touch would allocate a huge page, 2 MiB to clear and to keep for each thread.
 */
enum { STACK_SIZE = 256 << 10 };

/* A fault in a thread that blocks its signal kills the process with the terminal raw. */
static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };

int thread_start(pthread_t *thread, const sigset_t *blocked, void *(*run)(void *), void *arg)
{
	sigset_t mask = *blocked, before;
	pthread_attr_t attr;
	int ret = pthread_attr_init(&attr);

	if (ret)
		return -ret;
	for (unsigned i = 0; i < ARRAY_SIZE(faults); i++)
		sigdelset(&mask, faults[i]);
	ret = pthread_attr_setstacksize(&attr, STACK_SIZE);
	if (!ret) {
		/* Inherited, so that no signal arrives before the thread could block it. */
		pthread_sigmask(SIG_SETMASK, &mask, &before);
		ret = pthread_create(thread, &attr, run, arg);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	pthread_attr_destroy(&attr);
	return -ret;
}
