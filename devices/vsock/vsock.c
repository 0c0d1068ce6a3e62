/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/vsock.h"

#include "base/le.h"
#include "base/log.h"

#include <linux/virtio_vsock.h>
#include <string.h>

enum { QUEUE_SIZE = 128 };

struct vsock {
	struct virtio_dev dev;
	struct le64 cid;
};
_Static_assert(sizeof(struct virtio_vsock_config) == sizeof(struct le64), "§5.10.4: guest_cid");

static struct vsock *vsock_of(struct virtio_dev *dev)
{
	return container_of(dev, struct vsock, dev);
}

/*
 * The event queue. Its buffers are kept until there is an event, which means that the guest's CID
 * has changed (§5.10.6.7): that never happens within one run.
 */
static void vsock_serve(struct virtio_dev *dev, struct virtq *q)
{
	(void)dev;
	virtq_disable_kicks(q);
}

static void vsock_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	memcpy(buf, (const uint8_t *)&vsock_of(dev)->cid + off, len);
}

static void vsock_destroy(struct virtio_dev *dev)
{
	virtio_dev_destroy(dev);
	free(vsock_of(dev));
}

static const struct virtio_model vsock_model = {
	.name = "virtio-vsock",
	.id = VIRTIO_ID_VSOCK,
	.pci_class = 0x078000, /* a communication controller */
	.config_read = vsock_config_read,
	.serve = vsock_serve,
	.destroy = vsock_destroy,
};

int virtio_vsock_new(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		     uint32_t cid, uint64_t features)
{
	const uint64_t known = VIRTQ_FEATURES | 1ULL << VIRTIO_VSOCK_F_SEQPACKET;
	_cleanup_free_ struct vsock *vsock = calloc(1, sizeof(*vsock));
	int ret = -ENOMEM;

	if (vsock) {
		vsock->cid = le64_of(cid);
		ret = virtio_dev_init(&vsock->dev, &vsock_model, env, instance, features & known,
				      sizeof(vsock->cid), VSOCK_QUEUES, QUEUE_SIZE);
	}
	if (ret) {
		log_error("virtio-vsock %u: %s", instance, strerror(-ret));
		return ret;
	}
	*out = &steal_ptr(vsock)->dev;
	return 0;
}
