/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fault in Kinglet: the terminal must not stay raw, and the exit status must be 104, not that of
 * the signal.
 */
#include "console.h"

#include "base/log.h"

#include <signal.h>
#include <string.h>

static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT };

/* A static variable, because a signal handler has no user argument. */
static struct terminal *volatile raw_terminal;

/* log_error() is one write(2) of a line on the stack: safe enough in a crashing process. */
static void faulted(int number)
{
	if (raw_terminal)
		terminal_restore(raw_terminal);
	log_error("internal fault: SIG%s", sigabbrev_np(number));
	_exit(104);
}

void crash_guard(struct terminal *terminal)
{
	const struct sigaction action = { .sa_handler = faulted, .sa_flags = SA_RESETHAND };

	raw_terminal = terminal;
	for (unsigned i = 0; i < ARRAY_SIZE(faults); i++) {
		struct sigaction before;

		/* A sanitizer or a debugger that has its own handler keeps it. */
		if (!sigaction(faults[i], NULL, &before) && before.sa_handler == SIG_DFL)
			sigaction(faults[i], &action, NULL);
	}
}

void crash_unguard(void)
{
	raw_terminal = NULL;
	for (unsigned i = 0; i < ARRAY_SIZE(faults); i++) {
		struct sigaction now;

		if (!sigaction(faults[i], NULL, &now) && now.sa_handler == faulted)
			signal(faults[i], SIG_DFL);
	}
}
