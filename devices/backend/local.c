/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/local.h"

struct local_queue {
	struct loop_event kick;
	struct virtq *q; /* borrowed */
};

/* Room for every queue of the device: a model may bind it to more than it was created for. */
struct local_backend {
	struct backend backend;
	unsigned count;
	struct local_queue queues[];
};

static void kicked(struct loop_event *event, uint32_t events)
{
	struct virtq *q = container_of(event, struct local_queue, kick)->q;
	struct virtio_dev *dev = q->dev;

	(void)events;
	pthread_mutex_lock(&dev->lock);
	virtio_count(&dev->loop_wakeups);
	/* Drained first: a kick during serve wakes us again. Stopped meanwhile: nothing to do. */
	eventfd_drain(q->kick_fd);
	if (q->running)
		dev->model->serve(dev, q);
	pthread_mutex_unlock(&dev->lock);
}

static void local_stop(struct backend *backend, struct virtio_dev *dev)
{
	struct local_backend *local = container_of(backend, struct local_backend, backend);
	bool running = false;

	for (unsigned i = 0; i < local->count; i++) {
		if (local->queues[i].q->backend != backend)
			continue;
		running |= local->queues[i].q->running;
		loop_remove(dev->loop, &local->queues[i].kick);
	}
	if (!running)
		return;
	/* The rings are still mapped: requests that complete now can be pushed. */
	if (dev->model->quiesce)
		dev->model->quiesce(dev);
	for (unsigned i = 0; i < local->count; i++)
		if (local->queues[i].q->backend == backend)
			virtq_stop(local->queues[i].q);
}

static int start_queue(struct local_queue *local, struct virtio_dev *dev)
{
	struct virtq *q = local->q;
	int ret = virtq_start(q, dev->mem, virtio_has(dev, VIRTIO_RING_F_EVENT_IDX),
			      virtio_has(dev, VIRTIO_RING_F_INDIRECT_DESC));

	if (ret)
		return ret;
	ret = loop_add(dev->loop, &local->kick, EPOLLIN);
	if (ret)
		return ret;
	/* Buffers that were made available before DRIVER_OK have had no kick. */
	eventfd_signal(q->kick_fd);
	return 0;
}

static int local_start(struct backend *backend, struct virtio_dev *dev)
{
	struct local_backend *local = container_of(backend, struct local_backend, backend);

	for (unsigned i = 0; i < local->count; i++) {
		const struct virtq *q = local->queues[i].q;
		int ret;

		if (q->backend != backend || !q->state.enabled)
			continue;
		ret = start_queue(&local->queues[i], dev);
		if (ret) {
			local_stop(backend, dev);
			return ret;
		}
	}
	return 0;
}

static void local_destroy(struct backend *backend)
{
	free(container_of(backend, struct local_backend, backend));
}

static const struct backend_ops local_ops = {
	.name = "local",
	.start = local_start,
	.stop = local_stop,
	.destroy = local_destroy,
};

int local_backend_bind(struct virtio_dev *dev, unsigned first, unsigned count)
{
	struct local_backend *local =
		calloc(1, sizeof(*local) + dev->queue_count * sizeof(local->queues[0]));

	if (!local)
		return -ENOMEM;
	local->backend.ops = &local_ops;
	local->count = dev->queue_count;
	for (unsigned i = 0; i < dev->queue_count; i++)
		local->queues[i] = (struct local_queue){
			.kick = { .fd = dev->queues[i].kick_fd, .fn = kicked },
			.q = &dev->queues[i],
		};
	for (unsigned i = first; i < first + count; i++)
		dev->queues[i].backend = &local->backend;
	return 0;
}
