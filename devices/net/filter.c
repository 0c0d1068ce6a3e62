/* SPDX-License-Identifier: Apache-2.0 */
#include "filter.h"

#include <linux/virtio_net.h>
#include <string.h>

static bool mode_is_on(const struct net_filter *filter, unsigned command)
{
	return filter->modes >> command & 1;
}

void net_filter_reset(struct net_filter *filter)
{
	*filter = (struct net_filter){ .modes = 1U << VIRTIO_NET_CTRL_RX_PROMISC };
}

bool net_filter_set_mode(struct net_filter *filter, uint8_t command, bool on)
{
	if (command >= NET_FILTER_MODES)
		return false;
	filter->modes &= (uint8_t)~(1U << command);
	filter->modes |= (uint8_t)(on << command);
	return true;
}

bool net_filter_set_vlan(struct net_filter *filter, unsigned id, bool on)
{
	if (id >= NET_FILTER_VLANS)
		return false;
	filter->vlans[id / 8] &= (uint8_t)~(1U << id % 8);
	filter->vlans[id / 8] |= (uint8_t)(on << id % 8);
	return true;
}

static bool vlan_is_wanted(const struct net_filter *filter, const uint8_t *head)
{
	const uint8_t *type = head + 2 * ETH_ALEN;
	unsigned id = (type[2] << 8 | type[3]) & (NET_FILTER_VLANS - 1);

	/* 802.1Q: a tag with VLAN 0 has only a priority. */
	if (!filter->by_vlan || (type[0] << 8 | type[1]) != ETH_P_8021Q || !id)
		return true;
	return filter->vlans[id / 8] >> id % 8 & 1;
}

static bool has_address(const struct net_addresses *table, const uint8_t *mac)
{
	for (unsigned i = 0; i < table->count; i++)
		if (!memcmp(table->macs[i], mac, ETH_ALEN))
			return true;
	return table->overflow;
}

static bool address_is_wanted(const struct net_filter *filter, const uint8_t *own,
			      const uint8_t *to)
{
	static const uint8_t broadcast[ETH_ALEN] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	/* §5.1.6.5.1: suppressing modes override allowing ones. */
	if (!memcmp(to, broadcast, ETH_ALEN))
		return !mode_is_on(filter, VIRTIO_NET_CTRL_RX_NOBCAST);
	if (to[0] & 1)
		return !mode_is_on(filter, VIRTIO_NET_CTRL_RX_NOMULTI) &&
		       (mode_is_on(filter, VIRTIO_NET_CTRL_RX_ALLMULTI) ||
			has_address(&filter->multicast, to));
	return !mode_is_on(filter, VIRTIO_NET_CTRL_RX_NOUNI) &&
	       (mode_is_on(filter, VIRTIO_NET_CTRL_RX_ALLUNI) || !memcmp(to, own, ETH_ALEN) ||
		has_address(&filter->unicast, to));
}

bool net_filter_accepts(const struct net_filter *filter, const uint8_t mac[ETH_ALEN],
			const uint8_t head[NET_FILTER_HEAD])
{
	/* §5.1.6.5.1: all frames, whatever other modes are on. */
	return mode_is_on(filter, VIRTIO_NET_CTRL_RX_PROMISC) ||
	       (vlan_is_wanted(filter, head) && address_is_wanted(filter, mac, head));
}
