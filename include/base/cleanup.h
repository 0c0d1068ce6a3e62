/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scope-bound ownership of fds and heap memory.
 *
 * A variable marked `_cleanup_close_` or `_cleanup_free_` owns its value until the scope ends;
 * steal_fd() and steal_ptr() pass ownership on and leave the variable empty (-1, NULL). Any thread;
 * nothing here blocks except close(2).
 */
#ifndef KINGLET_BASE_CLEANUP_H
#define KINGLET_BASE_CLEANUP_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define __must_check __attribute__((warn_unused_result))
#define __printf(fmt, args) __attribute__((format(printf, fmt, args)))

#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Closes *fd if it is open and leaves -1. Keeps errno, so error paths can call it freely. */
static inline void close_fd(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}

/*
 * Checks that the fd of this number was inherited, and sets close-on-exec on it, as on every fd
 * that Kinglet opens. -EBADF: not inherited, because it is not open or has close-on-exec set
 * already.
 */
static inline __must_check int inherited_fd(int fd)
{
	if (fcntl(fd, F_GETFD) != 0)
		return -EBADF;
	return fcntl(fd, F_SETFD, FD_CLOEXEC) ? -errno : 0;
}

static inline void free_ptr(void *slot)
{
	free(*(void **)slot);
}

#define _cleanup_close_ __attribute__((cleanup(close_fd)))
#define _cleanup_free_ __attribute__((cleanup(free_ptr)))

/* Takes the fd out of *fd; the caller owns the returned value. */
static inline __must_check int steal_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Takes the pointer out of a _cleanup_free_ variable; the caller owns the returned memory. */
#define steal_ptr(slot)                                                                            \
	({                                                                                         \
		__typeof__(slot) taken_ = (slot);                                                  \
		(slot) = NULL;                                                                     \
		taken_;                                                                            \
	})

#endif
