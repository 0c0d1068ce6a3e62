/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one door to the kernel's ioctls. Every KVM, vhost and tun ioctl, and every KVM_RUN, goes
 * through sys_ioctl(), so that a run can be narrated and timed, and so that the unit tests can put
 * a fake kernel behind it (and make its Nth call fail).
 */
#ifndef KINGLET_CORE_SYS_H
#define KINGLET_CORE_SYS_H

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sys;

/* What a tracer is told after each ioctl. `arg` is valid during the call only. */
struct sys_event {
	int fd;
	unsigned long request;
	void *arg;
	int result;	   /* >= 0, or a negative errno */
	uint64_t start_ns; /* CLOCK_MONOTONIC */
	uint64_t end_ns;
};

struct sys_ops {
	/* open(2) of a device node with O_CLOEXEC added; the caller owns the fd. Negative errno. */
	int (*open)(struct sys *sys, const char *path, int flags);
	/* Returns what ioctl(2) returns, or a negative errno. Must be thread-safe. */
	int (*ioctl)(struct sys *sys, int fd, unsigned long request, void *arg);
	/* mmap of an fd (shared, read-write), for the vCPU's kvm_run. Negative errno in *err. */
	void *(*mmap)(struct sys *sys, int fd, size_t len, int *err);
	int (*munmap)(struct sys *sys, void *addr, size_t len);
};

struct sys {
	const struct sys_ops *ops;
	/* NULL: not traced, and then no clock is read. Called on the thread that made the ioctl. */
	void (*trace)(struct sys *sys, const struct sys_event *event);
	void *trace_data;
};

/* The real kernel. `*sys` is plain data: nothing to destroy. */
void sys_init(struct sys *sys);

/* Opens a device node (/dev/kvm, /dev/net/tun, /dev/vhost-net). Caller owns the fd; negative errno. */
__must_check int sys_open(struct sys *sys, const char *path, int flags);

/*
 * ioctl(2) with the errno in the result: >= 0, or a negative errno. Any thread. EINTR is returned,
 * never retried: KVM_RUN needs it.
 */
__must_check int sys_ioctl(struct sys *sys, int fd, unsigned long request, void *arg);

/* For requests whose argument is a number, not a pointer (KVM_CREATE_VCPU, KVM_CHECK_EXTENSION). */
__must_check int sys_ioctl_value(struct sys *sys, int fd, unsigned long request, unsigned long value);

#endif
