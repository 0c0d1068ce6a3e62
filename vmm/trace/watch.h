/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For --explain, --trace and --budget: the tracer of struct sys, and what each thread has done so
 * far. Private to vmm/trace.
 *
 * Events occur on every thread. Each thread has its own record, which needs no lock; shared data is
 * under `lock`, a leaf: its holder calls nothing else. Without --explain, --trace or --budget there
 * is no watch, and sys->trace is NULL.
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

/* Lines already printed: repetitions are counted until something else happens. */
struct fold {
	char key[FOLD_KEY_LEN];
	char what[CAUSE_LEN + 16]; /* "write to COM1", "KVM_IRQ_LINE" */
	uint64_t more;
};

/* What a thread has done; used only by that thread, until it has ended. */
struct watched_thread {
	struct watch *watch;
	struct watched_thread *next;
	int tid;
	char name[16];
	/* An exit ends when the thread enters the guest again. */
	bool in_exit;
	uint64_t exit_ns; /* when it began */
	char cause[CAUSE_LEN], what[200]; /* the exit in a few words, and in full */
	struct costs exits, calls;
	uint64_t runs, guest_ns, exits_ns; /* KVM_RUNs, time in all of them, and between them */
	struct fold folds[FOLDS_MAX];
	unsigned fold_count;
	uint64_t folded_since; /* time of the first counted one, ns */
	char *trace_buf;       /* events for the trace file, owned; NULL without one */
	size_t trace_len;
	uint64_t trace_since; /* time of the first of them, ns */
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
	/* Of threads that have ended, under lock; the last two by thread. */
	struct costs exits, calls, in_guest, in_exits;
	struct phases phases;
	struct trace_file *trace; /* owned; NULL without --trace */
	FILE *page;		  /* of --explain=html, owned; NULL without it */
	/* A trace without the threads' events, owned; NULL without --trace and --explain=html. */
	FILE *facts;
	char *facts_text;
	size_t facts_len;
	unsigned moves; /* facts about migrations */
};

/* --- explain.c: the narration. The event's own thread. --- */

void explain_event(struct watched_thread *thread, const struct narration *n,
		   const struct narrate_entry *entry);
/* Prints pending counts. */
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
/* The first event of a thread. */
void trace_thread(struct watched_thread *thread);
/* Writes the events collected by the thread. */
void trace_flush(struct watched_thread *thread);
/*
 * After trace_totals(). True if the file is complete; else the error has been logged. All threads
 * except this and the main one have ended.
 */
bool trace_file_close(struct watch *watch);
/* Appends any text, escaped for use between quotes. */
void trace_add_string(struct text *out, const char *string);

/* --- trace_facts.c: the facts about the run as a whole. Machine's thread. --- */

__must_check int trace_begin(struct watch *watch);
/* A migration gets on. */
void trace_move(struct watch *watch, const struct machine_progress *progress);
/* The machine as it is now; no vCPU runs. */
void trace_machine(struct watch *watch);
/* The rest: phases, costs, verdict. All threads except this and the main one have ended. */
void trace_totals(struct watch *watch, const struct verdict *verdict);

/* --- page.c: --explain=html. Machine's thread. --- */

/* Logs on failure. */
__must_check int page_open(struct watch *watch, const char *path);
/* After trace_totals(). Writes the page; false on failure, which is logged. */
bool page_close(struct watch *watch);

#endif
