/* SPDX-License-Identifier: Apache-2.0 */
#include "vm.h"

#include "backend/local.h"
#include "devices/vhost_vsock.h"
#include "base/log.h"
#include "devices/vsock.h"

#include <string.h>

/* Packets are the kernel's matter, events ours. Takes vhost over. */
static int bind_queues(struct virtio_dev *dev, struct vhost *vhost)
{
	int ret = vhost_vsock_bind(vhost, dev, VSOCK_QUEUE_RX);

	return ret ? ret : local_backend_bind(dev, VSOCK_QUEUE_EVENT, 1);
}

int vm_add_vsock(struct vm *vm)
{
	const struct virtio_env env = vm_virtio_env(vm);
	uint32_t cid = vm->config->vsock.cid;
	struct virtio_dev *dev;
	struct vhost *vhost;
	int ret;

	/* Whatever is wrong with it is for the host to mend, also where its errno is ENOENT. */
	if (vhost_vsock_open(&vhost, vm->sys, cid))
		return -EIO;
	ret = virtio_vsock_new(&dev, &env, 0, cid, vhost_vsock_features(vhost));
	if (ret) {
		vhost_vsock_close(vhost);
		return ret;
	}
	ret = bind_queues(dev, vhost);
	if (ret) {
		log_error("%s: %s", dev->name, strerror(-ret));
		dev->model->destroy(dev);
		return ret;
	}
	return vm_add_virtio(vm, dev);
}
