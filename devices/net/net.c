/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-net: features, configuration space, creation and reset. */
#include "stream.h"

#include "base/le.h"
#include "base/log.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>

enum { CONFIG_LEN = offsetof(struct virtio_net_config, mtu) + sizeof(__virtio16) };

/* The control queue for a driver that uses only one pair. */
enum { QUEUE_CONTROL_ONE_PAIR = 2 };

/* §5.1.2: after all pairs with MQ; without, after the only pair. */
static unsigned control_index(const struct net *net)
{
	return virtio_has(&net->dev, VIRTIO_NET_F_MQ) ? 2 * net->pair_count :
							QUEUE_CONTROL_ONE_PAIR;
}

/*
 * The third queue belongs to the backend of the second pair, or is the control queue. The binding
 * of the others never changes.
 */
static void bind_third_queue(struct net *net)
{
	struct virtq *queues = net->dev.queues;
	bool control = control_index(net) == QUEUE_CONTROL_ONE_PAIR;

	queues[QUEUE_CONTROL_ONE_PAIR].backend =
		queues[control ? 2 * net->pair_count : QUEUE_CONTROL_ONE_PAIR + 1].backend;
}

static void net_serve(struct virtio_dev *dev, struct virtq *q)
{
	struct net *net = net_of(dev);
	unsigned control = control_index(net);
	struct net_pair *pair;

	if (q->index == control) {
		net_serve_control(net, q);
		return;
	}
	/* A driver without MQ that enables queues which do not exist for it. */
	if (q->index > control)
		return;
	pair = &net->pairs[q->index / 2];
	if (q == pair->rx)
		pair->carrier->serve_rx(pair);
	else
		pair->carrier->serve_tx(pair);
}

static int prepare_taps(struct net *net)
{
	int ret = 0;

	if (net->pairs[0].stream || net->daemon)
		return 0;
	for (unsigned i = 0; i < net->pair_count && !ret; i++)
		ret = tap_set_header(&net->pairs[i].tap, net->header_len);
	return ret ? ret : net_apply_offloads(net, net->offloads);
}

static int net_activate(struct virtio_dev *dev)
{
	struct net *net = net_of(dev);
	int ret;

	net->header_len = virtio_has(dev, VIRTIO_F_VERSION_1) ||
					  virtio_has(dev, VIRTIO_NET_F_MRG_RXBUF) ?
				  sizeof(struct virtio_net_hdr_v1) :
				  sizeof(struct virtio_net_hdr);
	net->filter.by_vlan = virtio_has(dev, VIRTIO_NET_F_CTRL_VLAN);
	if (net->pair_count > 1)
		bind_third_queue(net);
	ret = prepare_taps(net);
	if (tap_error_is_gone(ret)) {
		net_is_gone(net, NULL);
		ret = 0;
	}
	for (unsigned i = 0; i < net->pair_count && !ret && !net->in_kernel; i++)
		ret = net_pair_start(&net->pairs[i]);
	net_resume_announcements(net);
	return ret;
}

static void net_quiesce(struct virtio_dev *dev)
{
	struct net *net = net_of(dev);

	for (unsigned i = 0; i < net->pair_count; i++)
		net_pair_stop(&net->pairs[i]);
}

static void net_reset(struct virtio_dev *dev)
{
	struct net *net = net_of(dev);

	/* Again, for a start that failed half-way. */
	net_quiesce(dev);
	for (unsigned i = 0; i < net->pair_count; i++)
		net->pairs[i].carrier->forget(&net->pairs[i]);
	if (net_use_pairs(net, 1))
		log_warning("%s: frames may be lost until a driver uses all pairs", dev->name);
	memcpy(net->mac, net->permanent_mac, sizeof(net->mac));
	net->offloads = UINT64_MAX;
	net_filter_reset(&net->filter);
	net_forget_announcements(net);
}

static void net_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	struct net *net = net_of(dev);
	uint8_t config[CONFIG_LEN];

	memcpy(config + offsetof(struct virtio_net_config, mac), net->mac, sizeof(net->mac));
	put_le16(config + offsetof(struct virtio_net_config, status),
		 (net->link_up ? VIRTIO_NET_S_LINK_UP : 0) |
			 (net->announce ? VIRTIO_NET_S_ANNOUNCE : 0));
	put_le16(config + offsetof(struct virtio_net_config, max_virtqueue_pairs),
		 (uint16_t)net->pair_count);
	put_le16(config + offsetof(struct virtio_net_config, mtu), (uint16_t)net->mtu);
	memcpy(buf, config + off, len);
}

static void net_free(struct net *net)
{
	for (unsigned i = 0; i < net->pair_count; i++) {
		tap_close(&net->pairs[i].tap);
		net_stream_free(net->pairs[i].stream);
	}
	free(net);
}

static void net_destroy(struct virtio_dev *dev)
{
	link_watch_stop(&net_of(dev)->watch);
	loop_timer_remove(dev->loop, &net_of(dev)->announce_timer);
	virtio_dev_destroy(dev);
	net_free(net_of(dev));
}

/* Prints nothing for a card whose frames do not pass through Kinglet. */
static void net_print_stats(struct virtio_dev *dev)
{
	struct virtio_net_stats stats;

	if (virtio_net_get_stats(dev, &stats))
		log_error("%s: frames: %" PRIu64 " received, %" PRIu64 " unwanted, %" PRIu64
			  " dropped; %" PRIu64 " sent, %" PRIu64 " dropped", dev->name,
			  stats.rx_frames, stats.rx_filtered, stats.rx_dropped, stats.tx_frames,
			  stats.tx_dropped);
}

static unsigned net_stats(struct virtio_dev *dev, struct virtio_stat *numbers)
{
	struct virtio_net_stats stats;

	if (!virtio_net_get_stats(dev, &stats))
		return 0;
	numbers[0] = (struct virtio_stat){ "rx_frames", stats.rx_frames };
	numbers[1] = (struct virtio_stat){ "rx_unwanted", stats.rx_filtered };
	numbers[2] = (struct virtio_stat){ "rx_dropped", stats.rx_dropped };
	numbers[3] = (struct virtio_stat){ "tx_frames", stats.tx_frames };
	numbers[4] = (struct virtio_stat){ "tx_dropped", stats.tx_dropped };
	return 5;
}

static const struct virtio_model net_model = {
	.name = "virtio-net",
	.id = VIRTIO_ID_NET,
	.pci_class = 0x020000,
	.config_read = net_config_read,
	.activate = net_activate,
	.serve = net_serve,
	.reset = net_reset,
	.quiesce = net_quiesce,
	.destroy = net_destroy,
	.state = net_state,
	.restored = net_restored,
	.print_stats = net_print_stats,
	.get_stats = net_stats,
};

/*
 * CTRL_RX and CTRL_VLAN are offered even if the kernel carries the frames and passes all of them,
 * as §5.1.6.5.1 to .3 allow: filtering is best-effort, and a driver drops the rest. The filter
 * would have to be in the kernel. It has none for VLANs, and that for addresses (TUNSETTXFILTER)
 * stays on a persistent tap when its user is killed, and starves the next one.
 */
static uint64_t net_features(const struct tap *tap, unsigned pairs)
{
	uint64_t features = 1ULL << VIRTIO_NET_F_MAC | 1ULL << VIRTIO_NET_F_STATUS |
			    1ULL << VIRTIO_NET_F_MRG_RXBUF | 1ULL << VIRTIO_NET_F_CTRL_VQ |
			    1ULL << VIRTIO_NET_F_CTRL_RX | 1ULL << VIRTIO_NET_F_CTRL_RX_EXTRA |
			    1ULL << VIRTIO_NET_F_CTRL_VLAN | 1ULL << VIRTIO_NET_F_GUEST_ANNOUNCE |
			    VIRTQ_FEATURES | net_offload_features(tap);

	if (tap->offloads)
		features |= 1ULL << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS;
	/* A macvtap delivers only frames to its own address, which its owner sets. */
	if (!tap->macvtap)
		features |= 1ULL << VIRTIO_NET_F_CTRL_MAC_ADDR;
	/* §5.1.4.1: 68 at least. */
	if (tap->mtu >= ETH_MIN_MTU && tap->mtu <= UINT16_MAX)
		features |= 1ULL << VIRTIO_NET_F_MTU;
	if (pairs > 1)
		features |= 1ULL << VIRTIO_NET_F_MQ;
	return features;
}

void net_mac_from_name(const char *name, uint8_t mac[ETH_ALEN])
{
	put_le_bytes(mac, text_hash(name), ETH_ALEN);
	mac[0] = (uint8_t)((mac[0] & ~1U) | 2U);
}

static struct net *net_alloc(const struct virtio_net_options *options)
{
	struct net *net = calloc(1, sizeof(*net) + options->pairs * sizeof(net->pairs[0]));

	if (!net) {
		for (unsigned i = 0; i < options->pairs; i++)
			tap_close(&options->taps[i]);
		return NULL;
	}
	net->link_up = true;
	net->in_kernel = options->in_kernel;
	net->daemon = options->daemon;
	net->pair_count = options->pairs;
	net->active_pairs = 1;
	for (unsigned i = 0; i < options->pairs; i++)
		net_pair_init(&net->pairs[i], net, &options->taps[i],
			      options->stream ? &net_stream_carrier : &net_tap_carrier);
	if (options->mac)
		memcpy(net->permanent_mac, options->mac, sizeof(net->permanent_mac));
	else if (net->pairs[0].tap.macvtap)
		memcpy(net->permanent_mac, net->pairs[0].tap.mac, sizeof(net->permanent_mac));
	else
		net_mac_from_name(net->pairs[0].tap.name, net->permanent_mac);
	memcpy(net->mac, net->permanent_mac, sizeof(net->mac));
	net->mtu = net->pairs[0].tap.mtu;
	net->offloads = UINT64_MAX;
	net_filter_reset(&net->filter);
	net->watch = (struct link_watch){ .event.fd = -1, .changed = net_tap_changed };
	net->announce_timer = (struct loop_timer){ .event.fd = -1, .fn = net_announce_fired };
	return net;
}

int virtio_net_new(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		   const struct virtio_net_options *options)
{
	struct net *net = net_alloc(options);
	int ret = -ENOMEM;
	uint64_t features;

	if (!net)
		goto err_log;
	ret = options->stream ? net_stream_new(&net->pairs[0]) : net_attach_pairs(net, 1);
	if (ret)
		goto err_free;
	features = net_features(&net->pairs[0].tap, net->pair_count) & options->features;
	ret = virtio_dev_init(&net->dev, &net_model, env, instance, features, CONFIG_LEN,
			     NET_QUEUES(net->pair_count), QUEUE_SIZE);
	if (ret)
		goto err_free;
	ret = loop_timer_add(net->dev.loop, &net->announce_timer);
	if (ret)
		goto err_dev;
	for (unsigned i = 0; i < net->pair_count; i++) {
		net->pairs[i].rx = &net->dev.queues[NET_QUEUE_RX(i)];
		net->pairs[i].tx = &net->dev.queues[NET_QUEUE_TX(i)];
	}
	*out = &net->dev;
	return 0;

err_dev:
	virtio_dev_destroy(&net->dev);
err_free:
	net_free(net);
err_log:
	log_error("virtio-net %u: %s", instance, strerror(-ret));
	return ret;
}

int virtio_net_tap_fd(const struct virtio_dev *dev, unsigned pair)
{
	return container_of(dev, const struct net, dev)->pairs[pair].tap.fd;
}

bool virtio_net_get_stats(struct virtio_dev *dev, struct virtio_net_stats *stats)
{
	struct net *net = net_of(dev);

	pthread_mutex_lock(&dev->lock);
	*stats = net->stats;
	pthread_mutex_unlock(&dev->lock);
	return !net->in_kernel;
}
