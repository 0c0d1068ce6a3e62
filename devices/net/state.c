/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is saved of virtio-net: what the driver has set by the control queue, what it has been told,
 * and frames that wait for its buffers. The address, too, is the guest's, even if the tap has
 * another name now.
 */
#include "internal.h"

#include <stdio.h>

static const struct state_field net_fields[] = {
	STATE_BYTES(struct net, mac),
	STATE_BYTES(struct net, permanent_mac),
	STATE_NUMBER(struct net, mtu),
	STATE_NUMBER(struct net, offloads),
	STATE_FLAG(struct net, link_up),
	STATE_FLAG(struct net, announce),
	STATE_LIMITED(struct net, announcements_left, NET_ANNOUNCEMENTS),
	STATE_LIMITED(struct net, active_pairs, VIRTIO_NET_MAX_PAIRS),
	STATE_LIMITED(struct net, filter.modes, (1U << NET_FILTER_MODES) - 1),
	STATE_BYTES(struct net, filter.unicast.macs),
	STATE_LIMITED(struct net, filter.unicast.count, NET_FILTER_ADDRESSES),
	STATE_FLAG(struct net, filter.unicast.overflow),
	STATE_BYTES(struct net, filter.multicast.macs),
	STATE_LIMITED(struct net, filter.multicast.count, NET_FILTER_ADDRESSES),
	STATE_FLAG(struct net, filter.multicast.overflow),
	STATE_BYTES(struct net, filter.vlans),
	STATE_END,
};

static const char *check_net(const void *object)
{
	const struct net *net = object;

	if (!net->active_pairs || net->active_pairs > net->pair_count ||
	    (net->active_pairs > 1 && !virtio_has(&net->dev, VIRTIO_NET_F_MQ)))
		return "active_pairs is more than the driver can use, or 0";
	return (net->mac[0] | net->permanent_mac[0]) & 1 ? "an address is not unicast" : NULL;
}

static const struct state_table net_table = {
	.name = "net",
	.version = 1,
	.size = sizeof(struct net),
	.fields = net_fields,
	.check = check_net,
};

const struct state_table *const virtio_net_state_tables[] = { &net_table, NULL };

static int frame_state(struct net_pair *pair, struct state *state, unsigned index)
{
	char name[STATE_NAME_MAX + 1];

	snprintf(name, sizeof(name), "%s frame %u", pair->net->dev.name, index);
	return state_bytes(state, name, pair->frame, sizeof(pair->frame), &pair->frame_len);
}

int net_state(struct virtio_dev *dev, struct state *state)
{
	struct net *net = net_of(dev);
	const struct tap *tap = &net->pairs[0].tap;
	int ret = state_section(state, &net_table, dev->name, net);

	/* The driver may send frames as long as it was told. */
	if (!ret && tap->mtu < net->mtu)
		ret = state_refuse(state, "the MTU is %u, that of tap %s %u", net->mtu, tap->name,
				   tap->mtu);
	for (unsigned i = 0; i < net->pair_count && !ret; i++)
		ret = frame_state(&net->pairs[i], state, i);
	return ret || !state_loads(state) ? ret : net_attach_pairs(net, net->active_pairs);
}
