/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The observers of this folder (machine/observer.h): for --explain, --trace and --budget, and for
 * --stats.
 */
#ifndef KINGLET_TRACE_OBSERVER_H
#define KINGLET_TRACE_OBSERVER_H

#include "guestlog/guest_log.h"
#include "machine/observer.h"

/*
 * Phases of a run, in their usual order. Those after PHASE_RUN depend on the guest, and not every
 * guest shows them: a quiet kernel prints neither its banner nor the start of init.
 */
enum phase {
	PHASE_EXEC,   /* machine_run() begins */
	PHASE_LOAD,   /* the machine is built; next the kernel is loaded */
	PHASE_RUN,    /* the first KVM_RUN */
	PHASE_DEVICE, /* the first access to a device; a decompressor usually makes none */
	PHASE_KERNEL, /* "Linux version" on a console */
	PHASE_DRIVER, /* the first virtio device got DRIVER_OK */
	PHASE_INIT,   /* "Run /init as init process" on a console */
	PHASE_DOWN,   /* the verdict is known */
	PHASE_GONE,   /* everything is destroyed */
	PHASES,
};

/* What to report about a run, during it or afterwards. Strings are borrowed. */
struct watch_config {
	bool explain;		  /* narrate to standard error */
	const char *explain_page; /* an HTML file to write; or NULL */
	const char *trace;	  /* a trace-event file to write; or NULL */
	/* The time in ns from PHASE_EXEC in which a phase must be reached; 0: no limit. */
	uint64_t budgets[PHASES];
};

struct watch;

/* *watch is NULL if the config enables nothing. -ENOMEM. */
__must_check int watch_new(struct watch **watch, const struct watch_config *config);
/* After the machine has ended. NULL is allowed. */
void watch_free(struct watch *watch);

/* Its owner is a struct watch. */
extern const struct machine_observer_ops watch_ops;
/* Detects the kernel's phases in its output. */
struct line_listener watch_listener(struct watch *watch);

/* Prints statistics of the run at its end, and on SIGUSR1. */
struct stats {
	const struct machine_parts *parts; /* NULL at the start */
};

/* The same numbers; NULL: no memory. Machine's thread, while it runs. */
struct cJSON *stats_json(const struct machine_parts *parts);

/* Its owner is a struct stats. */
extern const struct machine_observer_ops stats_ops;

#endif
