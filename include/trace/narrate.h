/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The meaning of an ioctl or an exit, in one plain sentence.
 *
 * One table for each kernel header with requests. A sentence is for learning: the request to the
 * kernel, with decoded arguments.
 */
#ifndef KINGLET_TRACE_NARRATE_H
#define KINGLET_TRACE_NARRATE_H

#include "core/bus.h"
#include "core/sys.h"
#include "trace/fd_names.h"

/* The input of a sentence. */
struct narration {
	const struct sys_event *event;
	struct fd_names *names;
	struct bus *pio, *mmio; /* for addresses; NULL before there are buses */
};

struct narrate_entry {
	unsigned long request;
	const char *name; /* "KVM_CREATE_VM" */
	const char *doc;  /* where it is documented: "api.rst 4.2" */
	/* What the call does, without full stop; "@" is the fd with its name, "#" its number. */
	const char *text;
	/* Appends the arguments. The rest may be NULL. */
	void (*say)(struct text *out, const struct narration *n);
	/* The call succeeded: appends the result. */
	void (*answer)(struct text *out, const struct narration *n);
	/* The call succeeded: gives fds names. */
	void (*learn)(const struct narration *n);
};

struct narrate_table {
	const struct narrate_entry *entries;
	unsigned count;
};

/*
 * KVM's requests common to all architectures, those only of this one, those of taps, of vhost and of
 * vDPA.
 */
extern const struct narrate_table narrate_kvm, narrate_arch, narrate_tun, narrate_vhost, narrate_vdpa;

/* NULL when no table has the request. */
const struct narrate_entry *narrate_find(unsigned long request);

/*
 * The whole sentence of an ioctl, a message, a run or a note, preceded by the request's name; with the error
 * if it failed. `entry` may be NULL.
 */
void narrate_event(struct text *out, const struct narration *n, const struct narrate_entry *entry);

/* A message to a vhost: event->kind is SYS_WRITE. */
void narrate_message(struct text *out, const struct narration *n);

/* One exit in full: event->kind is SYS_RUN. */
void narrate_exit(struct text *out, const struct narration *n);

/*
 * The cause of an exit in a few words, the same for all exits with that cause, for counting: "write
 * to COM1", "read of PCI ECAM", "interruption", "HLT".
 */
void narrate_exit_cause(struct text *out, const struct narration *n);

/* --- narrate_words.c --- */

/* Appends a text like that of an entry. */
void narrate_text(struct text *out, const struct narration *n, const char *text);

/* An entry's answer: the result as ": 12", or as "; it is fd 5". */
void narrate_number_result(struct text *out, const struct narration *n);
void narrate_fd_result(struct text *out, const struct narration *n);

/* Appends the device and register at an address: "COM1 (line status)"; "no device" when none is. */
void narrate_place(struct text *out, struct bus *bus, uint64_t addr);

/* Appends `number` with commas: "1,204". */
void narrate_number(struct text *out, uint64_t number);

#endif
