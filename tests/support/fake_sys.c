/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_sys.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

static bool fails_now(struct fake_sys *fake)
{
	return ++fake->calls == fake->fail_at;
}

static int fake_fd(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int fake_open(struct sys *sys, const char *path, int flags)
{
	struct fake_sys *fake = container_of(sys, struct fake_sys, sys);
	int ret;

	(void)flags;
	pthread_mutex_lock(&fake->lock);
	if (fails_now(fake))
		ret = -fake->fail_errno;
	else
		ret = strncmp(path, "/sys/", 5) == 0 && !fake->has_sysfs ? -ENOENT : fake_fd();
	pthread_mutex_unlock(&fake->lock);
	return ret;
}

static int check_extension(const struct fake_sys *fake, long extension)
{
	switch (extension) {
	case KVM_CAP_IRQ_ROUTING:
		return 4096;
	case KVM_CAP_MAX_VCPUS:
		return fake->max_vcpus;
	case KVM_CAP_MSI_DEVID:
		return 0;
	case KVM_CAP_COALESCED_MMIO:
		return 2; /* page of the vCPU mmap */
	default:
		return 1;
	}
}

/* KVM identifies user-defined routing entries only by GSI; it needs the whole table each time. */
static int set_routes(struct fake_sys *fake, const struct kvm_irq_routing *table)
{
	if (table->nr > FAKE_MAX_ROUTES)
		return -EINVAL;
	memcpy(fake->routes, table->entries, table->nr * sizeof(table->entries[0]));
	fake->route_count = table->nr;
	return 0;
}

static int set_irqfd(struct fake_sys *fake, const struct kvm_irqfd *irqfd)
{
	unsigned i = 0;

	while (i < fake->irqfd_count && fake->irqfds[i].fd != irqfd->fd)
		i++;
	if (irqfd->flags & KVM_IRQFD_FLAG_DEASSIGN) {
		if (i < fake->irqfd_count)
			fake->irqfds[i] = fake->irqfds[--fake->irqfd_count];
		return 0;
	}
	if (i < fake->irqfd_count)
		return -EBUSY;
	if (i == FAKE_MAX_IRQFDS)
		return -ENOSPC;
	fake->irqfds[fake->irqfd_count++] = *irqfd;
	return 0;
}

static int set_ioeventfd(struct fake_sys *fake, const struct kvm_ioeventfd *ioeventfd)
{
	unsigned i = 0;

	while (i < fake->ioeventfd_count && fake->ioeventfds[i].addr != ioeventfd->addr)
		i++;
	if (ioeventfd->flags & KVM_IOEVENTFD_FLAG_DEASSIGN) {
		if (i == fake->ioeventfd_count)
			return -ENOENT;
		fake->ioeventfds[i] = fake->ioeventfds[--fake->ioeventfd_count];
		return 0;
	}
	if (i < fake->ioeventfd_count)
		return -EEXIST;
	if (i == FAKE_MAX_IOEVENTFDS)
		return -ENOSPC;
	fake->ioeventfds[fake->ioeventfd_count++] = *ioeventfd;
	return 0;
}

static int create_vcpu(struct fake_sys *fake)
{
	int fd = fake_fd();

	if (fd >= 0 && fake->vcpu_count < ARRAY_SIZE(fake->vcpus))
		fake->vcpus[fake->vcpu_count++].fd = fd;
	return fd;
}

static int answer(struct fake_sys *fake, unsigned long request, void *arg)
{
	switch (request) {
	case KVM_GET_API_VERSION:
		return KVM_API_VERSION;
	case KVM_GET_VCPU_MMAP_SIZE:
		return 12288;
	case KVM_CREATE_VM:
		return fake_fd();
	case KVM_CREATE_VCPU:
		return create_vcpu(fake);
	case KVM_CHECK_EXTENSION:
		return check_extension(fake, (long)arg);
	case KVM_SET_GSI_ROUTING:
		return set_routes(fake, arg);
	case KVM_IRQFD:
		return set_irqfd(fake, arg);
	case KVM_IOEVENTFD:
		return set_ioeventfd(fake, arg);
	case KVM_SET_USER_MEMORY_REGION: {
		const struct kvm_userspace_memory_region *region = arg;

		if (region->slot >= ARRAY_SIZE(fake->slots))
			return -EINVAL;
		fake->slots[region->slot] = *region;
		return 0;
	}
	case KVM_IRQ_LINE: {
		const struct kvm_irq_level *irq = arg;

		if (fake->no_irqchip)
			return -ENXIO;
		if (irq->irq >= ARRAY_SIZE(fake->levels))
			return -EINVAL;
		fake->levels[irq->irq] = irq->level;
		return 0;
	}
	/* x86's KVM_GET_MSR_INDEX_LIST lists none; its KVM_GET_MSRS and KVM_SET_MSRS do all. */
	case _IOWR(KVMIO, 0x02, uint32_t):
		*(uint32_t *)arg = 0;
		return 0;
	case _IOWR(KVMIO, 0x88, uint64_t):
	case _IOW(KVMIO, 0x89, uint64_t):
		return (int)*(const uint32_t *)arg;
	default:
		return 0;
	}
}

static int fake_run(struct fake_sys *fake, int fd)
{
	for (unsigned i = 0; fake->run && i < fake->vcpu_count; i++)
		if (fake->vcpus[i].fd == fd)
			return fake->run(fake, fd, fake->vcpus[i].run);
	return -EINTR;
}

static int fake_ioctl(struct sys *sys, int fd, unsigned long request, void *arg)
{
	struct fake_sys *fake = container_of(sys, struct fake_sys, sys);
	int ret = FAKE_PASS;

	/* Runs a guest, perhaps for long: without the lock. */
	if (request == KVM_RUN)
		return fake_run(fake, fd);

	pthread_mutex_lock(&fake->lock);
	if (fake->request_count < FAKE_MAX_CALLS)
		fake->requests[fake->request_count++] = request;
	if (fails_now(fake))
		ret = -fake->fail_errno;
	else if (fake->hook)
		ret = fake->hook(fake, fd, request, arg);
	if (ret == FAKE_PASS)
		ret = answer(fake, request, arg);
	pthread_mutex_unlock(&fake->lock);
	return ret;
}

static int fake_write(struct sys *sys, int fd, const void *message, size_t len)
{
	(void)len;
	return fake_ioctl(sys, fd, FAKE_WRITE, (void *)(uintptr_t)message);
}

static void *fake_mmap(struct sys *sys, int fd, size_t len, int *err)
{
	struct fake_sys *fake = container_of(sys, struct fake_sys, sys);
	void *addr = NULL;

	*err = -fake->fail_errno;
	pthread_mutex_lock(&fake->lock);
	if (!fails_now(fake)) {
		addr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		*err = 0;
		for (unsigned i = 0; i < fake->vcpu_count; i++)
			if (fake->vcpus[i].fd == fd)
				fake->vcpus[i].run = addr;
	}
	pthread_mutex_unlock(&fake->lock);
	return addr;
}

static int fake_munmap(struct sys *sys, void *addr, size_t len)
{
	(void)sys;
	return munmap(addr, len);
}

static const struct sys_ops fake_ops = {
	.open = fake_open,
	.ioctl = fake_ioctl,
	.write = fake_write,
	.mmap = fake_mmap,
	.munmap = fake_munmap,
};

void fake_sys_init(struct fake_sys *fake)
{
	memset(fake, 0, sizeof(*fake));
	fake->sys.ops = &fake_ops;
	fake->fail_errno = EIO;
	fake->max_vcpus = 1024;
	pthread_mutex_init(&fake->lock, NULL);
}

void fake_sys_destroy(struct fake_sys *fake)
{
	pthread_mutex_destroy(&fake->lock);
}

unsigned fake_sys_count(const struct fake_sys *fake, unsigned long request)
{
	unsigned n = 0;

	for (unsigned i = 0; i < fake->request_count; i++)
		n += fake->requests[i] == request;
	return n;
}

unsigned fake_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

const struct kvm_irq_routing_entry *fake_route(const struct fake_sys *fake, uint32_t gsi)
{
	for (unsigned i = 0; i < fake->route_count; i++)
		if (fake->routes[i].gsi == gsi)
			return &fake->routes[i];
	return NULL;
}

bool fake_irqfd_attached(const struct fake_sys *fake, int fd, uint32_t *gsi)
{
	for (unsigned i = 0; i < fake->irqfd_count; i++) {
		if ((int)fake->irqfds[i].fd == fd) {
			if (gsi)
				*gsi = fake->irqfds[i].gsi;
			return true;
		}
	}
	return false;
}
