/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/vsock.h"

#include "devices/vhost_vsock.h"

enum { VSOCK_CID };

static const struct option vsock_table[] = {
	/* virtio 1.2 §5.10.4: 0 to 2 and 2^32 - 1 are reserved. */
	[VSOCK_CID] = {
		.name = "cid", .metavar = "N", .kind = OPTION_NUMBER, .min = 3,
		.max = UINT32_MAX - 1,
		.help = "the guest's address; the host's is 2",
		OPTION_FIELD(struct vsock_config, cid),
	},
};

static const char *vsock_finish(void *item, uint64_t given)
{
	(void)item;
	return given >> VSOCK_CID & 1 ? NULL : "names no address; write --vsock cid=N";
}

static const struct option_keys vsock_keys = {
	.table = vsock_table,
	.count = ARRAY_SIZE(vsock_table),
	.finish = vsock_finish,
};

static void vsock_describe(FILE *out, const void *config)
{
	const struct vsock_config *vsock = config;

	fprintf(out, "CID %u", vsock->cid);
}

static int vsock_create(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
			const void *config)
{
	const struct vsock_config *vsock = config;
	struct virtio_dev *dev;
	struct vhost *vhost;
	int ret;

	/* Any failure is a host error, even if its errno is ENOENT. */
	if (vhost_vsock_open(&vhost, env->sys, vsock->cid))
		return -EIO;
	ret = virtio_vsock_new(&dev, env, instance, vsock->cid, vhost->features);
	if (ret) {
		vhost_free(vhost);
		return ret;
	}
	/* The kernel handles packets, this process events. */
	ret = vhost_bind(vhost, dev, VSOCK_QUEUE_RX, VSOCK_QUEUE_EVENT);
	if (ret)
		dev->model->destroy(dev);
	else
		*out = dev;
	return ret;
}

static const struct host_need vsock_needs[] = {
	{
		.name = "vhost-vsock", .use = "--vsock", .node = "/dev/vhost-vsock",
		.modules = { "vhost_vsock" }, .config = "CONFIG_VHOST_VSOCK",
	},
	{ .name = NULL },
};

const struct device_kind vsock_kind = {
	.option = {
		.name = "vsock", .metavar = "cid=N", .kind = OPTION_KEYS, .keys = &vsock_keys,
		.help = "connect host and guest by AF_VSOCK sockets; needs the host's module "
			"vhost_vsock",
	},
	.needs_irqchip = true,
	.guest_modules = { "vmw_vsock_virtio_transport" },
	.needs = vsock_needs,
	.describe = vsock_describe,
	.create = vsock_create,
	.state_tables = virtio_vsock_state_tables,
};
DEVICE_CONFIG_FITS(struct vsock_config);
