/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Live migration: the two state machines of docs/migration.md, which know the machine by a few
 * functions only. Private to vmm/machine.
 */
#ifndef KINGLET_MACHINE_MIGRATE_H
#define KINGLET_MACHINE_MIGRATE_H

#include "migrate_frame.h"
#include "migrate_pages.h"

#include "core/loop.h"
#include "machine/observer.h"

/* --- The source ------------------------------------------------------------------------------- */

enum migrate_result {
	MIGRATE_FAILED,	 /* the machine goes on here, as if there had been nothing */
	MIGRATE_DONE,	 /* it runs there */
	MIGRATE_UNKNOWN, /* it may run there, so it stands still here: not thawed */
};

/* What the machine does. Loop thread. */
struct migrate_source_ops {
	/* A state file with what FRAME_HELLO, or FRAME_STATE, is to say, to the empty file `fd`. */
	int (*describe)(void *owner, int fd);
	/* FRAME_STATE's is asked for while it stands still, and may write to RAM. */
	int (*save)(void *owner, int fd);
	/* As core/dirty.h has it. */
	int (*log_start)(void *owner);
	int (*log_read)(void *owner, void (*dirty)(void *set, uint64_t gpa), void *set);
	page_clear_fn *log_clear; /* or NULL */
	void (*log_stop)(void *owner);
	/* vCPUs and devices stand still. */
	int (*freeze)(void *owner);
	void (*progressed)(void *owner, const struct machine_progress *progress); /* or NULL */
	/*
	 * The last call; lets a frozen machine go on after MIGRATE_FAILED. `why` is one line, valid
	 * during it; "" for MIGRATE_DONE. May not free the source.
	 */
	void (*ended)(void *owner, enum migrate_result result, const char *why);
};

struct migrate_source_options {
	int fd; /* to the target, owned from here on: a stream socket */
	struct loop *loop;
	struct gmem *mem;
	uint64_t downtime_ns; /* the machine is to stand still for no longer than this */
	const struct migrate_source_ops *ops;
	void *owner;
};

struct migrate_source;

/* -ENOMEM. To be freed after loop_run() has returned, as loop.h has it of events. */
__must_check int migrate_source_new(struct migrate_source **source);
/* Without a call of ended(): of a machine that has ended. NULL is allowed. */
void migrate_source_free(struct migrate_source *source);

/*
 * Begins one, unless another is going on, which is the caller's to know: everything else is done by
 * the loop, in steps of some milliseconds, and calls the ops. -ENOMEM, errno of fcntl(2),
 * epoll_ctl(2), timerfd_create(2): the fd is closed then, and nothing is called.
 */
__must_check int migrate_source_start(struct migrate_source *source,
				      const struct migrate_source_options *options);

/* Ends it as MIGRATE_FAILED. -EALREADY: there is none; -EBUSY: FRAME_COMMIT is on its way. */
__must_check int migrate_source_cancel(struct migrate_source *source);

/* --- The target ------------------------------------------------------------------------------- */

struct migrate_target {
	int fd;	     /* to the source, borrowed: a stream socket */
	int wake_fd; /* borrowed; readable: give up. -1: never */
	struct gmem *mem;
	/* Loads FRAME_STATE's file, borrowed, into the machine, which then could run. Logs. */
	int (*load)(void *owner, int fd);
	void *owner;
	/* Bytes that have been read from `fd` and not used; zero at first. */
	struct {
		uint8_t bytes[1024];
		size_t at, end, max; /* max: none are read ahead, or so many */
	} ahead;
};

/*
 * Waits for FRAME_HELLO: the fd of a file with its state file, which the caller owns. Logs.
 * -EBADMSG: something else came; -ECANCELED: woken; -ETIMEDOUT, -ECONNRESET: the source went away;
 * errno of the host.
 */
__must_check int migrate_target_hello(struct migrate_target *target);
/*
 * The machine is built, its RAM is all zeros, and its vCPUs have not run: fills it. 0: it is this
 * one that must run now. Otherwise it must not; logs, and tells the source. Errors as above, and
 * those of load().
 */
__must_check int migrate_target_fill(struct migrate_target *target);
/*
 * Tells the source at the other end of `fd` why there is no such machine, or that it cannot be
 * loaded: cut at ERROR_TEXT_MAX bytes. If it has been told before, this one is not read.
 */
void migrate_target_refuse(int fd, const char *why);

#endif
