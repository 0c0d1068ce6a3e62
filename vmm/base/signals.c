/* SPDX-License-Identifier: Apache-2.0 */
#include "base/signals.h"

static const int ends[] = {
	SIGINT,	   SIGTERM, SIGHUP,  SIGQUIT, SIGALRM, SIGVTALRM, SIGPROF,
	SIGXCPU,   SIGUSR1, SIGUSR2, SIGPOLL, SIGPWR,  SIGSTKFLT,
};

void signals_add(sigset_t *set, int number)
{
	struct sigaction action;

	if (sigaction(number, NULL, &action) || action.sa_handler != SIG_IGN)
		sigaddset(set, number);
}

void signals_add_ends(sigset_t *set)
{
	for (unsigned i = 0; i < ARRAY_SIZE(ends); i++)
		signals_add(set, ends[i]);
}
