/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/vsock.h"

#include "base/log.h"
#include "devices/vhost_vsock.h"

#include <string.h>

int virtio_vsock_create(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
			const struct vsock_config *config)
{
	struct virtio_dev *dev;
	struct vhost *vhost;
	int ret;

	/* Whatever is wrong with it is for the host to mend, also where its errno is ENOENT. */
	if (vhost_vsock_open(&vhost, env->sys, config->cid))
		return -EIO;
	ret = virtio_vsock_new(&dev, env, instance, config->cid, vhost_vsock_features(vhost));
	if (ret) {
		vhost_vsock_close(vhost);
		return ret;
	}
	/* Packets are the kernel's matter, events ours. */
	ret = vhost_vsock_bind(vhost, dev, VSOCK_QUEUE_RX);
	if (ret) {
		log_error("%s: %s", dev->name, strerror(-ret));
		dev->model->destroy(dev);
		return ret;
	}
	*out = dev;
	return 0;
}
