/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only path to the kernel's ioctls. Every KVM, vhost and tun ioctl, every KVM_RUN and every
 * message written to a vhost goes through sys_ioctl(), sys_run() or sys_write(), so that a run can
 * be narrated and timed, and so that unit tests can use a fake kernel (and make its Nth call fail).
 */
#ifndef KINGLET_CORE_SYS_H
#define KINGLET_CORE_SYS_H

#include "base/cleanup.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sys;
struct kvm_run;

/* A line of Kinglet's source that makes a call, in static storage. */
struct sys_site {
	const char *file; /* as given to the compiler: relative to the source folder */
	unsigned line;
};

#define SYS_HERE                                                                                   \
	({                                                                                         \
		static const struct sys_site here_ = { __FILE__, __LINE__ };                       \
		&here_;                                                                            \
	})

enum sys_event_kind {
	SYS_OPEN,  /* sys_open(): arg is the path, result the fd */
	SYS_IOCTL, /* sys_ioctl() */
	SYS_WRITE, /* sys_write(): arg is the message */
	SYS_RUN,   /* sys_run(): arg is the vCPU's struct kvm_run; the exit is not handled yet */
	SYS_NOTE,  /* sys_note(): not a system call; arg is a sentence about `topic` */
};

/* What a note is about. */
enum sys_topic {
	SYS_TOPIC_INTERRUPT, /* Kinglet raises the interrupt line of `fd` */
	SYS_TOPIC_DEVICE,    /* a virtio device's status changed, by the driver or the device */
	SYS_TOPIC_QUEUE,     /* queues start or stop running */
	SYS_TOPIC_PHASE,     /* the run enters another phase */
	SYS_TOPIC_MOVE,	     /* a migration gets on */
};

/* What a tracer gets after each call. `arg` is valid during the callback only. */
struct sys_event {
	enum sys_event_kind kind;
	enum sys_topic topic; /* of a note */
	const struct sys_site *site;
	int fd; /* -1: none */
	unsigned long request;
	const void *arg;
	int result;	   /* >= 0, or a negative errno */
	uint64_t start_ns; /* CLOCK_MONOTONIC */
	uint64_t end_ns;
};

struct sys_ops {
	/* open(2) of a device node with O_CLOEXEC added; the caller owns the fd. Negative errno. */
	int (*open)(struct sys *sys, const char *path, int flags);
	/* Returns what ioctl(2) returns, or a negative errno. Must be thread-safe. */
	int (*ioctl)(struct sys *sys, int fd, unsigned long request, void *arg);
	/* write(2) of a whole message: 0, or a negative errno; -EIO if less was taken. */
	int (*write)(struct sys *sys, int fd, const void *message, size_t len);
	/* mmap of an fd (shared, read-write), for the vCPU's kvm_run. Negative errno in *err. */
	void *(*mmap)(struct sys *sys, int fd, size_t len, int *err);
	int (*munmap)(struct sys *sys, void *addr, size_t len);
};

struct sys {
	const struct sys_ops *ops;
	/*
	 * NULL: no tracing, and no clock is read. Called on the thread that made the call, which
	 * may hold a device's lock; it must not make calls that are traced. Set before other
	 * threads run.
	 */
	void (*trace)(struct sys *sys, const struct sys_event *event);
	void *trace_data;
};

/* The real kernel. `*sys` is plain data: nothing to destroy. */
void sys_init(struct sys *sys);

/* CLOCK_MONOTONIC, the clock of events. */
uint64_t sys_now_ns(void);

/*
 * Opens a device node (/dev/kvm, /dev/net/tun, /dev/vhost-net). Caller owns the fd; negative errno.
 */
#define sys_open(sys, path, flags) sys_open_from(sys, SYS_HERE, path, flags)
__must_check int sys_open_from(struct sys *sys, const struct sys_site *site, const char *path,
			       int flags);

/*
 * ioctl(2) with the errno in the result: >= 0, or a negative errno. Any thread. EINTR is returned,
 * never retried: KVM_RUN needs it. Wrappers pass on the site of their caller.
 */
#define sys_ioctl(sys, fd, request, arg) sys_ioctl_from(sys, SYS_HERE, fd, request, arg)
__must_check int sys_ioctl_from(struct sys *sys, const struct sys_site *site, int fd,
				unsigned long request, void *arg);

/* For requests whose argument is a number, not a pointer (KVM_CREATE_VCPU, KVM_CHECK_EXTENSION). */
#define sys_ioctl_value(sys, fd, request, value)                                                   \
	sys_ioctl_from(sys, SYS_HERE, fd, request, (void *)(unsigned long)(value))

/* Writes a message of `len` bytes to a device: 0, or a negative errno. Any thread. */
#define sys_write(sys, fd, message, len) sys_write_from(sys, SYS_HERE, fd, message, len)
__must_check int sys_write_from(struct sys *sys, const struct sys_site *site, int fd,
				const void *message, size_t len);

/* KVM_RUN on a vCPU's fd; `run` is for the tracer. */
#define sys_run(sys, fd, run) sys_run_from(sys, SYS_HERE, fd, run)
__must_check int sys_run_from(struct sys *sys, const struct sys_site *site, int fd,
			      const struct kvm_run *run);

/*
 * Tells the tracer, if there is one, what no ioctl shows: one sentence, cut at 200 bytes. `fd`:
 * what it is about, or -1. The arguments are evaluated only if there is a tracer. Any thread.
 */
#define sys_note(to, topic, fd, ...)                                                               \
	do {                                                                                       \
		struct sys *noting_ = (to);                                                        \
		if (__builtin_expect(noting_->trace != NULL, 0))                                   \
			sys_note_from(noting_, SYS_HERE, topic, fd, __VA_ARGS__);                  \
	} while (0)
void sys_note_from(struct sys *sys, const struct sys_site *site, enum sys_topic topic, int fd,
		   const char *fmt, ...) __printf(5, 6);

#endif
