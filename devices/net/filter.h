/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receive filter of a driver (virtio 1.2 §5.1.6.5.1 to .3): receive modes, tables of addresses,
 * table of VLANs. It knows no queues: the control queue fills it in, the receive path queries it.
 *
 * After reset all frames pass, until the driver switches promiscuous mode off: a driver without
 * VIRTIO_NET_F_CTRL_RX cannot, and receives everything, as from devices without filters. The
 * specification does not define the mode after a reset, and requires empty tables (§5.1.6.5.2.1);
 * QEMU 7.2 starts in the same way (virtio_net_reset()).
 */
#ifndef KINGLET_NET_FILTER_H
#define KINGLET_NET_FILTER_H

#include "base/cleanup.h"

#include <linux/if_ether.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NET_FILTER_ADDRESSES = 64,
	NET_FILTER_VLANS = 4096,
	NET_FILTER_MODES = 6, /* VIRTIO_NET_CTRL_RX_PROMISC to _NOBCAST */
	/* The part of a frame that decides: addresses, and a tag with the type before it. */
	NET_FILTER_HEAD = 2 * ETH_ALEN + 4,
};

struct net_addresses {
	uint8_t macs[NET_FILTER_ADDRESSES][ETH_ALEN];
	unsigned count;
	bool overflow; /* the driver's table is longer: all addresses pass */
};

struct net_filter {
	uint8_t modes; /* bit n: VIRTIO_NET_CTRL_RX_ command n is on */
	struct net_addresses unicast, multicast;
	bool by_vlan; /* the driver acked VIRTIO_NET_F_CTRL_VLAN */
	uint8_t vlans[NET_FILTER_VLANS / 8];
};

void net_filter_reset(struct net_filter *filter);

/* `command` is VIRTIO_NET_CTRL_RX_*; false when there is no such mode. */
__must_check bool net_filter_set_mode(struct net_filter *filter, uint8_t command, bool on);
/* False when there is no such VLAN. */
__must_check bool net_filter_set_vlan(struct net_filter *filter, unsigned id, bool on);

/*
 * Whether the filter passes a frame that begins with `head` to a driver with the address `mac`. A
 * shorter frame is padded with zeroes.
 */
bool net_filter_accepts(const struct net_filter *filter, const uint8_t mac[ETH_ALEN],
			const uint8_t head[NET_FILTER_HEAD]);

#endif
