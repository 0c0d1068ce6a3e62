/* SPDX-License-Identifier: Apache-2.0 */
/* A network card: its tap queues, who carries its frames, and the device on top. */
#include "devices/net.h"

#include "base/log.h"
#include "devices/vhost_net.h"

#include <string.h>

/* What the device is made of, until it owns it. */
struct net_parts {
	unsigned pairs;
	struct tap taps[VIRTIO_NET_MAX_PAIRS];
	struct vhost *vhosts[VIRTIO_NET_MAX_PAIRS]; /* NULL: the local backend */
	bool in_kernel;
};

static int open_taps(struct sys *sys, const struct net_config *net, struct net_parts *parts)
{
	struct tap *taps = parts->taps;
	const int *fds = net->fds.fds;
	const struct tap_options options = {
		.name = net->tap,
		.multi_queue = parts->pairs > 1,
		.create = net->create,
	};
	int ret = net->tap ? tap_open(&taps[0], sys, &options) :
			     tap_adopt(&taps[0], sys, fds[0]);

	for (unsigned i = 1; i < parts->pairs && !ret; i++)
		ret = net->tap ? tap_open_queue(&taps[i], &taps[0]) :
				 tap_adopt_queue(&taps[i], &taps[0], fds[i]);
	return ret;
}

static void close_taps(struct net_parts *parts)
{
	for (unsigned i = 0; i < parts->pairs; i++)
		tap_close(&parts->taps[i]);
}

static void close_vhosts(struct net_parts *parts)
{
	for (unsigned i = 0; i < parts->pairs; i++) {
		if (parts->vhosts[i])
			vhost_net_close(parts->vhosts[i]);
		parts->vhosts[i] = NULL;
	}
}

static int open_vhosts(struct sys *sys, const struct net_config *net, struct net_parts *parts,
		       bool optional)
{
	int ret = 0;

	for (unsigned i = 0; i < parts->pairs && !ret; i++) {
		int fd = net->vhost_fds.count ? net->vhost_fds.fds[i] : -1;

		ret = vhost_net_open(&parts->vhosts[i], sys, fd, optional);
	}
	if (ret)
		close_vhosts(parts);
	parts->in_kernel = !ret;
	return ret;
}

/* The guest may have another address than the macvtap; but then it gets what is for groups only. */
static void check_mac(const struct net_config *net, const struct tap *tap)
{
	if (tap->macvtap && net->mac_set && memcmp(net->mac, tap->mac, sizeof(tap->mac)) != 0)
		log_warning("tap %s: mac= is not the macvtap's own address, and so is not served "
			    "(ip link set %s address ADDRESS)", tap->name, tap->name);
}

/* The tap first: without it, a word about vhost would be beside the point. */
static int open_parts(struct sys *sys, const struct net_config *net, struct net_parts *parts)
{
	bool optional = net->vhost == VHOST_AUTO;

	if (open_taps(sys, net, parts))
		return -EIO;
	check_mac(net, &parts->taps[0]);
	if (net->vhost != VHOST_OFF && open_vhosts(sys, net, parts, optional) && !optional)
		return -EIO;
	return 0;
}

/* Each pair to its vhost. */
static int bind_queues(struct virtio_dev *dev, struct net_parts *parts)
{
	int ret = 0;

	for (unsigned i = 0; i < parts->pairs && parts->vhosts[i] && !ret; i++) {
		ret = vhost_net_bind(parts->vhosts[i], dev, NET_QUEUE_RX(i),
				     virtio_net_tap_fd(dev, i));
		parts->vhosts[i] = NULL;
	}
	return ret;
}

int virtio_net_create(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		      const struct net_config *net)
{
	struct net_parts parts = { .pairs = net->queues };
	struct virtio_net_options options = {
		.taps = parts.taps,
		.pairs = parts.pairs,
		.mac = net->mac_set ? net->mac : NULL,
		.features = UINT64_MAX,
	};
	struct virtio_dev *dev;
	int ret;

	for (unsigned i = 0; i < VIRTIO_NET_MAX_PAIRS; i++)
		parts.taps[i].fd = -1;
	/* Whatever is wrong with a tap is for the host to mend, also where its errno is EINVAL. */
	ret = open_parts(env->sys, net, &parts);
	if (ret)
		goto err_parts;
	options.in_kernel = parts.in_kernel;
	if (parts.in_kernel)
		options.features = vhost_net_features(parts.vhosts[0]);

	if (!net->offloads)
		parts.taps[0].offloads = 0;
	ret = virtio_net_new(&dev, env, instance, &options) ? -EIO : 0;
	if (ret)
		goto err_parts;
	ret = bind_queues(dev, &parts);
	if (ret)
		goto err_dev;
	virtio_net_follow_link(dev);
	*out = dev;
	return 0;

err_dev:
	dev->model->destroy(dev);
err_parts:
	close_vhosts(&parts);
	close_taps(&parts);
	return ret;
}
