/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_vhost.h"

#include <linux/virtio_ring.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>

void fake_vhost_init(struct fake_vhost *kernel, struct loop *loop, uint64_t supported)
{
	*kernel = (struct fake_vhost){ .loop = loop, .supported = supported };
	for (unsigned i = 0; i < FAKE_VHOST_RINGS; i++)
		kernel->rings[i] = (struct fake_vring){
			.kernel = kernel, .err = -1, .call = -1, .kick = -1, .backend = -1
		};
}

unsigned fake_vhost_running(const struct fake_vhost *kernel)
{
	unsigned count = 0;

	for (unsigned i = 0; i < FAKE_VHOST_RINGS; i++)
		count += kernel->rings[i].backend >= 0;
	return count;
}

static void signal_fd(int fd)
{
	if (fd >= 0)
		eventfd_write(fd, 1);
}

static bool has_feature(const struct fake_vhost *kernel, unsigned bit)
{
	return kernel->features >> bit & 1;
}

/* --- The worker ------------------------------------------------------------------------------- */

struct chain {
	uint16_t head;
	unsigned out, in; /* entries of iov */
	struct iovec iov[FAKE_VHOST_IOV];
	uint64_t gpas[FAKE_VHOST_IOV]; /* of iov */
};

/* log_write() of the kernel; a log that is too short is asan's to find. */
static void log_write(struct fake_vhost *kernel, uint64_t gpa, uint64_t len)
{
	uint8_t *bytes = (uint8_t *)(uintptr_t)kernel->log_base;

	if (!bytes) {
		kernel->refusals++;
		return;
	}
	for (uint64_t page = gpa / VHOST_PAGE_SIZE; page <= (gpa + len - 1) / VHOST_PAGE_SIZE; page++)
		__atomic_fetch_or(&bytes[page / 8], (uint8_t)(1U << page % 8), __ATOMIC_RELEASE);
}

static void report(const struct fake_vhost *kernel, const void *hva, uint64_t len)
{
	if (kernel->wrote)
		kernel->wrote(kernel->owner, hva, len);
}

/* Of a write to the used ring, `offset` from its start. */
static void log_used(struct fake_vring *ring, uint64_t offset, uint64_t len)
{
	report(ring->kernel, (const void *)(uintptr_t)(ring->addr.used_user_addr + offset), len);
	if (ring->addr.flags & 1U << VHOST_VRING_F_LOG)
		log_write(ring->kernel, ring->addr.log_guest_addr + offset, len);
}

/* Adds guest memory to the chain, one piece per region. */
static bool translate(const struct fake_vhost *kernel, struct chain *chain, uint64_t gpa,
		      uint64_t len)
{
	while (len) {
		const struct vhost_memory_region *r = kernel->regions;
		const struct vhost_memory_region *end = r + kernel->memory.nregions;
		uint64_t n;

		while (r < end &&
		       (gpa < r->guest_phys_addr || gpa - r->guest_phys_addr >= r->memory_size))
			r++;
		if (r == end || chain->out + chain->in == FAKE_VHOST_IOV)
			return false;
		n = r->memory_size - (gpa - r->guest_phys_addr);
		n = n < len ? n : len;
		chain->iov[chain->out + chain->in] = (struct iovec){
			(void *)(uintptr_t)(r->userspace_addr + gpa - r->guest_phys_addr), n
		};
		chain->gpas[chain->out + chain->in] = gpa;
		/* The caller selects the half by where it counts from. */
		chain->in++;
		gpa += n;
		len -= n;
	}
	return true;
}

static bool add_descriptor(const struct fake_vhost *kernel, struct chain *chain,
			   const struct vring_desc *d)
{
	unsigned before = chain->in;

	if (!(d->flags & VRING_DESC_F_WRITE) && chain->in)
		return false;
	if (!translate(kernel, chain, d->addr, d->len))
		return false;
	if (!(d->flags & VRING_DESC_F_WRITE)) {
		chain->out += chain->in - before;
		chain->in = before;
	}
	return true;
}

/* A table of `count` descriptors; that of the ring when `indirect` may still follow. */
static bool walk_table(const struct fake_vhost *kernel, struct chain *chain,
		       const struct vring_desc *table, unsigned count, unsigned at, bool indirect)
{
	for (unsigned steps = 0; steps < count; steps++) {
		struct vring_desc d;

		if (at >= count)
			return false;
		memcpy(&d, &table[at], sizeof(d));
		if (d.flags & VRING_DESC_F_INDIRECT) {
			struct chain where = { 0 };

			if (!indirect || !d.len || d.len % sizeof(d) || d.len / sizeof(d) > 1024 ||
			    !translate(kernel, &where, d.addr, d.len) || where.in != 1)
				return false;
			return walk_table(kernel, chain, where.iov[0].iov_base,
					  (unsigned)(d.len / sizeof(d)), 0, false);
		}
		if (!add_descriptor(kernel, chain, &d))
			return false;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return true;
		at = d.next;
	}
	return false;
}

/* Returns the received data. */
static uint32_t echo(struct fake_vhost *kernel, const struct chain *chain)
{
	unsigned o = 0, i = chain->out;
	size_t from = 0, to = 0;
	uint32_t copied = 0;

	while (o < chain->out && i < chain->out + chain->in) {
		size_t n = chain->iov[o].iov_len - from, room = chain->iov[i].iov_len - to;

		n = n < room ? n : room;
		memmove((char *)chain->iov[i].iov_base + to, (char *)chain->iov[o].iov_base + from,
			n);
		report(kernel, (char *)chain->iov[i].iov_base + to, n);
		if (has_feature(kernel, VHOST_F_LOG_ALL))
			log_write(kernel, chain->gpas[i] + to, n);
		copied += (uint32_t)n;
		from += n;
		to += n;
		if (from == chain->iov[o].iov_len)
			o++, from = 0;
		if (to == chain->iov[i].iov_len)
			i++, to = 0;
	}
	return copied;
}

static void put_used(struct fake_vring *ring, uint16_t head, uint32_t written)
{
	struct vring_used *used = (void *)(uintptr_t)ring->addr.used_user_addr;

	struct vring_used_elem *elem = &used->ring[ring->used % ring->num];

	*elem = (struct vring_used_elem){ head, written };
	log_used(ring, (uint64_t)((char *)elem - (char *)used), sizeof(*elem));
	__atomic_store_n(&used->idx, ++ring->used, __ATOMIC_RELEASE);
	log_used(ring, offsetof(struct vring_used, idx), sizeof(used->idx));
}

/* The driver's event suppression, virtio 1.2 §2.7.7. */
static bool wants_call(const struct fake_vring *ring, uint16_t before)
{
	const struct vring_avail *avail = (void *)(uintptr_t)ring->addr.avail_user_addr;

	if (has_feature(ring->kernel, VIRTIO_RING_F_EVENT_IDX))
		return vring_need_event(avail->ring[ring->num], ring->used, before);
	return !(avail->flags & VRING_AVAIL_F_NO_INTERRUPT);
}

/* vhost's worker: until the ring is empty or invalid. */
static void walk(struct fake_vring *ring)
{
	const struct vring_avail *avail = (void *)(uintptr_t)ring->addr.avail_user_addr;
	const struct vring_desc *desc = (void *)(uintptr_t)ring->addr.desc_user_addr;
	struct vring_used *used = (void *)(uintptr_t)ring->addr.used_user_addr;
	uint16_t before = ring->used, index = avail->idx;
	bool good = (uint16_t)(index - ring->base) <= ring->num;

	while (good && (uint16_t)ring->base != index) {
		struct chain chain = { .head = avail->ring[ring->base % ring->num] };

		good = walk_table(ring->kernel, &chain, desc, ring->num, chain.head, true);
		if (!good)
			break;
		ring->base = (uint16_t)(ring->base + 1);
		put_used(ring, chain.head, echo(ring->kernel, &chain));
	}
	if (has_feature(ring->kernel, VIRTIO_RING_F_EVENT_IDX)) {
		uint16_t next = (uint16_t)ring->base;

		memcpy(&used->ring[ring->num], &next, sizeof(next));
		log_used(ring, sizeof(*used) + ring->num * sizeof(used->ring[0]), sizeof(next));
	}
	if (ring->used != before && wants_call(ring, before))
		signal_fd(ring->call);
	if (!good)
		signal_fd(ring->err);
}

static void kicked(struct loop_event *event, uint32_t events)
{
	struct fake_vring *ring = container_of(event, struct fake_vring, event);
	eventfd_t count;

	(void)events;
	if (ring->walked && !eventfd_read(event->fd, &count))
		walk(ring);
}

/* Polls the kick of a ring that is switched on, and of no other. */
static void follow_kick(struct fake_vring *ring)
{
	bool wanted = ring->backend >= 0 && ring->kick >= 0 && ring->kernel->loop;

	if (ring->walked && (!wanted || ring->event.fd != ring->kick)) {
		loop_remove(ring->kernel->loop, &ring->event);
		ring->walked = false;
	}
	if (wanted && !ring->walked) {
		ring->event = (struct loop_event){ .fd = ring->kick, .fn = kicked };
		ring->walked = !loop_add(ring->kernel->loop, &ring->event, EPOLLIN);
	}
}

/* --- ioctls ----------------------------------------------------------------------------------- */

static int switch_ring(struct fake_vring *ring, int fd)
{
	const struct vring_used *used = (void *)(uintptr_t)ring->addr.used_user_addr;

	if (fd >= 0 && (!used || !ring->kernel->memory.nregions))
		return -EFAULT;
	/* vhost_vq_init_access() */
	if (fd >= 0 && ring->backend < 0 && ring->kernel->loop)
		ring->used = used->idx;
	ring->backend = fd;
	follow_kick(ring);
	return 0;
}

/* Only this kind handles pending requests: vhost_poll_start() on the tap. */
static int switch_net_ring(struct fake_vring *ring, int fd)
{
	int ret = switch_ring(ring, fd);

	if (!ret && fd >= 0)
		signal_fd(ring->kick);
	return ret;
}

static int set_file(struct fake_vring *ring, unsigned long request, int fd)
{
	if (request == VHOST_SET_VRING_ERR)
		ring->err = fd;
	else if (request == VHOST_SET_VRING_CALL)
		ring->call = fd;
	else
		ring->kick = fd;
	follow_kick(ring);
	return 0;
}

static int set_addr(struct fake_vring *ring, const struct vhost_vring_addr *addr)
{
	if (addr->flags & ~(1U << VHOST_VRING_F_LOG))
		return -EOPNOTSUPP;
	if (addr->desc_user_addr % 16 || addr->avail_user_addr % 2 || addr->used_user_addr % 4 ||
	    addr->log_guest_addr % 4)
		return -EINVAL;
	/* The kernel would take them, and walk the new rings by the old indices. */
	if (ring->backend >= 0 && (addr->desc_user_addr != ring->addr.desc_user_addr ||
				   addr->avail_user_addr != ring->addr.avail_user_addr ||
				   addr->used_user_addr != ring->addr.used_user_addr))
		return -EINVAL;
	ring->addr = *addr;
	return 0;
}

static int set_num(struct fake_vring *ring, unsigned num)
{
	if (ring->backend >= 0)
		return -EBUSY;
	if (!num || num > 0xffff || num & (num - 1))
		return -EINVAL;
	ring->num = num;
	return 0;
}

static int set_base(struct fake_vring *ring, unsigned base)
{
	if (ring->backend >= 0)
		return -EBUSY;
	if (base > 0xffff)
		return -EINVAL;
	ring->base = base;
	return 0;
}

static int ring_ioctl(struct fake_vhost *kernel, unsigned long request, void *arg)
{
	struct vhost_vring_state *state = arg;
	const struct vhost_vring_file *file = arg;
	struct fake_vring *ring;

	/* All their arguments begin with the index. */
	if (state->index >= FAKE_VHOST_RINGS)
		return -ENOBUFS;
	ring = &kernel->rings[state->index];
	switch (request) {
	case VHOST_SET_VRING_NUM:
		return set_num(ring, state->num);
	case VHOST_SET_VRING_BASE:
		return set_base(ring, state->num);
	case VHOST_GET_VRING_BASE:
		state->num = ring->base;
		return 0;
	case VHOST_SET_VRING_ADDR:
		return set_addr(ring, arg);
	case VHOST_SET_VRING_ERR:
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_KICK:
		return set_file(ring, request, file->fd);
	case VHOST_SET_VRING_BUSYLOOP_TIMEOUT:
		ring->poll_us = state->num;
		return 0;
	case VHOST_NET_SET_BACKEND:
		return switch_net_ring(ring, file->fd);
	default:
		return -ENOTTY;
	}
}

static int set_memory(struct fake_vhost *kernel, const struct vhost_memory *memory)
{
	if (memory->padding)
		return -EOPNOTSUPP;
	if (memory->nregions > GMEM_MAX_SLOTS)
		return -E2BIG;
	kernel->memory.nregions = memory->nregions;
	memcpy(kernel->regions, memory->regions, memory->nregions * sizeof(kernel->regions[0]));
	return 0;
}

/* Only logging changes while rings run: the kernel would take other bits, too. */
static int set_features(struct fake_vhost *kernel, uint64_t features)
{
	uint64_t changed = (kernel->features ^ features) & ~(1ULL << VHOST_F_LOG_ALL);

	if (features & ~kernel->supported)
		return -EOPNOTSUPP;
	if (changed && fake_vhost_running(kernel))
		return -EINVAL;
	kernel->features = features;
	return 0;
}

/* The rings that were set up; the fake has more than any device. */
static int set_running(struct fake_vhost *kernel, bool running)
{
	int ret = 0;

	for (unsigned i = 0; i < FAKE_VHOST_RINGS && !ret; i++)
		if (kernel->rings[i].kick >= 0 || !running)
			ret = switch_ring(&kernel->rings[i], running ? kernel->rings[i].kick : -1);
	return ret;
}

static int device_ioctl(struct fake_vhost *kernel, unsigned long request, void *arg)
{
	if (request == VHOST_SET_OWNER) {
		kernel->owned = true;
		return 0;
	}
	if (!kernel->owned && request != VHOST_GET_FEATURES)
		return -EPERM;
	switch (request) {
	case VHOST_GET_FEATURES:
		*(uint64_t *)arg = kernel->supported;
		return 0;
	case VHOST_SET_FEATURES:
		return set_features(kernel, *(uint64_t *)arg);
	case VHOST_SET_LOG_BASE:
		kernel->log_base = *(uint64_t *)arg;
		return 0;
	case VHOST_SET_MEM_TABLE:
		return set_memory(kernel, arg);
	case VHOST_VSOCK_SET_RUNNING:
		return set_running(kernel, *(int *)arg);
	case VHOST_VSOCK_SET_GUEST_CID:
		return 0;
	case VHOST_SCSI_GET_ABI_VERSION:
		*(int *)arg = VHOST_SCSI_ABI_VERSION;
		return 0;
	case VHOST_SCSI_SET_ENDPOINT:
		return set_running(kernel, true);
	case VHOST_SCSI_CLEAR_ENDPOINT:
		return set_running(kernel, false);
	default:
		return ring_ioctl(kernel, request, arg);
	}
}

int fake_vhost_ioctl(struct fake_vhost *kernel, unsigned long request, void *arg)
{
	int ret;

	if (_IOC_TYPE(request) != VHOST_VIRTIO)
		return FAKE_PASS;
	ret = device_ioctl(kernel, request, arg);
	kernel->refusals += ret < 0;
	return ret;
}
