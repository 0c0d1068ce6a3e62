/* SPDX-License-Identifier: Apache-2.0 */
#include "vhost_internal.h"

#include "base/log.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

void vhost_close(struct vhost *vhost)
{
	if (vhost->dev)
		gmem_del_listener(vhost->dev->mem, &vhost->listener);
	close_fd(&vhost->fd);
	/* After the fd: the kernel writes to these no more. */
	vhost_log_free(&vhost->log);
	for (unsigned i = 0; i < vhost->ring_count; i++) {
		vhost_relay_destroy(&vhost->rings[i]);
		close_fd(&vhost->rings[i].error.fd);
	}
	free(vhost->rings);
	free(vhost->table);
	vhost->rings = NULL;
	vhost->ring_count = 0;
	vhost->table = NULL;
	vhost->dev = NULL;
}

void vhost_free(struct vhost *vhost)
{
	vhost_close(vhost);
	free(vhost);
}

void vhost_destroy(struct backend *backend)
{
	vhost_free(container_of(backend, struct vhost, backend));
}

/* --- Memory table ----------------------------------------------------------------------------- */

static int set_table(struct vhost *vhost)
{
	return vhost_request(vhost, VHOST_SET_MEM_TABLE, &vhost->table->memory);
}

static int add_region(struct vhost *vhost, const struct gmem_slot *slot)
{
	struct vhost_table *table = vhost->table;
	int ret;

	if (table->memory.nregions == GMEM_MAX_SLOTS)
		return -ENOSPC;
	table->files[table->memory.nregions].fd = slot->fd;
	table->files[table->memory.nregions].offset = slot->offset;
	table->regions[table->memory.nregions++] = (struct vhost_memory_region){
		.guest_phys_addr = slot->gpa,
		.memory_size = slot->len,
		.userspace_addr = (uintptr_t)slot->hva,
	};
	ret = vhost_log_fit(vhost);
	if (ret >= 0 && vhost->started)
		ret = set_table(vhost);
	if (ret < 0)
		table->memory.nregions--;
	return ret < 0 ? ret : 0;
}

static int add_slot(struct gmem_listener *listener, const struct gmem_slot *slot)
{
	struct vhost *vhost = container_of(listener, struct vhost, listener);
	int ret;

	vhost_lock(vhost);
	ret = add_region(vhost, slot);
	pthread_mutex_unlock(&vhost->dev->lock);
	return ret;
}

/* The memory is unmapped even if this fails: a vhost that still has it must not run. */
static void remove_region(struct vhost *vhost, const struct gmem_slot *slot)
{
	struct vhost_table *table = vhost->table;
	unsigned i = 0;

	while (i < table->memory.nregions && table->regions[i].guest_phys_addr != slot->gpa)
		i++;
	if (i == table->memory.nregions)
		return;
	table->regions[i] = table->regions[--table->memory.nregions];
	table->files[i] = table->files[table->memory.nregions];
	if (vhost->started && set_table(vhost) < 0)
		virtio_broken(vhost->dev, "vhost keeps memory that is gone");
	/* A log that is too long does no harm. */
	(void)!vhost_log_fit(vhost);
}

static void remove_slot(struct gmem_listener *listener, const struct gmem_slot *slot)
{
	struct vhost *vhost = container_of(listener, struct vhost, listener);

	vhost_lock(vhost);
	remove_region(vhost, slot);
	pthread_mutex_unlock(&vhost->dev->lock);
}

/* --- Binding ---------------------------------------------------------------------------------- */

/* vhost found an invalid ring, or an address outside its memory table. */
static void ring_failed(struct loop_event *event, uint32_t events)
{
	struct vhost_ring *ring = container_of(event, struct vhost_ring, error);
	struct virtio_dev *dev = ring->vhost->dev;
	char reason[64];

	(void)events;
	pthread_mutex_lock(&dev->lock);
	virtio_count(&dev->loop_wakeups);
	if (eventfd_drain(event->fd) && ring->bound) {
		snprintf(reason, sizeof(reason), "%s reports an error on queue %u",
			 ring->vhost->kind->ops.name, ring->q->index);
		virtio_broken(dev, reason);
	}
	pthread_mutex_unlock(&dev->lock);
}

static int init_rings(struct vhost *vhost, struct virtio_dev *dev, unsigned first, unsigned count)
{
	vhost->rings = calloc(count, sizeof(*vhost->rings));
	if (!vhost->rings)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++) {
		struct vhost_ring *ring = &vhost->rings[i];

		*ring = (struct vhost_ring){
			.vhost = vhost,
			.q = &dev->queues[first + i],
			.error = { .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
				   .fn = ring_failed },
		};
		if (ring->error.fd < 0)
			return -errno;
		vhost->ring_count++;
	}
	return 0;
}

static int bind(struct vhost *vhost, struct virtio_dev *dev, unsigned first, unsigned count)
{
	int ret = init_rings(vhost, dev, first, count);

	if (ret)
		return ret;
	vhost->table = calloc(1, sizeof(*vhost->table));
	if (!vhost->table)
		return -ENOMEM;
	vhost->dev = dev;
	vhost->listener = (struct gmem_listener){
		.add = add_slot, .remove = remove_slot, .log = vhost_log, .take = vhost_log_take
	};
	ret = gmem_add_listener(dev->mem, &vhost->listener);
	if (ret)
		return ret;
	for (unsigned i = 0; i < count; i++)
		vhost->rings[i].q->backend = &vhost->backend;
	return 0;
}

int vhost_bind(struct vhost *vhost, struct virtio_dev *dev, unsigned first, unsigned count)
{
	int ret = bind(vhost, dev, first, count);

	if (ret) {
		log_error("%s: %s: %s", dev->name, vhost->kind->ops.name, strerror(-ret));
		vhost->backend.ops->destroy(&vhost->backend);
	}
	return ret;
}

int vhost_read_indices(const struct vhost *vhost, unsigned index, uint16_t *avail, uint16_t *used)
{
	struct virtq_rings rings;
	int ret = virtq_map(vhost->rings[index].q, vhost->dev->mem,
			    virtio_has(vhost->dev, VIRTIO_RING_F_EVENT_IDX), &rings);

	if (ret)
		return ret;
	*avail = le16toh(__atomic_load_n(&((struct vring_avail *)rings.avail)->idx,
					 __ATOMIC_ACQUIRE));
	*used = le16toh(__atomic_load_n(&((struct vring_used *)rings.used)->idx, __ATOMIC_ACQUIRE));
	return 0;
}

/* --- Start and stop --------------------------------------------------------------------------- */

/* KICK last: if one is pending, vhost reads the ring at once. */
static int start_ring(struct vhost *vhost, unsigned index)
{
	struct vhost_ring *ring = &vhost->rings[index];
	struct virtq *q = ring->q;
	struct vhost_vring_state size = { index, q->state.size };
	struct vhost_vring_state base = { index, q->state.last_avail };
	struct vhost_vring_file error = { index, ring->error.fd };
	struct vhost_vring_file call = { index, q->irq.fd }, kick = { index, q->kick_fd };
	int ret = 0;

	ring->bound = true;
	if (vhost->relays) {
		call.fd = vhost_relay_call_fd(ring);
		kick.fd = vhost_relay_kick_fd(ring);
		ret = vhost_relay_start(ring);
	}
	if (ret >= 0)
		ret = vhost_request(vhost, VHOST_SET_VRING_NUM, &size);
	if (ret >= 0)
		ret = vhost_request(vhost, VHOST_SET_VRING_BASE, &base);
	if (ret >= 0)
		ret = vhost_set_addresses(vhost, index);
	if (ret >= 0)
		ret = vhost_request(vhost, VHOST_SET_VRING_ERR, &error);
	if (ret >= 0)
		ret = vhost_request(vhost, VHOST_SET_VRING_CALL, &call);
	if (ret >= 0)
		ret = vhost_request(vhost, VHOST_SET_VRING_KICK, &kick);
	if (ret >= 0)
		ret = loop_add(vhost->dev->loop, &ring->error, EPOLLIN);
	if (ret >= 0)
		q->running = true;
	return ret;
}

/* Nothing is in flight, so every chain that the kernel took was also used. */
static void stop_running(struct vhost_ring *ring, unsigned index)
{
	struct vhost_vring_state base = { .index = index };
	struct vhost *vhost = ring->vhost;
	struct virtq *q = ring->q;
	int ret = vhost_request(vhost, VHOST_GET_VRING_BASE, &base);

	if (vhost->relays)
		vhost_relay_stop(ring, ret < 0 ? q->state.last_avail : (uint16_t)base.num);
	else if (ret >= 0)
		q->state.last_avail = q->state.used_index = (uint16_t)base.num;
	q->running = false;
	if (ret < 0 && virtio_resumes(vhost->dev))
		virtio_broken(vhost->dev, "vhost does not say where it stopped");
}

/*
 * Undoes start_ring(), even if it failed half-way. A failing ioctl has been logged; what vhost then
 * still holds is released with its fd.
 */
static void stop_ring(struct vhost *vhost, unsigned index)
{
	struct vhost_ring *ring = &vhost->rings[index];
	struct vhost_vring_file nothing = { index, VHOST_FILE_UNBIND };
	const struct virtq *q = ring->q;

	if (!ring->bound)
		return;
	(void)!vhost_request(vhost, VHOST_SET_VRING_KICK, &nothing);
	(void)!vhost_request(vhost, VHOST_SET_VRING_CALL, &nothing);
	(void)!vhost_request(vhost, VHOST_SET_VRING_ERR, &nothing);
	loop_remove(vhost->dev->loop, &ring->error);
	eventfd_drain(ring->error.fd);

	ring->bound = false;
	if (q->running)
		stop_running(ring, index);
}

static void stop_rings(struct vhost *vhost)
{
	for (unsigned i = vhost->ring_count; i--;)
		stop_ring(vhost, i);
}

static int start_rings(struct vhost *vhost)
{
	for (unsigned i = 0; i < vhost->ring_count; i++) {
		const struct virtq *q = vhost->rings[i].q;
		int ret = 0;

		if (q->backend == &vhost->backend && q->state.enabled)
			ret = start_ring(vhost, i);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* Chains made available while the rings were stopped have had no kick. */
static void kick_rings(struct vhost *vhost)
{
	for (unsigned i = 0; i < vhost->ring_count; i++)
		if (vhost->rings[i].bound)
			eventfd_signal(vhost->rings[i].q->kick_fd);
}

int vhost_start(struct backend *backend, struct virtio_dev *dev)
{
	struct vhost *vhost = container_of(backend, struct vhost, backend);
	int ret;

	(void)dev;
	ret = vhost_set_features(vhost);
	if (ret >= 0)
		ret = set_table(vhost);
	if (ret >= 0)
		ret = start_rings(vhost);
	if (ret >= 0)
		ret = vhost->kind->vhost.run(vhost);
	if (ret < 0) {
		stop_rings(vhost);
		return ret;
	}
	vhost->started = true;
	kick_rings(vhost);
	return 0;
}

void vhost_stop(struct backend *backend, struct virtio_dev *dev)
{
	struct vhost *vhost = container_of(backend, struct vhost, backend);

	(void)dev;
	if (!vhost->started)
		return;
	vhost->started = false;
	vhost->kind->vhost.halt(vhost);
	stop_rings(vhost);
}
