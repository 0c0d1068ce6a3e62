/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/vsock.h"

#include "base/iov.h"
#include "base/le.h"
#include "base/log.h"

#include <endian.h>
#include <linux/virtio_vsock.h>
#include <string.h>

enum { QUEUE_SIZE = 128 };

struct vsock {
	struct virtio_dev dev;
	uint64_t cid;
	bool reset_owed; /* the event, until the driver has given a buffer for it */
};
_Static_assert(sizeof(struct virtio_vsock_config) == sizeof(struct le64), "§5.10.4: guest_cid");

static struct vsock *vsock_of(struct virtio_dev *dev)
{
	return container_of(dev, struct vsock, dev);
}

/*
 * The event queue. Its buffers stay in the ring until there is an event: after a restore, and only
 * then, connections are lost, and the guest's CID may be another one (§5.10.6.7).
 */
static void vsock_serve(struct virtio_dev *dev, struct virtq *q)
{
	const struct virtio_vsock_event event = { htole32(VIRTIO_VSOCK_EVENT_TRANSPORT_RESET) };
	struct vsock *vsock = vsock_of(dev);
	struct virtq_chain chain;
	int ret;

	virtq_disable_kicks(q);
	if (!vsock->reset_owed)
		return;
	ret = virtq_pop(q, &chain);
	if (ret > 0 && iov_write(&chain.iov[chain.out_count], chain.in_count, 0, &event,
				 sizeof(event)) < sizeof(event))
		ret = -EPROTO;
	if (ret > 0) {
		virtq_push(q, chain.head, sizeof(event));
		vsock->reset_owed = false;
	}
	virtio_end_turn(q, ret < 0 ? ret : 0, "event queue: broken ring or buffer");
}

static void vsock_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	struct le64 cid = le64_of(vsock_of(dev)->cid);

	memcpy(buf, (const uint8_t *)&cid + off, len);
}

static void vsock_reset(struct virtio_dev *dev)
{
	vsock_of(dev)->reset_owed = false;
}

static const struct state_field vsock_fields[] = {
	STATE_NUMBER(struct vsock, cid),
	STATE_FLAG(struct vsock, reset_owed),
	STATE_END,
};

static const struct state_table vsock_table = {
	.name = "vsock",
	.version = 1,
	.size = sizeof(struct vsock),
	.fields = vsock_fields,
};

const struct state_table *const virtio_vsock_state_tables[] = { &vsock_table, NULL };

/* The CID is this host's matter: the saved one is only shown. */
static int vsock_state(struct virtio_dev *dev, struct state *state)
{
	struct vsock *vsock = vsock_of(dev);
	uint64_t cid = vsock->cid;
	int ret = state_section(state, &vsock_table, dev->name, vsock);

	vsock->cid = cid;
	return ret;
}

/* A driver that is being set up may have read the old CID: it is told, too. */
static void vsock_restored(struct virtio_dev *dev)
{
	vsock_of(dev)->reset_owed = dev->status != 0;
	virtio_config_changed(dev);
	if (dev->queues[VSOCK_QUEUE_EVENT].running)
		vsock_serve(dev, &dev->queues[VSOCK_QUEUE_EVENT]);
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
	.reset = vsock_reset,
	.state = vsock_state,
	.restored = vsock_restored,
	.destroy = vsock_destroy,
};

int virtio_vsock_new(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		     uint32_t cid, uint64_t features)
{
	const uint64_t known = VIRTQ_FEATURES | 1ULL << VIRTIO_VSOCK_F_SEQPACKET;
	_cleanup_free_ struct vsock *vsock = calloc(1, sizeof(*vsock));
	int ret = -ENOMEM;

	if (vsock) {
		vsock->cid = cid;
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
