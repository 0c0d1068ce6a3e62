/* SPDX-License-Identifier: Apache-2.0 */
/* The common configuration structure, virtio 1.2 §4.1.4.3. */
#include "pci_internal.h"

#include "base/checked.h"

struct common_cfg {
	struct le32 device_feature_select;
	struct le32 device_feature;
	struct le32 driver_feature_select;
	struct le32 driver_feature;
	struct le16 config_msix_vector;
	struct le16 num_queues;
	uint8_t device_status;
	uint8_t config_generation;
	struct le16 queue_select;
	struct le16 queue_size;
	struct le16 queue_msix_vector;
	struct le16 queue_enable;
	struct le16 queue_notify_off;
	struct le64 queue_desc;
	struct le64 queue_driver;
	struct le64 queue_device;
	struct le16 queue_notify_data; /* VIRTIO_F_NOTIF_CONFIG_DATA is not offered: 0 */
	struct le16 queue_reset;       /* VIRTIO_F_RING_RESET is not offered: 0 */
};
_Static_assert(offsetof(struct common_cfg, device_status) == 0x14, "virtio 1.2 §4.1.4.3");
_Static_assert(offsetof(struct common_cfg, queue_desc) == 0x20, "virtio 1.2 §4.1.4.3");
_Static_assert(sizeof(struct common_cfg) == COMMON_LEN, "virtio 1.2 §4.1.4.3");

static struct virtq *selected(struct virtio_pci *vp)
{
	return vp->queue_select < vp->dev->queue_count ? &vp->dev->queues[vp->queue_select] : NULL;
}

static uint32_t feature_word(uint64_t features, uint32_t select)
{
	return select < 2 ? (uint32_t)(features >> 32 * select) : 0;
}

static void describe_queue(const struct virtq *q, struct common_cfg *cfg)
{
	const struct virtq_state *s = &q->state;

	cfg->queue_size = le16_of(s->size);
	cfg->queue_msix_vector = le16_of(s->vector);
	cfg->queue_enable = le16_of(s->enabled);
	cfg->queue_notify_off = le16_of((uint16_t)q->index);
	cfg->queue_desc = le64_of(s->desc);
	cfg->queue_driver = le64_of(s->avail);
	cfg->queue_device = le64_of(s->used);
}

/* Reads have no side effects, so any size and alignment is allowed. */
uint64_t vp_common_read(struct virtio_pci *vp, uint64_t off, unsigned size)
{
	const struct virtio_dev *dev = vp->dev;
	const struct virtq *q = selected(vp);
	struct common_cfg cfg = {
		.device_feature_select = le32_of(vp->device_feature_select),
		.device_feature =
			le32_of(feature_word(virtio_offered(dev), vp->device_feature_select)),
		.driver_feature_select = le32_of(vp->driver_feature_select),
		.driver_feature = le32_of(feature_word(dev->acked, vp->driver_feature_select)),
		.config_msix_vector = le16_of(vp->config_vector),
		.num_queues = le16_of((uint16_t)dev->queue_count),
		.device_status = dev->status,
		.config_generation = dev->config_generation,
		.queue_select = le16_of(vp->queue_select),
		.queue_msix_vector = le16_of(VIRTQ_NO_VECTOR),
	};

	if (!range_fits(off, size, sizeof(cfg)))
		return UINT64_MAX;
	if (q)
		describe_queue(q, &cfg);
	return get_le_bytes((const uint8_t *)&cfg + off, size);
}

void vp_reset_registers(struct virtio_pci *vp)
{
	vp->device_feature_select = 0;
	vp->driver_feature_select = 0;
	vp->queue_select = 0;
	vp->isr = 0;
	pci_set_intx(&vp->pci, false);
	vp_unbind_lines(vp);
}

/* A register that the driver may write; all others are read-only. */
struct common_reg {
	uint8_t off, size;
	void (*write)(struct virtio_pci *vp, const struct common_reg *reg, uint32_t value);
	uint8_t field, shift; /* write_address: field of struct virtq_state, which half */
};

/* The selected queue, if there is one and the driver may still configure it. */
static struct virtq *configurable(struct virtio_pci *vp)
{
	struct virtq *q = selected(vp);

	return q && virtio_queue_writable(vp->dev, q) ? q : NULL;
}

static void write_device_feature_select(struct virtio_pci *vp, const struct common_reg *reg,
					uint32_t value)
{
	(void)reg;
	vp->device_feature_select = value;
}

static void write_driver_feature_select(struct virtio_pci *vp, const struct common_reg *reg,
					uint32_t value)
{
	(void)reg;
	vp->driver_feature_select = value;
}

static void write_driver_feature(struct virtio_pci *vp, const struct common_reg *reg,
				 uint32_t value)
{
	(void)reg;
	virtio_ack_features(vp->dev, vp->driver_feature_select, value);
}

static void write_config_vector(struct virtio_pci *vp, const struct common_reg *reg,
				uint32_t value)
{
	(void)reg;
	vp->config_vector = vp_bind_line(vp, &vp->dev->config_irq, (uint16_t)value);
}

static void write_status(struct virtio_pci *vp, const struct common_reg *reg, uint32_t value)
{
	(void)reg;
	virtio_set_status(vp->dev, (uint8_t)value);
	if (!value)
		vp_reset_registers(vp);
}

static void write_queue_select(struct virtio_pci *vp, const struct common_reg *reg, uint32_t value)
{
	(void)reg;
	vp->queue_select = (uint16_t)value;
}

static void write_queue_size(struct virtio_pci *vp, const struct common_reg *reg, uint32_t value)
{
	struct virtq *q = configurable(vp);

	(void)reg;
	if (q && is_power_of_two(value) && value <= q->max_size)
		q->state.size = (uint16_t)value;
}

static void write_queue_vector(struct virtio_pci *vp, const struct common_reg *reg, uint32_t value)
{
	struct virtq *q = selected(vp);

	(void)reg;
	if (q)
		q->state.vector = vp_bind_line(vp, &q->irq, (uint16_t)value);
}

/* §4.1.4.3.2: only 1 may be written; a queue is disabled by a reset. */
static void write_queue_enable(struct virtio_pci *vp, const struct common_reg *reg, uint32_t value)
{
	struct virtq *q = configurable(vp);

	(void)reg;
	if (q && value == 1)
		q->state.enabled = 1;
}

static void write_address(struct virtio_pci *vp, const struct common_reg *reg, uint32_t value)
{
	struct virtq *q = configurable(vp);
	uint64_t *address;

	if (!q)
		return;
	address = (uint64_t *)((char *)&q->state + reg->field);
	*address = (*address & ~(0xffffffffULL << reg->shift)) | (uint64_t)value << reg->shift;
}

#define REG(name, size, write) { offsetof(struct common_cfg, name), size, write, 0, 0 }
#define ADDRESS_REGS(name, field)                                                                  \
	{ offsetof(struct common_cfg, name), 4, write_address,                                     \
	  offsetof(struct virtq_state, field), 0 },                                                \
	{ offsetof(struct common_cfg, name) + 4, 4, write_address,                                 \
	  offsetof(struct virtq_state, field), 32 }

static const struct common_reg common_regs[] = {
	REG(device_feature_select, 4, write_device_feature_select),
	REG(driver_feature_select, 4, write_driver_feature_select),
	REG(driver_feature, 4, write_driver_feature),
	REG(config_msix_vector, 2, write_config_vector),
	REG(device_status, 1, write_status),
	REG(queue_select, 2, write_queue_select),
	REG(queue_size, 2, write_queue_size),
	REG(queue_msix_vector, 2, write_queue_vector),
	REG(queue_enable, 2, write_queue_enable),
	ADDRESS_REGS(queue_desc, desc),
	ADDRESS_REGS(queue_driver, avail),
	ADDRESS_REGS(queue_device, used),
};

/*
 * §4.1.3.1: drivers access each register with its own width, and the 64-bit ones as two halves.
 * Writes of other widths are ignored, except a 64-bit one, which is split into its halves.
 */
void vp_common_write(struct virtio_pci *vp, uint64_t off, uint64_t value, unsigned size)
{
	if (size == 8) {
		vp_common_write(vp, off, (uint32_t)value, 4);
		vp_common_write(vp, off + 4, value >> 32, 4);
		return;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(common_regs); i++) {
		const struct common_reg *reg = &common_regs[i];

		if (reg->off == off && reg->size == size)
			reg->write(vp, reg, (uint32_t)value);
	}
}
