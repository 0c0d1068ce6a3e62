/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KINGLET_BASE_SIGNALS_H
#define KINGLET_BASE_SIGNALS_H

#include "base/cleanup.h"

#include <signal.h>

/*
 * Adds to *set the signals by which somebody ends the process, those of timers and limits among
 * them: each that would, and can be caught, but for faults and real-time signals. What the parent
 * has us ignore (nohup, a shell's background job) is left out: blocked, it would still reach a
 * signalfd. Any thread.
 */
void signals_add_ends(sigset_t *set);

/* The same for one signal. */
void signals_add(sigset_t *set, int number);

#endif
