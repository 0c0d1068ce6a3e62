/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The write log, one for each vhost: a bitmap in this process's memory in which the kernel's worker
 * sets the bit of each page that it writes, atomically and after the write; and how requests that
 * say so differ from those that do not (linux/vhost.h).
 */
#include "vhost_internal.h"

#include "base/log.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

enum { WORD_PAGES = 64 };

/* The first bit is for address 0. The kernel does not know how long the log is: it trusts us. */
static uint64_t words_needed(const struct vhost_table *table)
{
	uint64_t end = 0;

	for (unsigned i = 0; i < table->memory.nregions; i++) {
		const struct vhost_memory_region *region = &table->regions[i];
		uint64_t after = region->guest_phys_addr + region->memory_size;

		if (after > end)
			end = after;
	}
	return (end / VHOST_PAGE_SIZE + WORD_PAGES - 1) / WORD_PAGES;
}

static int set_base(struct vhost *vhost, const struct vhost_log *log)
{
	struct vhost_log_base base = {
		.address = (uintptr_t)log->words, .fd = log->fd, .len = log->count * sizeof(uint64_t)
	};

	return vhost_request(vhost, VHOST_SET_LOG_BASE, &base);
}

/* Of memory that a daemon can map. It cannot shrink it, which would be a SIGBUS here. */
static int new_log(struct vhost_log *log, uint64_t count)
{
	const size_t len = count * sizeof(*log->words);
	_cleanup_close_ int fd = memfd_create("kinglet-log", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)len) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	log->words = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (log->words == MAP_FAILED)
		return -errno;
	log->count = count;
	log->fd = steal_fd(&fd);
	return 0;
}

void vhost_log_free(struct vhost_log *log)
{
	if (log->words) {
		munmap(log->words, log->count * sizeof(*log->words));
		close_fd(&log->fd);
	}
	log->words = NULL;
	log->count = 0;
}

int vhost_set_features(struct vhost *vhost)
{
	uint64_t features = vhost->dev->acked & vhost->features;
	int ret = 0;

	if (vhost->relays)
		features &= ~(1ULL << VIRTIO_RING_F_EVENT_IDX);
	if (vhost->log.on) {
		features |= 1ULL << VHOST_F_LOG_ALL;
		ret = set_base(vhost, &vhost->log);
	}
	return ret < 0 ? ret : vhost_request(vhost, VHOST_SET_FEATURES, &features);
}

/* vhost uses addresses of this process, checked like those of a local ring. */
int vhost_set_addresses(struct vhost *vhost, unsigned index)
{
	const struct virtio_dev *dev = vhost->dev;
	const struct virtq *q = vhost->rings[index].q;
	struct vhost_vring_addr addr = { .index = index };
	struct virtq_rings rings;
	int ret = virtq_map(q, dev->mem, virtio_has(dev, VIRTIO_RING_F_EVENT_IDX), &rings);

	if (ret)
		return ret;
	if (vhost->relays)
		vhost_relay_map(&vhost->rings[index], &rings);
	addr.desc_user_addr = (uintptr_t)rings.desc;
	addr.avail_user_addr = (uintptr_t)rings.avail;
	addr.used_user_addr = (uintptr_t)rings.used;
	if (vhost->log.on) {
		addr.flags = 1U << VHOST_VRING_F_LOG;
		addr.log_guest_addr = q->state.used;
	}
	return vhost_request(vhost, VHOST_SET_VRING_ADDR, &addr);
}

int vhost_log_fit(struct vhost *vhost)
{
	struct vhost_log *log = &vhost->log, new = { .on = log->on };
	uint64_t count = words_needed(vhost->table);
	int ret;

	/* One that is off and still there: the kernel may write to it (turn_off()). */
	if ((!log->on && !log->words) || !count || count == log->count)
		return 0;
	ret = new_log(&new, count);
	if (ret) {
		log_error("%s: a write log of %llu bytes: %s", vhost->dev->name,
			  (unsigned long long)(count * sizeof(*new.words)), strerror(-ret));
		return ret;
	}
	/* The first one is set with the features. */
	if (vhost->started && log->words)
		ret = set_base(vhost, &new);
	if (ret < 0) {
		vhost_log_free(&new);
		return ret;
	}
	/* From here on the kernel does not write to the old one. */
	gmem_log_take(log->words, 0, WORD_PAGES * (count < log->count ? count : log->count),
		      new.words);
	vhost_log_free(log);
	*log = new;
	return 0;
}

/* A start tells the kernel by itself. A running ring is told between two of its chains. */
static int tell(struct vhost *vhost)
{
	int ret;

	if (!vhost->started)
		return 0;
	ret = vhost_set_features(vhost);
	for (unsigned i = 0; i < vhost->ring_count && ret >= 0; i++)
		if (vhost->rings[i].bound)
			ret = vhost_set_addresses(vhost, i);
	return ret;
}

static void turn_off(struct vhost *vhost)
{
	vhost->log.on = false;
	/* A kernel that refuses goes on writing to the log, which stays until the fd is closed. */
	if (tell(vhost) < 0)
		return;
	vhost_log_free(&vhost->log);
}

static int turn_on(struct vhost *vhost)
{
	int ret;

	if (!(vhost->features >> VHOST_F_LOG_ALL & 1)) {
		log_error("%s: its %s has no write log", vhost->dev->name,
			  vhost->kind->ops.name);
		return -EOPNOTSUPP;
	}
	vhost->log.on = true;
	ret = vhost_log_fit(vhost);
	if (ret >= 0)
		ret = tell(vhost);
	if (ret < 0)
		turn_off(vhost);
	return ret < 0 ? ret : 0;
}

static bool is_whole(const struct virtio_dev *dev)
{
	return !(dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* The device stops for a moment, and starts in the other way. */
static int relay(struct vhost *vhost, bool on)
{
	bool works;
	int ret = 0;

	if (vhost->relays == on)
		return 0;
	for (unsigned i = 0; i < vhost->ring_count && on && !ret; i++)
		ret = vhost_relay_init(&vhost->rings[i]);
	if (ret) {
		log_error("%s: its rings cannot be passed on: %s", vhost->dev->name, strerror(-ret));
		return ret;
	}
	works = is_whole(vhost->dev);
	virtio_hold(vhost->dev, VIRTIO_HELD_SWITCHED);
	vhost->relays = on;
	virtio_release(vhost->dev, VIRTIO_HELD_SWITCHED);
	return on && works && !is_whole(vhost->dev) ? -EIO : 0;
}

int vhost_log(struct gmem_listener *listener, bool on)
{
	struct vhost *vhost = container_of(listener, struct vhost, listener);
	int ret = 0;

	vhost_lock(vhost);
	if (!vhost->kind->logs_data)
		ret = relay(vhost, on);
	else if (on && !vhost->log.on)
		ret = turn_on(vhost);
	else if (!on && vhost->log.on)
		turn_off(vhost);
	pthread_mutex_unlock(&vhost->dev->lock);
	return ret;
}

/* Also of a stopped one: what it wrote before the stop. */
void vhost_log_take(struct gmem_listener *listener, const struct gmem_slot *slot, uint64_t *words)
{
	struct vhost *vhost = container_of(listener, struct vhost, listener);

	pthread_mutex_lock(&vhost->dev->lock);
	if (vhost->log.on)
		gmem_log_take(vhost->log.words, slot->gpa / VHOST_PAGE_SIZE,
			      slot->len / VHOST_PAGE_SIZE, words);
	pthread_mutex_unlock(&vhost->dev->lock);
}
