/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KINGLET_BASE_THREAD_H
#define KINGLET_BASE_THREAD_H

#include "base/cleanup.h"

#include <pthread.h>
#include <signal.h>

/*
 * Starts a thread whose signal mask is `blocked` without the signals of faults, from its first
 * instruction on. Its stack is small (see thread.c). The caller joins it. 0 or a negative errno.
 * Any thread.
 */
__must_check int thread_start(pthread_t *thread, const sigset_t *blocked, void *(*run)(void *),
			      void *arg);

#endif
