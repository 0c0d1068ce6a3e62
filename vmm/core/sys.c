/* SPDX-License-Identifier: Apache-2.0 */
#include "core/sys.h"

#include "base/real_time.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

static int real_open(struct sys *sys, const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	(void)sys;
	return fd < 0 ? -errno : fd;
}

static int real_ioctl(struct sys *sys, int fd, unsigned long request, void *arg)
{
	int ret = ioctl(fd, request, arg);

	(void)sys;
	return ret < 0 ? -errno : ret;
}

static int real_write(struct sys *sys, int fd, const void *message, size_t len)
{
	ssize_t n = write(fd, message, len);

	(void)sys;
	return n < 0 ? -errno : (size_t)n == len ? 0 : -EIO;
}

static void *real_mmap(struct sys *sys, int fd, size_t len, int *err)
{
	void *addr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	(void)sys;
	if (addr == MAP_FAILED) {
		*err = -errno;
		return NULL;
	}
	*err = 0;
	return addr;
}

static int real_munmap(struct sys *sys, void *addr, size_t len)
{
	(void)sys;
	return munmap(addr, len) ? -errno : 0;
}

static const struct sys_ops real_ops = {
	.open = real_open,
	.ioctl = real_ioctl,
	.write = real_write,
	.mmap = real_mmap,
	.munmap = real_munmap,
};

void sys_init(struct sys *sys)
{
	*sys = (struct sys){ .ops = &real_ops };
}

uint64_t sys_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return timespec_ns(ts);
}

/*
 * Traced calls are out of line: without a tracer, a call costs a test and a jump, without a stack
 * frame for the event.
 */
static __attribute__((noinline)) int traced_open(struct sys *sys, const struct sys_site *site,
						 const char *path, int flags)
{
	struct sys_event event = { .kind = SYS_OPEN, .site = site, .fd = -1, .arg = path };

	event.start_ns = sys_now_ns();
	event.result = sys->ops->open(sys, path, flags);
	event.end_ns = sys_now_ns();
	sys->trace(sys, &event);
	return event.result;
}

/* `shown` is the tracer's argument. */
static __attribute__((noinline)) int traced_ioctl(struct sys *sys, enum sys_event_kind kind,
						  const struct sys_site *site, int fd,
						  unsigned long request, void *arg,
						  const void *shown)
{
	struct sys_event event = {
		.kind = kind, .site = site, .fd = fd, .request = request, .arg = shown
	};

	event.start_ns = sys_now_ns();
	event.result = sys->ops->ioctl(sys, fd, request, arg);
	event.end_ns = sys_now_ns();
	sys->trace(sys, &event);
	return event.result;
}

static __attribute__((noinline)) int traced_write(struct sys *sys, const struct sys_site *site,
						  int fd, const void *message, size_t len)
{
	struct sys_event event = { .kind = SYS_WRITE, .site = site, .fd = fd, .arg = message };

	event.start_ns = sys_now_ns();
	event.result = sys->ops->write(sys, fd, message, len);
	event.end_ns = sys_now_ns();
	sys->trace(sys, &event);
	return event.result;
}

int sys_open_from(struct sys *sys, const struct sys_site *site, const char *path, int flags)
{
	return sys->trace ? traced_open(sys, site, path, flags) : sys->ops->open(sys, path, flags);
}

int sys_ioctl_from(struct sys *sys, const struct sys_site *site, int fd, unsigned long request,
		   void *arg)
{
	if (__builtin_expect(sys->trace != NULL, 0))
		return traced_ioctl(sys, SYS_IOCTL, site, fd, request, arg, arg);
	return sys->ops->ioctl(sys, fd, request, arg);
}

int sys_write_from(struct sys *sys, const struct sys_site *site, int fd, const void *message,
		   size_t len)
{
	return sys->trace ? traced_write(sys, site, fd, message, len) :
			    sys->ops->write(sys, fd, message, len);
}

int sys_run_from(struct sys *sys, const struct sys_site *site, int fd, const struct kvm_run *run)
{
	if (__builtin_expect(sys->trace != NULL, 0))
		return traced_ioctl(sys, SYS_RUN, site, fd, KVM_RUN, NULL, run);
	return sys->ops->ioctl(sys, fd, KVM_RUN, NULL);
}

void sys_note_from(struct sys *sys, const struct sys_site *site, enum sys_topic topic, int fd,
		   const char *fmt, ...)
{
	char text[200];
	struct sys_event event = {
		.kind = SYS_NOTE, .topic = topic, .site = site, .fd = fd, .arg = text
	};
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	event.start_ns = event.end_ns = sys_now_ns();
	sys->trace(sys, &event);
}
