/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#include "internal.h"

#include "backend/vhost_user.h"
#include "base/log.h"

/* What is done here for any daemon: the configuration space, and the control queue. */
static const uint64_t ours =
	1ULL << VIRTIO_NET_F_MAC | 1ULL << VIRTIO_NET_F_STATUS | 1ULL << VIRTIO_NET_F_CTRL_VQ |
	1ULL << VIRTIO_NET_F_CTRL_RX | 1ULL << VIRTIO_NET_F_CTRL_RX_EXTRA |
	1ULL << VIRTIO_NET_F_CTRL_VLAN | 1ULL << VIRTIO_NET_F_CTRL_MAC_ADDR |
	1ULL << VIRTIO_NET_F_GUEST_ANNOUNCE;

/* No message tells a daemon that a driver does without an offload. */
static uint64_t features(const struct vhost *vhost)
{
	return (vhost_user_features(vhost) | ours) & ~(1ULL << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
}

static int open_daemon(struct vhost **out, struct sys *sys, const struct net_config *config)
{
	const struct vhost_user_options options = {
		.name = "virtio-net", .path = config->vhost_user, .queues = config->queues,
		.in_order = true, .reconnect = config->reconnect,
	};
	int ret = vhost_user_open(out, sys, &options);

	if (ret || config->queues == 1)
		return ret;
	if (vhost_user_queues(*out) && vhost_user_features(*out) >> VIRTIO_NET_F_MQ & 1)
		return 0;
	log_error("virtio-net: the daemon at %s has one pair of queues; leave queues= out",
		  config->vhost_user);
	vhost_user_close(*out);
	return -EIO;
}

int net_daemon_create(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		      const struct net_config *config)
{
	struct tap taps[VIRTIO_NET_MAX_PAIRS];
	uint8_t mac[ETH_ALEN];
	struct virtio_net_options options = {
		.taps = taps, .pairs = config->queues, .mac = config->mac_set ? config->mac : mac,
		.in_kernel = true,
	};
	int ret = open_daemon(&options.daemon, env->sys, config);

	if (ret)
		return ret;
	/* Without an interface: only a name, and offloads that the daemon's features limit. */
	for (unsigned i = 0; i < config->queues; i++) {
		taps[i] = (struct tap){ .sys = env->sys, .fd = -1,
					.offloads = config->offloads ? UINT_MAX : 0 };
		snprintf(taps[i].name, sizeof(taps[i].name), "daemon%u", instance);
	}
	net_mac_from_name(config->vhost_user, mac);
	options.features = features(options.daemon);
	if (virtio_net_new(out, env, instance, &options)) {
		vhost_user_close(options.daemon);
		return -EIO;
	}
	ret = vhost_user_bind(options.daemon, *out, 0, NET_QUEUE_RX(config->queues));
	if (ret)
		(*out)->model->destroy(*out);
	return ret ? -EIO : 0;
}
