/* SPDX-License-Identifier: Apache-2.0 */
#include "verdict.h"

#include "core/loop.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

/* The exit status of an outcome (README's table); `number` is the guest's status, or the signal. */
static int status_of(enum outcome outcome, int number)
{
	switch (outcome) {
	case OUTCOME_POWEROFF:
	case OUTCOME_REBOOT:
	case OUTCOME_HALTED:
	case OUTCOME_QUIT:
		return 0;
	case OUTCOME_STATUS:
	case OUTCOME_OBSERVER:
		return number;
	case OUTCOME_BUDGET:
		return 1;
	case OUTCOME_USAGE:
		return 100;
	case OUTCOME_HOST:
		return 101;
	case OUTCOME_PANIC:
		return 102;
	case OUTCOME_TRIPLE_FAULT:
		return 103;
	case OUTCOME_INTERNAL_ERROR:
		return 104;
	case OUTCOME_TIMEOUT:
		return 124;
	case OUTCOME_SIGNAL:
		return 128 + number;
	}
	return 104;
}

static void decide(struct ending *ending, bool over_success, enum outcome outcome, int number,
		   const char *fmt, va_list args)
{
	struct verdict verdict = { .outcome = outcome, .status = status_of(outcome, number) };

	vsnprintf(verdict.detail, sizeof(verdict.detail), fmt, args);
	pthread_mutex_lock(&ending->lock);
	if (!ending->known || (over_success && !ending->verdict.status))
		ending->verdict = verdict;
	ending->known = true;
	pthread_mutex_unlock(&ending->lock);
	eventfd_signal(ending->known_fd);
}

void ending_decide(struct ending *ending, enum outcome outcome, int number, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	decide(ending, false, outcome, number, fmt, args);
	va_end(args);
}

void ending_fail(struct ending *ending, enum outcome outcome, int number, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	decide(ending, true, outcome, number, fmt, args);
	va_end(args);
}

void ending_output_lost(struct ending *ending, const char *stream, int error)
{
	/* A reader may close early, as head does. */
	if (error != EPIPE)
		ending_fail(ending, OUTCOME_HOST, 0, "%s: %s", stream, strerror(error));
}

bool ending_is_known(struct ending *ending)
{
	bool known;

	pthread_mutex_lock(&ending->lock);
	known = ending->known;
	pthread_mutex_unlock(&ending->lock);
	return known;
}

struct verdict ending_verdict(struct ending *ending)
{
	struct verdict verdict;

	pthread_mutex_lock(&ending->lock);
	verdict = ending->verdict;
	pthread_mutex_unlock(&ending->lock);
	return verdict;
}

bool ending_is_hurried(struct ending *ending)
{
	enum outcome outcome = ending_verdict(ending).outcome;

	return outcome == OUTCOME_SIGNAL || outcome == OUTCOME_TIMEOUT || outcome == OUTCOME_QUIT;
}

void ending_set_panic(struct ending *ending, const struct machine_panic *panic)
{
	pthread_mutex_lock(&ending->lock);
	ending->reported = *panic;
	pthread_mutex_unlock(&ending->lock);
}

struct machine_panic ending_panic(struct ending *ending)
{
	struct machine_panic panic;

	pthread_mutex_lock(&ending->lock);
	panic = ending->reported;
	pthread_mutex_unlock(&ending->lock);
	return panic;
}

void ending_forget_boot(struct ending *ending)
{
	const struct machine_panic none = { .proof = PANIC_UNKNOWN };

	atomic_store(&ending->guest_status, -1);
	ending_set_panic(ending, &none);
}

int ending_init(struct ending *ending)
{
	ending->known_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ending->known_fd < 0)
		return -errno;
	atomic_init(&ending->guest_status, -1);
	pthread_mutex_init(&ending->lock, NULL);
	return 0;
}

void ending_destroy(struct ending *ending)
{
	pthread_mutex_destroy(&ending->lock);
	close_fd(&ending->known_fd);
}
