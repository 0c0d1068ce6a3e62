/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/virtio.h"

#include "base/checked.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

enum {
	DRIVER_BITS = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
		      VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK |
		      VIRTIO_CONFIG_S_FAILED,
	INTRODUCED = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER,
};

/* What the driver set up, as after power-on (virtio 1.2 §4.1.4.3: size is the offered maximum). */
static struct virtq_state fresh_state(const struct virtq *q)
{
	return (struct virtq_state){ .size = q->max_size, .vector = VIRTQ_NO_VECTOR };
}

static int init_queue(struct virtio_dev *dev, unsigned index, struct irqs *irqs, uint16_t max_size)
{
	struct virtq *q = &dev->queues[index];

	*q = (struct virtq){ .dev = dev, .index = index, .max_size = max_size, .irq.fd = -1 };
	q->state = fresh_state(q);
	q->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->kick_fd < 0)
		return -errno;
	return irq_line_init(&q->irq, irqs, NULL);
}

static void free_queue(struct virtq *q)
{
	virtq_stop(q);
	irq_line_destroy(&q->irq);
	close_fd(&q->kick_fd);
}

int virtio_dev_init(struct virtio_dev *dev, const struct virtio_model *model,
		    const struct virtio_env *env, unsigned instance, uint64_t features,
		    unsigned config_len, unsigned queue_count, uint16_t max_size)
{
	int ret;

	*dev = (struct virtio_dev){
		.model = model,
		.mem = env->mem,
		.loop = env->loop,
		.watcher = env->watcher,
		.offered = features | 1ULL << VIRTIO_F_VERSION_1,
		.config_len = config_len,
	};
	snprintf(dev->name, sizeof(dev->name), "%s %u", model->name, instance);
	ret = -pthread_mutex_init(&dev->lock, NULL);
	if (ret)
		return ret;
	ret = irq_line_init(&dev->config_irq, env->irqs, NULL);
	if (ret)
		goto err_lock;
	dev->queues = calloc(queue_count, sizeof(*dev->queues));
	if (!dev->queues) {
		ret = -ENOMEM;
		goto err_irq;
	}
	for (; dev->queue_count < queue_count; dev->queue_count++) {
		ret = init_queue(dev, dev->queue_count, env->irqs, max_size);
		if (ret)
			goto err_queues;
	}
	return 0;

err_queues:
	/* The one that failed may hold its kick fd. */
	for (unsigned i = 0; i <= dev->queue_count; i++)
		free_queue(&dev->queues[i]);
	free(dev->queues);
err_irq:
	irq_line_destroy(&dev->config_irq);
err_lock:
	pthread_mutex_destroy(&dev->lock);
	return ret;
}

/* The backend of queue `index` if no queue before it has the same one, else NULL. */
static struct backend *new_backend_at(const struct virtio_dev *dev, unsigned index)
{
	struct backend *backend = dev->queues[index].backend;

	for (unsigned i = 0; i < index; i++)
		if (dev->queues[i].backend == backend)
			return NULL;
	return backend;
}

void virtio_dev_destroy(struct virtio_dev *dev)
{
	for (unsigned i = dev->queue_count; i--;) {
		struct backend *backend = new_backend_at(dev, i);

		if (backend)
			backend->ops->destroy(backend);
	}
	for (unsigned i = 0; i < dev->queue_count; i++)
		free_queue(&dev->queues[i]);
	free(dev->queues);
	irq_line_destroy(&dev->config_irq);
	pthread_mutex_destroy(&dev->lock);
}

uint64_t virtio_offered(const struct virtio_dev *dev)
{
	return dev->offered;
}

void virtio_ack_features(struct virtio_dev *dev, unsigned word, uint32_t value)
{
	unsigned shift = word * 32;

	/* §3.1.1: settled with FEATURES_OK. */
	if (word > 1 || dev->status & VIRTIO_CONFIG_S_FEATURES_OK)
		return;
	dev->acked = (dev->acked & ~(0xffffffffULL << shift)) | (uint64_t)value << shift;
}

static void stop_backends(struct virtio_dev *dev, unsigned below)
{
	for (unsigned i = below; i--;) {
		struct backend *backend = new_backend_at(dev, i);

		if (backend)
			backend->ops->stop(backend, dev);
	}
}

static int start_backends(struct virtio_dev *dev)
{
	for (unsigned i = 0; i < dev->queue_count; i++) {
		struct backend *backend = new_backend_at(dev, i);
		int ret = backend ? backend->ops->start(backend, dev) : 0;

		if (ret) {
			stop_backends(dev, i);
			return ret;
		}
	}
	return 0;
}

static struct sys *sys_of(const struct virtio_dev *dev)
{
	return dev->config_irq.irqs->kvm->sys;
}

static void note_queues(const struct virtio_dev *dev)
{
	for (unsigned i = 0; i < dev->queue_count; i++) {
		const struct virtq *q = &dev->queues[i];

		if (q->running)
			sys_note(sys_of(dev), SYS_TOPIC_QUEUE, q->kick_fd,
				 "%s queue %u runs (%s): %u entries, descriptors at 0x%llx, "
				 "available 0x%llx, used 0x%llx",
				 dev->name, i, q->backend->ops->name, q->state.size,
				 (unsigned long long)q->state.desc,
				 (unsigned long long)q->state.avail,
				 (unsigned long long)q->state.used);
	}
}

static void stop(struct virtio_dev *dev)
{
	if (!dev->started)
		return;
	sys_note(sys_of(dev), SYS_TOPIC_QUEUE, -1, "%s: its queues stop", dev->name);
	/* First, because a quiesce may find the device broken and call this again. */
	dev->started = false;
	dev->transport->ops->detach_kicks(dev->transport);
	stop_backends(dev, dev->queue_count);
}

static int start(struct virtio_dev *dev)
{
	int ret = 0;

	for (unsigned i = 0; i < dev->queue_count; i++)
		irq_line_wake(&dev->queues[i].irq);
	if (dev->model->activate)
		ret = dev->model->activate(dev);
	if (!ret)
		ret = start_backends(dev);
	if (ret)
		return ret;
	dev->started = true;
	note_queues(dev);
	dev->transport->ops->attach_kicks(dev->transport);
	return 0;
}

/* The status bits that the driver has set so far (§2.1). */
static void note_status(const struct virtio_dev *dev)
{
	sys_note(sys_of(dev), SYS_TOPIC_DEVICE, -1, "%s status 0x%02x:%s%s%s%s%s%s", dev->name,
		 dev->status, dev->status & VIRTIO_CONFIG_S_ACKNOWLEDGE ? " ACKNOWLEDGE" : "",
		 dev->status & VIRTIO_CONFIG_S_DRIVER ? " DRIVER" : "",
		 dev->status & VIRTIO_CONFIG_S_FEATURES_OK ? " FEATURES_OK" : "",
		 dev->status & VIRTIO_CONFIG_S_DRIVER_OK ? " DRIVER_OK" : "",
		 dev->status & VIRTIO_CONFIG_S_NEEDS_RESET ? " DEVICE_NEEDS_RESET" : "",
		 dev->status & VIRTIO_CONFIG_S_FAILED ? " FAILED" : "");
}

/* Starts a device that is live and not broken, if it may access guest memory and is not held. */
static void go(struct virtio_dev *dev)
{
	char reason[64];
	int ret;

	if (dev->dma_off || dev->held || !(dev->status & VIRTIO_CONFIG_S_DRIVER_OK) ||
	    dev->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	ret = start(dev);
	if (ret) {
		snprintf(reason, sizeof(reason), "start: %s", strerror(-ret));
		virtio_broken(dev, reason);
	}
}

/* DRIVER_OK was set for the first time (§3.1.1 step 8). */
static void driver_ok(struct virtio_dev *dev)
{
	if (!(dev->status & VIRTIO_CONFIG_S_FEATURES_OK))
		virtio_broken(dev, "DRIVER_OK without FEATURES_OK");
	else if (dev->dma_off)
		sys_note(sys_of(dev), SYS_TOPIC_DEVICE, -1,
			 "%s is live, but may not access memory: its queues wait", dev->name);
	go(dev);
}

/* The bit first: model->quiesce need not complete what is in flight (virtio_resumes()). */
static void give_up_rings(struct virtio_dev *dev)
{
	dev->status &= (uint8_t)~VIRTIO_CONFIG_S_DRIVER_OK;
	stop(dev);
}

/* The model has neither answered what it took nor given it back. */
static bool lost_request(const struct virtio_dev *dev)
{
	for (unsigned i = 0; i < dev->queue_count; i++)
		if (dev->queues[i].taken)
			return true;
	return false;
}

void virtio_hold(struct virtio_dev *dev, unsigned reason)
{
	dev->held |= reason;
	if (!dev->started)
		return;
	stop(dev);
	if (lost_request(dev))
		virtio_broken(dev, "a request was lost when its queue was stopped");
}

/* Each start of a queue kicks it. */
void virtio_release(struct virtio_dev *dev, unsigned reason)
{
	dev->held &= ~reason;
	if (!dev->started)
		go(dev);
}

void virtio_freeze(struct virtio_dev *dev)
{
	pthread_mutex_lock(&dev->lock);
	virtio_hold(dev, VIRTIO_HELD_FROZEN);
	pthread_mutex_unlock(&dev->lock);
}

/* Events that may have been on their way through the kernel when the machine was saved. */
static void raise_again(struct virtio_dev *dev)
{
	for (unsigned i = 0; i < dev->queue_count; i++)
		if (dev->queues[i].running)
			irq_line_raise(&dev->queues[i].irq);
}

void virtio_thaw(struct virtio_dev *dev)
{
	pthread_mutex_lock(&dev->lock);
	virtio_release(dev, VIRTIO_HELD_FROZEN);
	if (dev->loaded)
		raise_again(dev);
	dev->loaded = false;
	pthread_mutex_unlock(&dev->lock);
}

void virtio_allow_dma(struct virtio_dev *dev, bool allowed)
{
	if (dev->dma_off == !allowed)
		return;
	dev->dma_off = !allowed;
	if (allowed)
		go(dev);
	else
		give_up_rings(dev);
}

void virtio_set_status(struct virtio_dev *dev, uint8_t status)
{
	uint8_t before = dev->status;

	if (!status) {
		virtio_reset(dev);
		return;
	}
	/* §2.1.1: the driver only adds bits; NEEDS_RESET is set by the device. */
	dev->status |= status & DRIVER_BITS;
	/*
	 * §2.2.2: only offered features. A driver without VERSION_1 breaks a rule for drivers
	 * (§6.1), and the device may fail then. QEMU continues, and small drivers that accept no
	 * feature at all rely on it.
	 */
	if (~before & dev->status & VIRTIO_CONFIG_S_FEATURES_OK &&
	    ((dev->status & INTRODUCED) != INTRODUCED || dev->acked & ~dev->offered))
		dev->status &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	if (before != dev->status)
		note_status(dev);
	if (~before & dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		driver_ok(dev);
}

void virtio_reset(struct virtio_dev *dev)
{
	if (dev->status)
		sys_note(sys_of(dev), SYS_TOPIC_DEVICE, -1, "%s is reset", dev->name);
	give_up_rings(dev);
	if (dev->model->reset)
		dev->model->reset(dev);
	dev->status = 0;
	dev->acked = 0;
	for (unsigned i = 0; i < dev->queue_count; i++) {
		struct virtq *q = &dev->queues[i];

		q->state = fresh_state(q);
		q->taken = 0;
		eventfd_drain(q->kick_fd);
		irq_line_clear(&q->irq);
	}
	irq_line_clear(&dev->config_irq);
	dev->config_unread = false;
}

void virtio_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	memset(buf, 0, len);
	dev->config_unread = false;
	if (dev->model->config_read && range_fits(off, len, dev->config_len))
		dev->model->config_read(dev, off, buf, len);
}

void virtio_config_write(struct virtio_dev *dev, unsigned off, const void *buf, unsigned len)
{
	if (dev->model->config_write && range_fits(off, len, dev->config_len))
		dev->model->config_write(dev, off, buf, len);
}

bool virtio_queue_writable(const struct virtio_dev *dev, const struct virtq *q)
{
	return !q->state.enabled && !(dev->status & VIRTIO_CONFIG_S_DRIVER_OK);
}

/* §2.1.2, §2.3: no notification before DRIVER_OK. */
static void notify_config(struct virtio_dev *dev)
{
	if (!(dev->status & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	dev->config_unread = true;
	dev->transport->ops->config_changed(dev->transport);
}

/* A guest that keeps breaking its device must fill neither the log nor anything of a watcher. */
static void complain(struct virtio_dev *dev, const char *reason)
{
	if (dev->complaints == VIRTIO_COMPLAINTS_MAX)
		return;
	log_error("%s: %s (needs a reset%s)", dev->name, reason,
		  ++dev->complaints == VIRTIO_COMPLAINTS_MAX ? "; said for the last time" : "");
	if (dev->watcher.broken)
		dev->watcher.broken(dev->watcher.owner, dev, reason);
}

void virtio_broken(struct virtio_dev *dev, const char *reason)
{
	if (dev->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	dev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	complain(dev, reason);
	sys_note(sys_of(dev), SYS_TOPIC_DEVICE, -1, "%s needs a reset: %s", dev->name, reason);
	stop(dev);
	notify_config(dev);
}

void virtio_end_turn(struct virtq *q, int ret, const char *broken)
{
	virtq_notify(q);
	if (ret < 0)
		virtio_broken(q->dev, broken);
	else if (ret > 0 || virtq_enable_kicks(q))
		eventfd_signal(q->kick_fd);
}

void virtio_config_changed(struct virtio_dev *dev)
{
	dev->config_generation++;
	notify_config(dev);
}
