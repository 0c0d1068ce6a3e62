/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What --explain, --trace and --budget see of a run: the tracer behind struct sys, and what the
 * threads that make events have done so far. Private to vmm/trace.
 *
 * Events come on every thread. Each has a record of its own, which needs no lock; what the threads
 * share is under `lock`, a leaf: its holder calls nothing else. Without --explain, --trace or
 * --budget there is no watch, and sys->trace is NULL.
 */
#ifndef KINGLET_TRACE_WATCH_H
#define KINGLET_TRACE_WATCH_H

#include "phases.h"

#include "machine/machine.h"
#include "trace/costs.h"
#include "trace/fd_names.h"
#include "trace/narrate.h"
#include "trace/wiring.h"

#include <pthread.h>
#include <stdio.h>

enum { CAUSE_LEN = COST_NAME, FOLDS_MAX = 4, FOLD_KEY_LEN = 160 };

/* Lines that were said already: while nothing else happens, more of the kind are counted. */
struct fold {
	char key[FOLD_KEY_LEN];
	char what[CAUSE_LEN + 16]; /* "write to COM1", "KVM_IRQ_LINE" */
	uint64_t more;
};

/* What a thread has done; used by that thread only, until it is gone. */
struct watched_thread {
	struct watch *watch;
	struct watched_thread *next;
	int tid;
	char name[16];
	/* An exit is over when the thread enters the guest again. */
	bool in_exit;
	uint64_t exit_ns; /* when it began */
	char cause[CAUSE_LEN], what[200]; /* the exit in few words, and in full */
	struct costs exits, calls;
	uint64_t runs, guest_ns, exits_ns; /* KVM_RUNs, time in all of them, and between them */
	struct fold folds[FOLDS_MAX];
	unsigned fold_count;
	uint64_t folded_since; /* the first that was counted, ns */
	char *trace_buf;       /* events for the trace file, owned; NULL without one */
	size_t trace_len;
	uint64_t trace_since; /* when the first of them was put there, ns */
};

struct watch {
	struct watch_config config;
	const struct machine_parts *parts; /* borrowed */
	bool details; /* every event is wanted, and not phases only */
	pthread_key_t key; /* struct watched_thread */
	pthread_mutex_t lock;
	struct watched_thread *threads; /* owned; under lock */
	struct fd_names names;
	struct wiring wiring; /* under lock */
	/* Of threads that are gone, under lock; the last two by thread. */
	struct costs exits, calls, in_guest, in_exits;
	struct phases phases;
	struct trace_file *trace; /* owned; NULL without --trace */
	FILE *page;		  /* of --explain=html, owned; NULL without it */
	/* A trace without the threads' events, owned; NULL without --trace and --explain=html. */
	FILE *facts;
	char *facts_text;
	size_t facts_len;
};

/* --- explain.c: the narration. The event's own thread. --- */

void explain_event(struct watched_thread *thread, const struct narration *n,
		   const struct narrate_entry *entry);
/* Says what is still counted. */
void explain_flush(struct watched_thread *thread);

/* --- trace_file.c: the trace-event file. --- */

#define TRACE_TAIL "\n]}\n"

/* After trace_begin(). Logs on failure. */
__must_check int trace_file_open(struct watch *watch, const char *path);
/* An ioctl, an open or a note. The event's own thread. */
void trace_event(struct watched_thread *thread, const struct narration *n,
		 const struct narrate_entry *entry);
/* A span of the event's own thread: `category` "guest" or "exit"; `what` may be empty. */
void trace_span(struct watched_thread *thread, const char *category, const char *name,
		const char *what, uint64_t start_ns, uint64_t end_ns);
/* A thread makes its first event. */
void trace_thread(struct watched_thread *thread);
/* Writes what the thread has collected. */
void trace_flush(struct watched_thread *thread);
/*
 * After trace_totals(). The file is whole, or false, and that has been logged. All threads but this
 * and the main one are gone.
 */
bool trace_file_close(struct watch *watch);
/* Appends any text, to be put between quotes. */
void trace_add_string(struct text *out, const char *string);

/* --- trace_facts.c: what a trace says of the run as a whole. Machine's thread. --- */

__must_check int trace_begin(struct watch *watch);
/* The machine as it is now; no vCPU runs. */
void trace_machine(struct watch *watch);
/* The rest: phases, costs, verdict. All threads but this and the main one are gone. */
void trace_totals(struct watch *watch, const struct verdict *verdict);

/* --- page.c: --explain=html. Machine's thread. --- */

/* Logs on failure. */
__must_check int page_open(struct watch *watch, const char *path);
/* After trace_totals(). Writes the page; false: that has failed, and is logged. */
bool page_close(struct watch *watch);

#endif
