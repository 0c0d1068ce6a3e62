/* SPDX-License-Identifier: Apache-2.0 */
#include "tap_internal.h"

#include "base/log.h"
#include "core/node.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

enum { TAP_FLAGS = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };

struct hint {
	int error;
	const char *text;
};

static const struct device_node tun_node = {
	.path = "/dev/net/tun",
	.absent = "load the module: modprobe tun",
};

static const struct hint attach_hints[] = {
	{ EBUSY, " (another program has it open)" },
	{ EPERM, " (not yours; as root: ip tuntap add NAME mode tap user USER)" },
	{ EINVAL, " (an interface of this name exists and is not a tap)" },
};

static const struct hint attach_queue_hints[] = {
	{ EBUSY, " (another program has it open)" },
	{ EPERM, " (not yours; as root: ip tuntap add NAME mode tap multi_queue user USER)" },
	{ EINVAL, " (not a tap made with multi_queue)" },
	{ E2BIG, " (all its queues are taken)" },
};

/* The errors of tun and macvtap. */
bool tap_error_is_gone(int error)
{
	return error == -EBADFD || error == -ENOLINK;
}

bool tap_is_gone(struct sys *sys, int fd)
{
	struct ifreq ifr = {};

	return tap_error_is_gone(sys_ioctl(sys, fd, TUNGETIFF, &ifr));
}

/*
 * Logs `tap NAME: operation: reason` with what to do, and returns the error. A removed interface is
 * logged once: a guest may restart its driver any number of times.
 */
static int tap_fail(struct tap *tap, const char *operation, int error, const struct hint *hints,
		    unsigned count)
{
	const char *text = "";

	if (tap_error_is_gone(error)) {
		if (tap->gone)
			return error;
		tap->gone = true;
		text = " (the interface was removed: link down)";
	}
	for (unsigned i = 0; i < count; i++)
		if (hints[i].error == -error)
			text = hints[i].text;
	log_error("tap %s: %s: %s%s", tap->name, operation, strerror(-error), text);
	return error;
}

static int tap_attach(struct tap *tap, bool multi_queue)
{
	struct ifreq ifr = { .ifr_flags = TAP_FLAGS };
	int ret;

	if (multi_queue)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	memcpy(ifr.ifr_name, tap->name, sizeof(tap->name));
	ret = sys_ioctl(tap->sys, tap->fd, TUNSETIFF, &ifr);
	/* The kernel completes a name with %d in it. */
	if (!ret)
		memcpy(tap->name, ifr.ifr_name, sizeof(tap->name));
	return ret;
}

/* The kernel does not list its offloads: it refuses a set with an unknown one. */
static int tap_probe_offloads(struct tap *tap)
{
	static const unsigned candidates[] = {
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_UFO,
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
		TUN_F_CSUM,
	};

	for (unsigned i = 0; i < ARRAY_SIZE(candidates); i++) {
		int ret = sys_ioctl_value(tap->sys, tap->fd, TUNSETOFFLOAD, candidates[i]);

		if (!ret) {
			tap->offloads = candidates[i];
			break;
		}
		if (ret != -EINVAL)
			return tap_fail(tap, "TUNSETOFFLOAD", ret, NULL, 0);
	}
	/* None until a driver enables them. */
	return tap_set_offloads(tap, 0);
}

static int tap_open_tun(struct tap *tap)
{
	char reason[80];

	tap->fd = sys_open(tap->sys, tun_node.path, O_RDWR | O_NONBLOCK);
	if (tap->fd >= 0)
		return 0;
	node_reason(&tun_node, tap->sys, tap->fd, reason, sizeof(reason));
	log_error("tap %s: %s: %s", tap->name, tun_node.path, reason);
	return tap->fd;
}

/* A queue of the interface tap->name, or of a new one. */
static int tap_attach_named(struct tap *tap, bool multi_queue)
{
	const struct hint *hints = multi_queue ? attach_queue_hints : attach_hints;
	unsigned count = multi_queue ? ARRAY_SIZE(attach_queue_hints) : ARRAY_SIZE(attach_hints);
	int ret = tap_attach(tap, multi_queue);
	/* One queue of a tap made with multi_queue will do; it must be asked for as such. */
	if (ret == -EINVAL && !multi_queue)
		ret = tap_attach(tap, true);
	return ret ? tap_fail(tap, "TUNSETIFF", ret, hints, count) : 0;
}

int tap_check_exists(struct sys *sys, const struct tap_options *options)
{
	if (tap_interface_exists(sys, options->name))
		return 0;
	log_error("tap %s: no such interface (ip tuntap add %s mode tap vnet_hdr%s user $USER, or let "
		  "Kinglet make it: --net tap=%s,create)",
		  options->name, options->name, options->multi_queue ? " multi_queue" : "",
		  options->name);
	return -ENODEV;
}

int tap_open(struct tap *tap, struct sys *sys, const struct tap_options *options)
{
	size_t len = strlen(options->name);
	int ret;

	*tap = (struct tap){ .sys = sys, .fd = -1 };
	if (!len || len >= sizeof(tap->name) || strpbrk(options->name, "/: \t\n")) {
		log_error("tap %s: not an interface name (1 to %zu characters)", options->name,
			  sizeof(tap->name) - 1);
		return -EINVAL;
	}
	memcpy(tap->name, options->name, len);

	ret = tap_open_tun(tap);
	if (!ret && !options->create)
		ret = tap_check_exists(sys, options);
	if (!ret)
		ret = tap_attach_named(tap, options->multi_queue);
	if (!ret)
		ret = tap_probe_offloads(tap);
	if (ret) {
		tap_close(tap);
		return ret;
	}
	tap_find_interface(tap, false);
	return 0;
}

int tap_open_queue(struct tap *tap, const struct tap *first)
{
	int ret;

	*tap = *first;
	tap->fd = -1;
	ret = tap_open_tun(tap);
	if (!ret)
		ret = tap_attach_named(tap, true);
	if (ret)
		tap_close(tap);
	return ret;
}

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) ? -errno : 0;
}

/* A macvtap answers the ioctls of a tap, but its features lack IFF_TUN. */
static int look_for_macvtap(struct tap *tap)
{
	struct ifreq ifr = {};
	unsigned features = 0;
	int ret = sys_ioctl(tap->sys, tap->fd, TUNGETFEATURES, &features);

	if (ret)
		return tap_fail(tap, "TUNGETFEATURES", ret, NULL, 0);
	tap->macvtap = !(features & IFF_TUN);
	if (!tap->macvtap)
		return 0;
	ret = sys_ioctl(tap->sys, tap->fd, SIOCGIFHWADDR, &ifr);
	if (ret)
		return tap_fail(tap, "SIOCGIFHWADDR", ret, NULL, 0);
	memcpy(tap->mac, ifr.ifr_hwaddr.sa_data, sizeof(tap->mac));
	return 0;
}

/* The flags of a macvtap queue can be set at any time; those of a tap are fixed. */
static int check_flags(struct tap *tap, struct ifreq *ifr)
{
	int ret = 0;

	if (tap->macvtap && !(ifr->ifr_flags & IFF_VNET_HDR)) {
		ifr->ifr_flags |= IFF_VNET_HDR;
		ret = sys_ioctl(tap->sys, tap->fd, TUNSETIFF, ifr);
	}
	if (!ret && (ifr->ifr_flags & TAP_FLAGS) == TAP_FLAGS)
		return 0;
	log_error("tap %s: opened without IFF_TAP, IFF_NO_PI or IFF_VNET_HDR", tap->name);
	return -EINVAL;
}

/* Everything that does not concern the interface as a whole. */
static int adopt(struct tap *tap, struct sys *sys, int fd)
{
	struct ifreq ifr = {};
	int ret;

	*tap = (struct tap){ .sys = sys, .fd = fd };
	snprintf(tap->name, sizeof(tap->name), "fd %d", fd);
	ret = inherited_fd(fd);
	if (ret) {
		log_error("tap %s: not inherited; open the tap on this number before", tap->name);
		tap->fd = -1;
		return ret;
	}
	ret = sys_ioctl(sys, fd, TUNGETIFF, &ifr);
	if (ret) {
		log_error("tap %s: TUNGETIFF: %s (not an attached tap)", tap->name, strerror(-ret));
		goto err_close;
	}
	ret = look_for_macvtap(tap);
	if (!ret)
		ret = check_flags(tap, &ifr);
	if (ret)
		goto err_close;
	ret = set_nonblocking(fd);
	if (ret) {
		tap_fail(tap, "fcntl", ret, NULL, 0);
		goto err_close;
	}
	tap->multi_queue = tap->macvtap || ifr.ifr_flags & IFF_MULTI_QUEUE;
	memcpy(tap->name, ifr.ifr_name, sizeof(tap->name) - 1);
	return 0;

err_close:
	tap_close(tap);
	return ret;
}

int tap_adopt(struct tap *tap, struct sys *sys, int fd)
{
	int ret = adopt(tap, sys, fd);

	if (ret)
		return ret;
	ret = tap_probe_offloads(tap);
	if (ret) {
		tap_close(tap);
		return ret;
	}
	tap_find_interface(tap, true);
	return 0;
}

int tap_adopt_queue(struct tap *tap, const struct tap *first, int fd)
{
	int ret = adopt(tap, first->sys, fd);

	if (ret)
		return ret;
	if (strcmp(tap->name, first->name) != 0)
		log_error("tap %s: fd %d is a queue of %s; all must be of one interface",
			  first->name, fd, tap->name);
	else if (!tap->multi_queue)
		log_error("tap %s: fd %d: opened without IFF_MULTI_QUEUE", tap->name, fd);
	else
		return 0;
	tap_close(tap);
	return -EINVAL;
}

void tap_close(struct tap *tap)
{
	close_fd(&tap->fd);
}

int tap_attach_queue(struct tap *tap, bool attach)
{
	struct ifreq ifr = { .ifr_flags = attach ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };
	int ret;

	if (tap->gone || tap->detached == !attach)
		return 0;
	ret = sys_ioctl(tap->sys, tap->fd, TUNSETQUEUE, &ifr);
	if (ret)
		return tap_fail(tap, "TUNSETQUEUE", ret, NULL, 0);
	tap->detached = !attach;
	return 0;
}

int tap_set_header(struct tap *tap, unsigned len)
{
	int value = (int)len, little_endian = 1;
	int ret = sys_ioctl(tap->sys, tap->fd, TUNSETVNETHDRSZ, &value);

	if (ret)
		return tap_fail(tap, "TUNSETVNETHDRSZ", ret, NULL, 0);
	ret = sys_ioctl(tap->sys, tap->fd, TUNSETVNETLE, &little_endian);
	if (ret)
		return tap_fail(tap, "TUNSETVNETLE", ret, NULL, 0);
	return 0;
}

int tap_set_offloads(struct tap *tap, unsigned offloads)
{
	int ret = sys_ioctl_value(tap->sys, tap->fd, TUNSETOFFLOAD, offloads);

	return ret ? tap_fail(tap, "TUNSETOFFLOAD", ret, NULL, 0) : 0;
}
