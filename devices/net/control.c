/* SPDX-License-Identifier: Apache-2.0 */
/* The control queue of virtio-net (virtio 1.2 §5.1.6.5). */
#include "internal.h"

#include "base/checked.h"
#include "base/iov.h"
#include "base/le.h"

#include <string.h>

/*
 * Commands per turn of the queue. Some are slow: attaching or detaching a tap queue waits for the
 * host's network, and a change of the number of pairs may do that for 15 queues.
 */
enum { TURN_COMMANDS = 4 };

/* Reads the command's data; false if it is too short. */
static bool command_read(const struct virtq_chain *chain, void *buf, size_t len)
{
	return iov_read(chain->iov, chain->out_count, sizeof(struct virtio_net_ctrl_hdr), buf,
			len) == len;
}

static bool command_rx_mode(struct net *net, uint8_t command, const struct virtq_chain *chain)
{
	uint8_t on;

	return command_read(chain, &on, sizeof(on)) && on <= 1 &&
	       net_filter_set_mode(&net->filter, command, on);
}

/*
 * Reads one of the two tables, from *offset into the command, and advances *offset past it. A table
 * that is too long for us counts as all addresses, but must be complete (§5.1.6.5.2).
 */
static bool read_addresses(const struct virtq_chain *chain, uint64_t *offset,
			   struct net_addresses *table)
{
	struct le32 entries;
	uint64_t count, len;

	if (iov_read(chain->iov, chain->out_count, *offset, &entries, sizeof(entries)) <
	    sizeof(entries))
		return false;
	count = le32_get(entries);
	len = count * ETH_ALEN;
	*offset += sizeof(entries);
	if (!range_fits(*offset, len, chain->out_len))
		return false;
	*table = (struct net_addresses){ .overflow = count > NET_FILTER_ADDRESSES };
	if (!table->overflow) {
		table->count = (unsigned)count;
		iov_read(chain->iov, chain->out_count, *offset, table->macs, len);
	}
	*offset += len;
	return true;
}

static bool command_mac_table(struct net *net, uint8_t command, const struct virtq_chain *chain)
{
	uint64_t offset = sizeof(struct virtio_net_ctrl_hdr);
	struct net_addresses unicast, multicast;

	(void)command;
	if (!read_addresses(chain, &offset, &unicast) ||
	    !read_addresses(chain, &offset, &multicast))
		return false;
	net->filter.unicast = unicast;
	net->filter.multicast = multicast;
	return true;
}

static bool command_vlan(struct net *net, uint8_t command, const struct virtq_chain *chain)
{
	struct le16 id;

	return command_read(chain, &id, sizeof(id)) &&
	       net_filter_set_vlan(&net->filter, le16_get(id), command == VIRTIO_NET_CTRL_VLAN_ADD);
}

static bool command_announced(struct net *net, uint8_t command, const struct virtq_chain *chain)
{
	(void)command;
	(void)chain;
	net_announced(net);
	return true;
}

static bool command_mac_addr(struct net *net, uint8_t command, const struct virtq_chain *chain)
{
	static const uint8_t zero[ETH_ALEN];
	uint8_t mac[ETH_ALEN];

	(void)command;
	if (!command_read(chain, mac, sizeof(mac)) || mac[0] & 1 ||
	    !memcmp(mac, zero, sizeof(mac)))
		return false;
	memcpy(net->mac, mac, sizeof(mac));
	return true;
}

static bool command_offloads(struct net *net, uint8_t command, const struct virtq_chain *chain)
{
	uint64_t allowed = net_guest_offloads(net->dev.acked);
	struct le64 wanted;

	(void)command;
	return command_read(chain, &wanted, sizeof(wanted)) && !(le64_get(wanted) & ~allowed) &&
	       !net_apply_offloads(net, le64_get(wanted));
}

static bool command_pairs(struct net *net, uint8_t command, const struct virtq_chain *chain)
{
	struct le16 wanted;
	unsigned n;

	(void)command;
	if (!command_read(chain, &wanted, sizeof(wanted)))
		return false;
	n = le16_get(wanted);
	return n >= 1 && n <= net->pair_count && !net_use_pairs(net, n);
}

static const struct command {
	uint8_t class, command;
	uint8_t feature; /* required: acked by the driver */
	bool (*run)(struct net *net, uint8_t command, const struct virtq_chain *chain);
} commands[] = {
	{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, VIRTIO_NET_F_CTRL_RX, command_rx_mode },
	{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, VIRTIO_NET_F_CTRL_RX, command_rx_mode },
	{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLUNI, VIRTIO_NET_F_CTRL_RX_EXTRA,
	  command_rx_mode },
	{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOMULTI, VIRTIO_NET_F_CTRL_RX_EXTRA,
	  command_rx_mode },
	{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOUNI, VIRTIO_NET_F_CTRL_RX_EXTRA,
	  command_rx_mode },
	{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST, VIRTIO_NET_F_CTRL_RX_EXTRA,
	  command_rx_mode },
	{ VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, VIRTIO_NET_F_CTRL_RX,
	  command_mac_table },
	{ VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, VIRTIO_NET_F_CTRL_MAC_ADDR,
	  command_mac_addr },
	{ VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, VIRTIO_NET_F_CTRL_VLAN, command_vlan },
	{ VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, VIRTIO_NET_F_CTRL_VLAN, command_vlan },
	{ VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, VIRTIO_NET_F_GUEST_ANNOUNCE,
	  command_announced },
	{ VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
	  VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, command_offloads },
	{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, VIRTIO_NET_F_MQ, command_pairs },
};

static bool control_run(struct net *net, const struct virtq_chain *chain)
{
	struct virtio_net_ctrl_hdr header;

	if (iov_read(chain->iov, chain->out_count, 0, &header, sizeof(header)) < sizeof(header))
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].class == header.class && commands[i].command == header.cmd &&
		    virtio_has(&net->dev, commands[i].feature))
			return commands[i].run(net, header.cmd, chain);
	return false;
}

void net_serve_control(struct net *net, struct virtq *q)
{
	struct virtq_chain *chain = &net->chain;
	unsigned budget = TURN_COMMANDS;
	int ret;

	virtq_disable_kicks(q);
	while ((ret = virtq_pop(q, chain)) > 0) {
		uint8_t ack = control_run(net, chain) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;

		if (!iov_write(chain->iov + chain->out_count, chain->in_count, 0, &ack, 1)) {
			ret = -EPROTO;
			break;
		}
		virtq_push(q, chain->head, 1);
		if (!--budget)
			break;
	}
	virtio_end_turn(q, ret, "control queue: broken ring, or no room for an answer");
}
