/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The observers of this folder (machine/observer.h): what --explain, --trace and --budget see of a
 * run, and what --stats says of its cost.
 */
#ifndef KINGLET_TRACE_OBSERVER_H
#define KINGLET_TRACE_OBSERVER_H

#include "guestlog/guest_log.h"
#include "machine/observer.h"

/*
 * Moments of a run, in the order in which they usually come. Those after PHASE_RUN are the guest's
 * own, and not every guest shows them: a quiet kernel prints neither banner nor the start of init.
 */
enum phase {
	PHASE_EXEC,   /* machine_run() begins */
	PHASE_LOAD,   /* the machine is built; the kernel is going to be loaded */
	PHASE_RUN,    /* the first KVM_RUN */
	PHASE_DEVICE, /* the first access to a device; a decompressor makes none, as a rule */
	PHASE_KERNEL, /* "Linux version" on a console */
	PHASE_DRIVER, /* the first virtio device got DRIVER_OK */
	PHASE_INIT,   /* "Run /init as init process" on a console */
	PHASE_DOWN,   /* the verdict is known */
	PHASE_GONE,   /* all is taken down */
	PHASES,
};

/* What is told of a run while it goes on, or when it is over. Strings are borrowed. */
struct watch_config {
	bool explain;		  /* narrate to standard error */
	const char *explain_page; /* an HTML file to write; or NULL */
	const char *trace;	  /* a trace-event file to write; or NULL */
	/* A phase must be reached within so many ns from PHASE_EXEC on; 0: whenever. */
	uint64_t budgets[PHASES];
};

struct watch;

/* *watch is NULL when the config wants nothing of it. -ENOMEM. */
__must_check int watch_new(struct watch **watch, const struct watch_config *config);
/* The machine is gone. NULL is fine. */
void watch_free(struct watch *watch);

/* Its owner is a struct watch. */
extern const struct machine_observer_ops watch_ops;
/* It sees the kernel's phases in what that prints. */
struct line_listener watch_listener(struct watch *watch);

/* Says at the end of a run, and when it is asked, what the run has cost so far. */
struct stats {
	const struct machine_parts *parts; /* NULL at the start */
};

/* Its owner is a struct stats. */
extern const struct machine_observer_ops stats_ops;

#endif
