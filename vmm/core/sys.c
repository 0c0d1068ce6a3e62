/* SPDX-License-Identifier: Apache-2.0 */
#include "core/sys.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

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
	.mmap = real_mmap,
	.munmap = real_munmap,
};

void sys_init(struct sys *sys)
{
	*sys = (struct sys){ .ops = &real_ops };
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

int sys_open(struct sys *sys, const char *path, int flags)
{
	return sys->ops->open(sys, path, flags);
}

int sys_ioctl(struct sys *sys, int fd, unsigned long request, void *arg)
{
	struct sys_event event;

	if (!sys->trace)
		return sys->ops->ioctl(sys, fd, request, arg);

	event = (struct sys_event){ .fd = fd, .request = request, .arg = arg };
	event.start_ns = now_ns();
	event.result = sys->ops->ioctl(sys, fd, request, arg);
	event.end_ns = now_ns();
	sys->trace(sys, &event);
	return event.result;
}

int sys_ioctl_value(struct sys *sys, int fd, unsigned long request, unsigned long value)
{
	return sys_ioctl(sys, fd, request, (void *)value);
}
