/* SPDX-License-Identifier: Apache-2.0 */
/* What taps do for a driver: checksums and segments, and a queue for each pair. */
#include "internal.h"

#include "backend/vhost_user.h"

#include <linux/if_tun.h>

/* Checksum and segmentation offloads across the tap (§5.1.3): one row per kind. */
static const struct offload {
	uint8_t host;  /* feature: the driver may leave the work to the tap */
	uint8_t guest; /* feature: the tap may leave the work to the driver */
	unsigned tun;
} offload_kinds[] = {
	{ VIRTIO_NET_F_CSUM, VIRTIO_NET_F_GUEST_CSUM, TUN_F_CSUM },
	{ VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_GUEST_TSO4, TUN_F_TSO4 },
	{ VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_GUEST_TSO6, TUN_F_TSO6 },
	{ VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_GUEST_ECN, TUN_F_TSO_ECN },
	{ VIRTIO_NET_F_HOST_UFO, VIRTIO_NET_F_GUEST_UFO, TUN_F_UFO },
};

uint64_t net_guest_offloads(uint64_t features)
{
	uint64_t guest = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(offload_kinds); i++)
		guest |= features & 1ULL << offload_kinds[i].guest;
	return guest;
}

int net_apply_offloads(struct net *net, uint64_t offloads)
{
	uint64_t features = net->dev.acked & offloads;
	unsigned tun = 0;
	int ret;

	for (unsigned i = 0; i < ARRAY_SIZE(offload_kinds); i++)
		if (features >> offload_kinds[i].guest & 1)
			tun |= offload_kinds[i].tun;
	/* §5.1.3.1: these depend on others; the kernel refuses a set without them. */
	if (!(tun & (TUN_F_TSO4 | TUN_F_TSO6)))
		tun &= ~(unsigned)TUN_F_TSO_ECN;
	if (!(tun & TUN_F_CSUM))
		tun = 0;
	ret = tap_set_offloads(&net->pairs[0].tap, tun);
	if (!ret)
		net->offloads = offloads;
	return ret;
}

uint64_t net_offload_features(const struct tap *tap)
{
	uint64_t features = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(offload_kinds); i++)
		if (tap->offloads & offload_kinds[i].tun)
			features |= 1ULL << offload_kinds[i].host | 1ULL << offload_kinds[i].guest;
	return features;
}

int net_attach_pairs(struct net *net, unsigned n)
{
	int ret = net->daemon ? vhost_user_use_rings(net->daemon, NET_QUEUE_RX(n)) : 0;

	for (unsigned i = 1; i < net->pair_count && !ret && !net->daemon; i++)
		ret = tap_attach_queue(&net->pairs[i].tap, i < n);
	if (!tap_error_is_gone(ret))
		return ret;
	net_is_gone(net, NULL);
	return 0;
}

int net_use_pairs(struct net *net, unsigned n)
{
	int ret = net_attach_pairs(net, n);

	if (ret) {
		int undone = net_attach_pairs(net, net->active_pairs);

		return undone ? undone : ret;
	}
	net->active_pairs = n;
	for (unsigned i = n; i < net->pair_count; i++)
		net->pairs[i].carrier->forget(&net->pairs[i]);
	return 0;
}
