/* SPDX-License-Identifier: Apache-2.0 */
/* A network card: its options, its tap queues, the backend for its frames, and the device. */
#include "internal.h"
#include "daemon.h"
#include "user.h"

#include "backend/vhost_user_device.h"
#include "base/log.h"
#include "devices/vhost_net.h"

#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#define NET(member) OPTION_FIELD(struct net_config, member)

static const struct option_word vhost_words[] = {
	{ "auto", VHOST_AUTO },
	{ "on", VHOST_ON },
	{ "off", VHOST_OFF },
	{ NULL, 0 },
};

enum {
	NET_TAP, NET_CREATE, NET_FD, NET_MAC, NET_VHOST, NET_VHOSTFD, NET_QUEUES, NET_POLL,
	NET_OFFLOADS, NET_VHOST_USER, NET_RECONNECT, NET_USER, NET_FORWARD, NET_DNS, NET_LOOPBACK,
};

/* Keys that are a tap's only, a daemon's, of both, and a user network's. */
enum {
	OF_TAP = 1 << NET_TAP | 1 << NET_CREATE | 1 << NET_FD | 1 << NET_VHOST | 1 << NET_VHOSTFD |
		 1 << NET_POLL,
	OF_DAEMON = 1 << NET_VHOST_USER | 1 << NET_RECONNECT,
	OF_BOTH = 1 << NET_QUEUES | 1 << NET_OFFLOADS,
	OF_USER = 1 << NET_FORWARD | 1 << NET_DNS | 1 << NET_LOOPBACK,
};

static const struct option net_table[] = {
	[NET_TAP] = {
		.name = "tap", .metavar = "NAME", .kind = OPTION_STRING,
		.min = 1, .max = IFNAMSIZ - 1,
		.help = "tap interface of the host; to create one: ip tuntap add NAME mode tap "
			"vnet_hdr user $USER",
		NET(tap),
	},
	[NET_CREATE] = {
		.name = "create", .kind = OPTION_FLAG,
		.help = "with tap=: if there is no such interface, create it for this run, which "
			"needs root",
		NET(create),
	},
	[NET_FD] = {
		.name = "fd", .metavar = "N:N...", .kind = OPTION_FDS,
		.help = "open queues of a tap or macvtap that Kinglet inherits, one for each pair "
			"of queues, instead of tap=",
		NET(fds),
	},
	[NET_MAC] = {
		.name = "mac", .metavar = "ADDRESS", .kind = OPTION_MAC,
		.help = "the guest's hardware address; else that of the macvtap, or one derived "
			"from the tap's name",
		NET(mac),
	},
	[NET_VHOST] = {
		.name = "vhost", .kind = OPTION_WORD, .words = vhost_words, .initial = "auto",
		.help = "carry the frames in the host's kernel, by /dev/vhost-net; auto: if it can "
			"be opened, else in Kinglet, with a warning; on: fail if it cannot",
		NET(vhost),
	},
	[NET_VHOSTFD] = {
		.name = "vhostfd", .metavar = "N:N...", .kind = OPTION_FDS,
		.help = "open /dev/vhost-net that Kinglet inherits, one for each pair of queues; "
			"implies vhost=on",
		NET(vhost_fds),
	},
	[NET_QUEUES] = {
		.name = "queues", .metavar = "N", .kind = OPTION_NUMBER, .min = 1, .max = 16,
		.initial = "1",
		.help = "pairs of queues, about as many as CPUs; more than one need a tap created "
			"with multi_queue",
		NET(queues),
	},
	[NET_POLL] = {
		.name = "poll", .metavar = "US", .kind = OPTION_NUMBER, .max = 1000000,
		.initial = "0",
		.help = "with vhost: before the kernel waits for an interrupt or a kick, it looks "
			"for frames for so many microseconds; shorter round trips for CPU time",
		NET(poll_us),
	},
	[NET_OFFLOADS] = {
		.name = "offloads", .kind = OPTION_WORD, .words = option_on_off, .initial = "on",
		.help = "offload checksums and segmentation between guest and host; off: complete "
			"frames, at most MTU bytes",
		NET(offloads),
	},
	[NET_VHOST_USER] = {
		.name = "vhost-user", .metavar = "SOCKET", .kind = OPTION_STRING, .min = 1,
		.max = 107, .file = FILE_INPUT,
		.help = "a vhost-user daemon that listens there carries the frames, such as a "
			"switch or passt, instead of a tap",
		NET(vhost_user),
	},
	[NET_RECONNECT] = { VHOST_USER_RECONNECT, NET(reconnect) },
	[NET_USER] = {
		.name = "user", .kind = OPTION_FLAG,
		.help = "a network without root or a tap, instead of tap=: passt, a program of the "
			"host, carries the guest's connections as its own, and gives it an address "
			"by DHCP",
		NET(user),
	},
	[NET_FORWARD] = {
		.name = "forward", .metavar = "tcp|udp:[ADDRESS/]PORT:PORT", .kind = OPTION_STRING,
		.min = 1, .max = 80, .max_items = NET_FORWARDS_MAX,
		.count_offset = offsetof(struct net_config, forward_count),
		.help = "with user: a port of the host leads to one of the guest; of the host's "
			"127.0.0.1, or of ADDRESS, as 0.0.0.0 for all",
		NET(forwards),
	},
	[NET_DNS] = {
		.name = "dns", .metavar = "ADDRESS|none", .kind = OPTION_STRING,
		.min = 1, .max = INET6_ADDRSTRLEN, .max_items = NET_DNS_MAX,
		.count_offset = offsetof(struct net_config, dns_count),
		.help = "with user: the resolver that the guest is told, instead of the host's",
		NET(dns),
	},
	[NET_LOOPBACK] = {
		.name = "loopback", .kind = OPTION_WORD, .words = option_on_off, .initial = "on",
		.help = "with user: the guest reaches services of the host's own 127.0.0.1 at the "
			"address of its gateway",
		NET(loopback),
	},
};

static const char *net_finish(void *item, uint64_t given)
{
	struct net_config *net = item;
	bool has_tap = given >> NET_TAP & 1;
	bool has_fd = given >> NET_FD & 1;
	bool has_vhostfd = given >> NET_VHOSTFD & 1;

	net->mac_set = given >> NET_MAC & 1;
	if (net->user)
		return given & (OF_TAP | OF_BOTH | OF_DAEMON) ?
			       "has user with a key of a tap or a daemon; leave out one of them" :
			       net_user_finish(net);
	if (given & OF_USER)
		return "has a key that is only for user; write --net user";
	if (net->vhost_user)
		return given & OF_TAP ? "has vhost-user with a key of a tap; leave out one of them" :
					NULL;
	if (given & OF_DAEMON)
		return "has reconnect without vhost-user";
	if (has_tap && has_fd)
		return "has both tap= and fd=; give one of them";
	if (!has_tap && !has_fd)
		return "names no interface; write --net tap=NAME, fd=N, vhost-user=SOCKET or user";
	if (has_fd && net->create)
		return "has create with fd=, which is already open; leave it out";
	if (has_fd && given >> NET_QUEUES & 1)
		return "has queues= with fd=; give fd= as many numbers instead";
	if (has_fd)
		net->queues = net->fds.count;
	if (has_vhostfd && net->vhost == VHOST_OFF)
		return "has vhostfd= with vhost=off; give one of them";
	if (has_vhostfd && net->vhost_fds.count != net->queues)
		return "has a different number of fds in vhostfd= than pairs of queues; give as "
		       "many";
	if (has_vhostfd)
		net->vhost = VHOST_ON;
	if (net->poll_us && net->vhost == VHOST_OFF)
		return "has poll= with vhost=off; it is the kernel that polls";
	return NULL;
}

static const struct option_keys net_keys = {
	.table = net_table,
	.count = ARRAY_SIZE(net_table),
	.finish = net_finish,
};

static void print_fds(FILE *out, const struct fd_list *list)
{
	fputs("tap on fd", out);
	for (unsigned i = 0; i < list->count; i++)
		fprintf(out, "%c%d", i ? ':' : ' ', list->fds[i]);
}

static void describe_tap(FILE *out, const struct net_config *net)
{
	static const char *const vhosts[] = {
		[VHOST_AUTO] = "vhost if there",
		[VHOST_ON] = "vhost",
		[VHOST_OFF] = "no vhost",
	};

	if (net->tap)
		fprintf(out, "tap %s", net->tap);
	else
		print_fds(out, &net->fds);
	fprintf(out, ", %s, %u queue pair%s, %s", vhosts[net->vhost], net->queues,
		net->queues == 1 ? "" : "s", net->offloads ? "" : "no offloads, ");
}

static void net_describe(FILE *out, const void *config)
{
	const struct net_config *net = config;

	if (net->user)
		net_user_describe(out, net);
	else if (net->vhost_user)
		fprintf(out, "of the vhost-user daemon at %s, %u queue pair%s, ", net->vhost_user,
			net->queues, net->queues == 1 ? "" : "s");
	else
		describe_tap(out, net);
	if (net->mac_set)
		fprintf(out, "MAC %02x:%02x:%02x:%02x:%02x:%02x", net->mac[0], net->mac[1],
			net->mac[2], net->mac[3], net->mac[4], net->mac[5]);
	else
		fputs("MAC of Kinglet's choice", out);
}

static int net_check(const void *config, const struct device_ram *ram)
{
	const struct net_config *net = config;
	const struct tap_options options = { .name = net->tap, .multi_queue = net->queues > 1 };
	struct sys sys;

	(void)ram;
	if (net->user)
		return net_user_check();
	if (net->vhost_user)
		return vhost_user_check(net->vhost_user);
	sys_init(&sys);
	return net->tap && !net->create ? tap_check_exists(&sys, &options) : 0;
}

/* The first fd of `list` that is also in `other`, or -1. */
static int common_fd(const struct fd_list *list, const struct fd_list *other)
{
	for (unsigned i = 0; list != other && i < list->count; i++)
		for (unsigned j = 0; j < other->count; j++)
			if (list->fds[i] == other->fds[j])
				return list->fds[i];
	return -1;
}

static int check_fds(const struct net_config *a, const struct net_config *b)
{
	const struct fd_list *const of_a[] = { &a->fds, &a->vhost_fds };
	const struct fd_list *const of_b[] = { &b->fds, &b->vhost_fds };

	for (unsigned i = 0; i < 4; i++) {
		int fd = common_fd(of_a[i / 2], of_b[i % 2]);

		if (fd < 0)
			continue;
		log_error("--net: fd %d is given twice; each queue needs one of its own", fd);
		return -EINVAL;
	}
	return 0;
}

static int net_conflict(const void *config, const void *before)
{
	const struct net_config *a = config, *b = before;

	if (a != b && a->tap && b->tap && strcmp(a->tap, b->tap) == 0)
		log_error("--net tap=%s: is given twice; each card needs a tap of its own", a->tap);
	else if (a != b && a->mac_set && b->mac_set && !memcmp(a->mac, b->mac, sizeof(a->mac)))
		log_error("--net: mac=%02x:%02x:%02x:%02x:%02x:%02x is given twice; each card needs "
			  "an address of its own",
			  a->mac[0], a->mac[1], a->mac[2], a->mac[3], a->mac[4], a->mac[5]);
	else
		return a != b && vhost_user_conflict(a->vhost_user, b->vhost_user) ? -EINVAL :
										     check_fds(a, b);
	return -EINVAL;
}

/* The parts of the device, until the device owns them. */
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
			vhost_free(parts->vhosts[i]);
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
		if (!ret)
			vhost_net_poll(parts->vhosts[i], net->poll_us);
	}
	if (ret)
		close_vhosts(parts);
	parts->in_kernel = !ret;
	return ret;
}

/*
 * The guest may have another address than the macvtap, but then it receives only multicast frames.
 */
static void check_mac(const struct net_config *net, const struct tap *tap)
{
	if (tap->macvtap && net->mac_set && memcmp(net->mac, tap->mac, sizeof(tap->mac)) != 0)
		log_warning("tap %s: mac= is not the macvtap's address, so its frames do not "
			    "arrive (ip link set %s address ADDRESS)", tap->name, tap->name);
}

/* The tap first: without it, a message about vhost would be misleading. */
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

/* Binds each pair to its vhost. */
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

static int net_create(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		      const void *config)
{
	const struct net_config *net = config;
	struct net_parts parts = { .pairs = net->queues };
	struct virtio_net_options options = {
		.taps = parts.taps,
		.pairs = parts.pairs,
		.mac = net->mac_set ? net->mac : NULL,
		.features = UINT64_MAX,
	};
	struct virtio_dev *dev;
	int ret;

	if (net->user)
		return net_user_create(out, env, instance, net);
	if (net->vhost_user)
		return net_daemon_create(out, env, instance, net);
	for (unsigned i = 0; i < VIRTIO_NET_MAX_PAIRS; i++)
		parts.taps[i].fd = -1;
	/* Any failure of a tap is a host error, even if its errno is EINVAL. */
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
	net_follow_link(dev);
	*out = dev;
	return 0;

err_dev:
	dev->model->destroy(dev);
err_parts:
	close_vhosts(&parts);
	close_taps(&parts);
	return ret;
}

static bool net_shares_ram(const void *config)
{
	const struct net_config *net = config;

	return net->vhost_user;
}

static const struct host_need net_needs[] = {
	{
		.name = "tun", .use = "--net", .node = "/dev/net/tun", .modules = { "tun" },
		.config = "CONFIG_TUN",
	},
	{
		.name = "vhost-net", .use = "--net vhost=on", .node = "/dev/vhost-net",
		.modules = { "vhost_net" }, .config = "CONFIG_VHOST_NET",
	},
	{
		.name = "passt", .use = "--net user", .program = "passt",
		.install = "apt install passt",
	},
	{ .name = NULL },
};

const struct device_kind net_kind = {
	.option = {
		.name = "net", .metavar = "tap=NAME|user|...", .kind = OPTION_KEYS, .keys = &net_keys,
		.help = "add a virtio network card",
		.max_items = 8,
	},
	.needs_irqchip = true,
	.guest_modules = { "virtio_net" },
	.needs = net_needs,
	.describe = net_describe,
	.check = net_check,
	.conflict = net_conflict,
	.create = net_create,
	.shares_ram = net_shares_ram,
	.state_tables = virtio_net_state_tables,
};
DEVICE_CONFIG_FITS(struct net_config);
