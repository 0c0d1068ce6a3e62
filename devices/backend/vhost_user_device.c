/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/vhost_user_device.h"

#include "base/log.h"

#include <endian.h>
#include <string.h>
#include <sys/stat.h>

enum { CONFIG_MAX = 256 };

struct device {
	struct virtio_dev dev;
	struct virtio_model model;
	struct vhost *vhost; /* owned by dev's queues */
	const char *unsaved;
	uint8_t given[CONFIG_MAX]; /* the space that the daemon does not have */
	bool is_given;
	void (*gone)(void *owner);
	void *owner;
};

static struct device *device_of(struct virtio_dev *dev)
{
	return container_of(dev, struct device, dev);
}

static const uint8_t *config_of(const struct device *device)
{
	return device->is_given ? device->given : vhost_user_config(device->vhost);
}

static void config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	memcpy(buf, config_of(device_of(dev)) + off, len);
}

static void config_write(struct virtio_dev *dev, unsigned off, const void *buf, unsigned len)
{
	struct device *device = device_of(dev);

	if (!device->is_given)
		vhost_user_write_config(device->vhost, off, buf, len);
}

static void destroy(struct virtio_dev *dev)
{
	struct device *device = device_of(dev);

	virtio_dev_destroy(dev);
	if (device->gone)
		device->gone(device->owner);
	free(device);
}

/* --- State ------------------------------------------------------------------------------------ */

/* What the guest knows of it: the daemon that it meets again must say the same. */
struct space {
	uint32_t len;
	uint8_t bytes[CONFIG_MAX];
};

static const struct state_field space_fields[] = {
	STATE_LIMITED(struct space, len, CONFIG_MAX),
	STATE_BYTES(struct space, bytes),
	STATE_END,
};

const struct state_table vhost_user_device_table = {
	.name = "vhost-user",
	.version = 1,
	.size = sizeof(struct space),
	.fields = space_fields,
};

static int check_saved(const struct device *device)
{
	if (device->unsaved) {
		log_error("%s: %s", device->dev.name, device->unsaved);
		return -EOPNOTSUPP;
	}
	if (vhost_user_may_move(device->vhost))
		return 0;
	log_error("%s: its daemon is away, with requests in flight; try again when it is back",
		  device->dev.name);
	return -EBUSY;
}

static int save(struct virtio_dev *dev, struct state *state)
{
	struct device *device = device_of(dev);
	struct space space = { .len = dev->config_len };
	int ret;

	ret = state_loads(state) ? 0 : check_saved(device);
	if (ret)
		return ret;
	memcpy(space.bytes, config_of(device), dev->config_len);
	ret = state_section(state, &vhost_user_device_table, dev->name, &space);
	if (ret || !state_loads(state))
		return ret;
	if (space.len != dev->config_len ||
	    memcmp(space.bytes, config_of(device), space.len) != 0)
		return state_refuse(state, "the daemon's device is another one: its configuration "
					   "space differs");
	return 0;
}

/* --- Construction ----------------------------------------------------------------------------- */

static unsigned queues_of(const struct vhost *vhost, const struct vhost_user_device_options *options)
{
	uint16_t in_space;

	if (options->queues)
		return options->queues;
	if (!(vhost_user_features(vhost) >> options->queues_feature & 1))
		return 1;
	memcpy(&in_space, vhost_user_config(vhost) + options->queues_at, sizeof(in_space));
	return le16toh(in_space);
}

static int init(struct device *device, const struct virtio_env *env, unsigned instance,
		const struct vhost_user_device_options *options)
{
	const unsigned queues = queues_of(device->vhost, options), max = vhost_user_queues(device->vhost);

	if (!queues || queues > 256 || (max && queues > max)) {
		log_error("%s: the daemon at %s has %u queues, of which %u are possible", options->model,
			  options->path, queues, max ? max : 256);
		return -EINVAL;
	}
	device->model = (struct virtio_model){
		.name = options->model,
		.id = options->id,
		.pci_class = options->pci_class,
		.config_read = config_read,
		.config_write = config_write,
		.state = save,
		.destroy = destroy,
	};
	device->unsaved = options->unsaved;
	device->is_given = options->config;
	if (options->config)
		memcpy(device->given, options->config, options->config_len);
	return virtio_dev_init(&device->dev, &device->model, env, instance,
			       vhost_user_features(device->vhost) & ~options->withheld,
			       options->config_len, queues, options->queue_size);
}

int vhost_user_device_new(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
			  const struct vhost_user_device_options *options)
{
	const struct vhost_user_options wanted = {
		.name = options->model,
		.path = options->path,
		.queues = options->queues,
		.config_len = options->config ? 0 : options->config_len,
		.in_order = options->id == VIRTIO_ID_NET,
		.patience_ns = options->patience_ns,
		.reconnect = options->reconnect,
		.final = options->final,
		.fd = options->fd,
	};
	_cleanup_free_ struct device *device = calloc(1, sizeof(*device));
	int ret;

	if (!device)
		return -ENOMEM;
	ret = vhost_user_open(&device->vhost, env->sys, &wanted);
	if (ret)
		return ret;
	ret = init(device, env, instance, options);
	if (ret) {
		vhost_user_close(device->vhost);
		return ret;
	}
	ret = vhost_user_bind(device->vhost, &device->dev, 0, device->dev.queue_count);
	if (ret) {
		destroy(&steal_ptr(device)->dev);
		return ret;
	}
	device->gone = options->gone;
	device->owner = options->owner;
	*out = &steal_ptr(device)->dev;
	return 0;
}

int vhost_user_check(const char *path)
{
	struct stat st;
	int ret = stat(path, &st) ? -errno : S_ISSOCK(st.st_mode) ? 0 : -EINVAL;

	if (ret == -EINVAL)
		log_error("vhost-user=%s: is not a socket", path);
	else if (ret)
		log_error("vhost-user=%s: %s; start the daemon first", path, strerror(-ret));
	return ret;
}

int vhost_user_conflict(const char *a, const char *b)
{
	if (!a || !b || strcmp(a, b) != 0)
		return 0;
	log_error("vhost-user=%s: is given twice; a daemon serves one device", a);
	return -EINVAL;
}
