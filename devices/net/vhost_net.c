/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/vhost_net.h"

#include "base/log.h"
#include "host/tap.h"

#include <linux/vhost.h>
#include <linux/virtio_net.h>
#include <string.h>

enum { RINGS = 2 };

struct vhost_net {
	struct vhost vhost; /* first: vhost_free() */
	int tap_fd; /* borrowed */
	unsigned poll_us;
};

static struct vhost_net *net_of(struct vhost *vhost)
{
	return container_of(vhost, struct vhost_net, vhost);
}

static int set_backend(struct vhost *vhost, unsigned index, int fd)
{
	struct vhost_vring_file file = { .index = index, .fd = fd };
	int ret = sys_ioctl(vhost->sys, vhost->fd, VHOST_NET_SET_BACKEND, &file);

	/* With a removed interface the card has no link, but it can start. */
	if (ret >= 0 || tap_is_gone(vhost->sys, net_of(vhost)->tap_fd))
		return 0;
	if (vhost_may_log(vhost))
		log_error("%s: VHOST_NET_SET_BACKEND: %s", vhost->dev->name, strerror(-ret));
	return ret;
}

static void net_halt(struct vhost *vhost)
{
	/* A failure has been logged and cannot be handled. */
	for (unsigned i = 0; i < RINGS; i++)
		if (vhost->rings[i].bound)
			(void)!set_backend(vhost, i, VHOST_FILE_UNBIND);
}

static int run_ring(struct vhost *vhost, unsigned index)
{
	const struct vhost_net *net = net_of(vhost);
	struct vhost_vring_state poll = { .index = index, .num = net->poll_us };
	int ret = 0;

	if (poll.num)
		ret = vhost_request(vhost, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &poll);
	return ret < 0 ? ret : set_backend(vhost, index, net->tap_fd);
}

static int net_run(struct vhost *vhost)
{
	for (unsigned i = 0; i < RINGS; i++) {
		int ret = vhost->rings[i].bound ? run_ring(vhost, i) : 0;

		if (ret < 0) {
			net_halt(vhost);
			return ret;
		}
	}
	return 0;
}

static const struct vhost_kind net_kind = {
	.ops = {
		.name = "vhost-net",
		.start = vhost_start,
		.stop = vhost_stop,
		.destroy = vhost_destroy,
	},
	.node = { "/dev/vhost-net", .absent = "modprobe vhost_net" },
	.vhost = { .request = vhost_ioctl, .run = net_run, .halt = net_halt },
	.logs_data = true,
};

int vhost_net_open(struct vhost **out, struct sys *sys, int fd, bool optional)
{
	_cleanup_free_ struct vhost_net *net = calloc(1, sizeof(*net));
	int ret;

	if (!net)
		return -ENOMEM;
	ret = vhost_open(&net->vhost, &net_kind, sys, fd, optional);
	if (ret)
		return ret;
	*out = &steal_ptr(net)->vhost;
	return 0;
}

void vhost_net_poll(struct vhost *vhost, unsigned us)
{
	net_of(vhost)->poll_us = us;
}

uint64_t vhost_net_features(const struct vhost *vhost)
{
	/* The features that vhost itself must support. */
	const uint64_t vhosts_own = 1ULL << VIRTIO_NET_F_MRG_RXBUF |
				    1ULL << VIRTIO_RING_F_INDIRECT_DESC |
				    1ULL << VIRTIO_RING_F_EVENT_IDX | 1ULL << VIRTIO_F_VERSION_1;

	return vhost->features | ~vhosts_own;
}

int vhost_net_bind(struct vhost *vhost, struct virtio_dev *dev, unsigned rx, int tap_fd)
{
	net_of(vhost)->tap_fd = tap_fd;
	return vhost_bind(vhost, dev, rx, RINGS);
}
