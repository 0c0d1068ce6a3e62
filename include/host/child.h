/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that Kinglet starts: a command of its user, or a program that works for a device, is
 * watched, and ends with it. Machine's thread unless stated otherwise.
 */
#ifndef KINGLET_HOST_CHILD_H
#define KINGLET_HOST_CHILD_H

#include "core/loop.h"

#include <sys/types.h>

/* Standard input, output and error, and descriptor 3. */
enum { CHILD_FDS = 4 };

/*
 * Starts argv[0], which is looked for in PATH; argv ends with NULL. fds[n], if not -1, becomes its
 * descriptor n; it has no other than these and Kinglet's standard ones. Signals are to it what they
 * are to any command, although they are blocked here. session: it has one of its own, so that a
 * terminal's signals do not reach it. Does not wait for it. Errors of posix_spawn(3). Any thread.
 */
__must_check int child_spawn(pid_t *pid, const char *const argv[], const int fds[CHILD_FDS],
			     bool session);

/*
 * Finds a program, a regular file that may be executed, in PATH or where distributions put those
 * that are for other programs, on the host whose root folder is `root`. 0 and its path, or -ENOENT.
 * Any thread.
 */
__must_check int child_find(const char *root, const char *program, char *path, size_t len);

/* A program of a device. */
struct child {
	pid_t pid;	  /* 0: none, or it has ended */
	struct loop *loop; /* borrowed; NULL: not watched */
	struct loop_event end;	/* its fd: a pidfd, owned */
	struct loop_event text; /* its fd: the program's standard error, owned */
	/* The last line that it wrote to standard error. */
	char line[160];
	size_t line_len;
	bool line_ended;
	/*
	 * It has ended, and nobody had stopped it; `how` is "exit status 1: its last line". May
	 * call child_stop(). Loop thread.
	 */
	void (*ended)(struct child *child, const char *how);
};

/*
 * Starts a program in a session of its own, with nothing for standard input and `fd` as descriptor
 * 3, and waits until it has written something to standard output, which it may open again by its
 * name in /proc as another user; 0 seconds: it does not wait. *child is zeroed but for `ended`. 0;
 * -EIO: it has ended, and `why` is as above; -ETIMEDOUT: it has not done so within `seconds`; errors
 * of posix_spawn(3) and pipe2(2). It does not run then.
 */
__must_check int child_start(struct child *child, const char *const argv[], int fd,
			     unsigned seconds, char *why, size_t len);

/* From now on child->ended is called when it ends. Errors of epoll_ctl(2). */
__must_check int child_watch(struct child *child, struct loop *loop);

/* Kills it if it runs, and waits for its end. Idempotent. */
void child_stop(struct child *child);

/*
 * The same for one that is about to end by itself, since its socket has been closed: it has half a
 * second for that. `how` is as above, or empty if it had ended before.
 */
void child_let_end(struct child *child, char *how, size_t len);

#endif
