/* SPDX-License-Identifier: Apache-2.0 */
/* The data for the report and the page. Private to vmm/trace. */
#ifndef KINGLET_TRACE_TRACE_READER_H
#define KINGLET_TRACE_TRACE_READER_H

#include "trace/costs.h"
#include "trace/trace.h"

#include <cjson/cJSON.h>

enum { TRACE_PHASES = 16, TRACE_THREADS = 64 };

struct trace_phase {
	char name[16], what[80];
	uint64_t at, lasts; /* ns */
};

struct trace_thread {
	int tid;
	char name[16];
};

/* By the name of the exit, request or interrupt; or by thread: time in the guest and in exits. */
enum trace_sum {
	TRACE_EXITS,
	TRACE_CALLS,
	TRACE_GUEST,
	TRACE_KINGLET,
	TRACE_INTERRUPTS, /* those of events only */
	TRACE_SUMS,
};

struct trace {
	char version[32]; /* of the Kinglet that wrote it */
	struct trace_phase phases[TRACE_PHASES]; /* in order of time */
	unsigned phase_count;
	uint64_t end; /* of the last phase, ns */
	struct trace_thread threads[TRACE_THREADS];
	unsigned thread_count;
	struct costs sums[TRACE_SUMS]; /* exits and calls: most expensive first */
	bool totals; /* the sums are the run's own; else those of the events so far */
	cJSON *facts; /* one array per name, owned: see trace_facts.c */
	unsigned fact_count;
};

bool trace_has_phase(const struct trace *trace, const char *name);

/* The facts of a name, for cJSON_ArrayForEach(); NULL: there is none. */
const cJSON *trace_facts(const struct trace *trace, const char *name);
/* A member of a fact; "" and 0 when it is missing or of another type. */
const char *trace_string(const cJSON *fact, const char *key);
uint64_t trace_number(const cJSON *fact, const char *key);
/* Whether it exists. */
bool trace_has(const cJSON *fact, const char *key);

static inline double trace_ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

#endif
