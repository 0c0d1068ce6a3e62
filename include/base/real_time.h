/* SPDX-License-Identifier: Apache-2.0 */
/* The host's time of day: for a guest's clock and a snapshot's age, not for waiting. */
#ifndef KINGLET_BASE_REAL_TIME_H
#define KINGLET_BASE_REAL_TIME_H

#include <stdint.h>
#include <time.h>

/* Not time(2), whose second may begin some milliseconds later. */
static inline struct timespec real_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now;
}

static inline uint64_t timespec_ns(struct timespec t)
{
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

#endif
