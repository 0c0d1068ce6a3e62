/* SPDX-License-Identifier: Apache-2.0 */
/* The saved state of a virtio device: the core and its queues. */
#include "virtio/virtio.h"

#include "base/checked.h"

enum {
	INTRODUCED = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER,
	STATUS_BITS = INTRODUCED | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK |
		      VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED,
};

/* The first five cannot change: they must be those of this machine's device. */
struct device {
	uint64_t offered;
	uint32_t config_len;
	uint16_t id, queue_count, max_size;
	uint64_t acked;
	uint8_t status, config_generation;
	bool config_pending;
};

/* What virtio_set_status() lets no driver reach. */
static const char *check_device(const void *object)
{
	const struct device *d = object;
	bool agreed = d->status & VIRTIO_CONFIG_S_FEATURES_OK;

	if (d->status & ~STATUS_BITS)
		return "status has unknown bits";
	if (agreed && (d->status & INTRODUCED) != INTRODUCED)
		return "FEATURES_OK without a driver";
	if (agreed && d->acked & ~d->offered)
		return "features were acked that are not offered";
	if (!agreed && d->status & VIRTIO_CONFIG_S_DRIVER_OK &&
	    !(d->status & VIRTIO_CONFIG_S_NEEDS_RESET))
		return "DRIVER_OK without FEATURES_OK";
	return NULL;
}

static const struct state_field device_fields[] = {
	STATE_NUMBER(struct device, id),
	STATE_NUMBER(struct device, offered),
	STATE_NUMBER(struct device, config_len),
	STATE_NUMBER(struct device, queue_count),
	STATE_NUMBER(struct device, max_size),
	STATE_NUMBER(struct device, acked),
	STATE_NUMBER(struct device, status),
	STATE_NUMBER(struct device, config_generation),
	STATE_FLAG(struct device, config_pending),
	STATE_END,
};

static const struct state_table device_table = {
	.name = "virtio",
	.version = 1,
	.size = sizeof(struct device),
	.fields = device_fields,
	.check = check_device,
};

static const char *check_queue(const void *object)
{
	const struct virtq_state *q = object;

	return is_power_of_two(q->size) ? NULL : "size is not a power of two";
}

static const struct state_field queue_fields[] = {
	STATE_LIMITED(struct virtq_state, size, VIRTQ_MAX_SIZE),
	STATE_NUMBER(struct virtq_state, vector),
	STATE_LIMITED(struct virtq_state, enabled, 1),
	STATE_NUMBER(struct virtq_state, last_avail),
	STATE_NUMBER(struct virtq_state, used_index),
	STATE_NUMBER(struct virtq_state, desc),
	STATE_NUMBER(struct virtq_state, avail),
	STATE_NUMBER(struct virtq_state, used),
	STATE_FLAG(struct virtq_state, pending),
	STATE_END,
};

/* The objects are the states inside the queues. */
static const struct state_table queue_table = {
	.name = "virtqueue",
	.version = 1,
	.size = sizeof(struct virtq),
	.fields = queue_fields,
	.check = check_queue,
};

const struct state_table *const virtio_state_tables[] = { &device_table, &queue_table, NULL };

static struct device device_of(const struct virtio_dev *dev)
{
	return (struct device){
		.offered = dev->offered,
		.config_len = dev->config_len,
		.id = dev->model->id,
		.queue_count = (uint16_t)dev->queue_count,
		.max_size = dev->queues[0].max_size,
		.acked = dev->acked,
		.status = dev->status,
		.config_generation = dev->config_generation,
		.config_pending = dev->config_unread || irq_line_raised(&dev->config_irq),
	};
}

/* A driver that knows of features may ack them later; of new ones here it learns after a reset. */
static int compare(struct state *state, const struct device *saved, const struct device *here)
{
	const struct {
		const char *name;
		uint64_t saved, here;
	} identity[] = {
		{ "its kind", saved->id, here->id },
		{ "offered", saved->offered, saved->offered & here->offered },
		{ "config_len", saved->config_len, here->config_len },
		{ "queue_count", saved->queue_count, here->queue_count },
		{ "max_size", saved->max_size, here->max_size },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(identity); i++)
		if (identity[i].saved != identity[i].here)
			return state_refuse(state, "%s is 0x%llx; that of this machine is 0x%llx",
					    identity[i].name,
					    (unsigned long long)identity[i].saved,
					    (unsigned long long)identity[i].here);
	return 0;
}

static int device_state(struct virtio_dev *dev, struct state *state)
{
	const struct device here = device_of(dev);
	struct device device = here;
	int ret = state_section(state, &device_table, dev->name, &device);

	if (ret || !state_loads(state))
		return ret;
	ret = compare(state, &device, &here);
	if (ret)
		return ret;
	dev->acked = device.acked;
	dev->status = device.status;
	dev->config_generation = device.config_generation;
	dev->config_unread = device.config_pending;
	if (device.config_pending)
		irq_line_raise(&dev->config_irq);
	return 0;
}

static int load_queue(struct virtq *q, struct state *state)
{
	if (q->state.size > q->max_size)
		return state_refuse(state, "queue %u has %u entries; at most %u are possible",
				    q->index, q->state.size, q->max_size);
	if (q->state.pending)
		irq_line_raise(&q->irq);
	return 0;
}

static int queues_state(struct virtio_dev *dev, struct state *state)
{
	int ret;

	for (unsigned i = 0; i < dev->queue_count; i++)
		dev->queues[i].state.pending = irq_line_raised(&dev->queues[i].irq);
	ret = state_array(state, &queue_table, dev->name, &dev->queues[0].state, dev->queue_count);
	for (unsigned i = 0; !ret && state_loads(state) && i < dev->queue_count; i++)
		ret = load_queue(&dev->queues[i], state);
	return ret;
}

int virtio_state(struct virtio_dev *dev, struct state *state)
{
	int ret = device_state(dev, state);

	if (!ret)
		ret = queues_state(dev, state);
	if (!ret && dev->model->state)
		ret = dev->model->state(dev, state);
	dev->loaded |= state_loads(state);
	return ret;
}
