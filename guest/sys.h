/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls without a C library, by their names in <asm/unistd.h>: only those that every
 * architecture has. Each returns what the kernel does: a negative errno on failure.
 */
#ifndef KINGLET_GUEST_SYS_H
#define KINGLET_GUEST_SYS_H

#include <asm/unistd.h>
#include <fcntl.h>
#include <stdint.h>

/* Kinglet's files (include/cmd/guest_init.h), and systems before the root is complete. */
#define FOLDER "/.kinglet"
#define EARLY_DEV FOLDER "/dev"
#define EARLY_SYS FOLDER "/sys"

/* start.S: the sixth argument is 0. */
long sys_call(long number, long a, long b, long c, long d, long e);

#define SYS(name, a, b, c, d, e)                                                                   \
	sys_call(__NR_##name, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e))

static inline int sys_open(const char *path, int flags)
{
	return (int)SYS(openat, AT_FDCWD, path, flags, 0, 0);
}

static inline void sys_close(int *fd)
{
	if (*fd >= 0)
		SYS(close, *fd, 0, 0, 0, 0);
	*fd = -1;
}

static inline long sys_read(int fd, void *buf, unsigned long len)
{
	return SYS(read, fd, buf, len, 0, 0);
}

static inline long sys_write(int fd, const void *buf, unsigned long len)
{
	return SYS(write, fd, buf, len, 0, 0);
}

static inline void sys_exit(int status)
{
	for (;;)
		SYS(exit_group, status, 0, 0, 0, 0);
}

#endif
