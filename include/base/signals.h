/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KINGLET_BASE_SIGNALS_H
#define KINGLET_BASE_SIGNALS_H

#include "base/cleanup.h"

#include <signal.h>

/*
 * Adds to *set the signals that end the process by default and can be caught, including those of
 * timers and limits, but not faults and real-time signals. Signals that the parent set to be
 * ignored (nohup, a shell's background job) are left out: blocked, they would still reach a
 * signalfd. Any thread.
 */
void signals_add_ends(sigset_t *set);

/* The same for one signal. */
void signals_add(sigset_t *set, int number);

#endif
