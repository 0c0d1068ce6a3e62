/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/vhost_vdpa_device.h"

#include "base/log.h"

#include <string.h>

enum { QUEUES_MAX = 256 };

struct device {
	struct virtio_dev dev;
	struct virtio_model model;
	struct vhost *vhost; /* owned by dev's queues */
};

/* Others are "vdpa-device", for which no PCI class is known. */
static const struct known {
	uint16_t id;
	const char *name;
	uint32_t pci_class;
} known[] = {
	{ VIRTIO_ID_NET, "vdpa-net", 0x020000 },
	{ VIRTIO_ID_BLOCK, "vdpa-blk", 0x018000 },
	{ VIRTIO_ID_SCSI, "vdpa-scsi", 0x010000 },
	{ VIRTIO_ID_FS, "vdpa-fs", 0x018000 },
	{ 0, "vdpa-device", 0xff0000 },
};

static struct device *device_of(struct virtio_dev *dev)
{
	return container_of(dev, struct device, dev);
}

static void config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	memcpy(buf, vhost_vdpa_config(device_of(dev)->vhost) + off, len);
}

static void config_write(struct virtio_dev *dev, unsigned off, const void *buf, unsigned len)
{
	vhost_vdpa_write_config(device_of(dev)->vhost, off, buf, len);
}

static void destroy(struct virtio_dev *dev)
{
	struct device *device = device_of(dev);

	virtio_dev_destroy(dev);
	free(device);
}

static int init(struct device *device, const struct virtio_env *env, unsigned instance,
		const char *path)
{
	const struct vhost_vdpa_info *info = vhost_vdpa_info(device->vhost);
	const struct known *type = known;

	if (info->queues > QUEUES_MAX) {
		log_error("vhost-vdpa: %s: has %u queues, of which %u are possible", path,
			  info->queues, QUEUES_MAX);
		return -EINVAL;
	}
	while (type->id && type->id != info->id)
		type++;
	device->model = (struct virtio_model){
		.name = type->name,
		.id = (uint16_t)info->id,
		.pci_class = type->pci_class,
		.config_read = config_read,
		.config_write = config_write,
		.destroy = destroy,
	};
	return virtio_dev_init(&device->dev, &device->model, env, instance, device->vhost->features,
			       info->config_len, info->queues, info->queue_size);
}

int vhost_vdpa_device_new(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
			  const char *path)
{
	_cleanup_free_ struct device *device = calloc(1, sizeof(*device));
	int ret;

	if (!device)
		return -ENOMEM;
	ret = vhost_vdpa_open(&device->vhost, env->sys, path);
	if (ret)
		return ret;
	ret = init(device, env, instance, path);
	if (ret) {
		vhost_vdpa_close(device->vhost);
		return ret;
	}
	ret = vhost_vdpa_bind(device->vhost, &device->dev, device->dev.queue_count);
	if (ret)
		destroy(&steal_ptr(device)->dev);
	else
		*out = &steal_ptr(device)->dev;
	return ret;
}
