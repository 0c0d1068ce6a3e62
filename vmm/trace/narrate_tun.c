/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests of taps, in words. (Linux, Documentation/networking/tuntap.rst and linux/if_tun.h)
 */
#include "trace/narrate.h"

#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>

static const char *name_of(const struct narration *n)
{
	return ((const struct ifreq *)n->event->arg)->ifr_name;
}

static void say_set_iff(struct text *out, const struct narration *n)
{
	const struct ifreq *ifr = n->event->arg;

	text_add(out, "fd %d is %s of the tap %.15s from now on; each frame has a virtio-net header",
		 n->event->fd, ifr->ifr_flags & IFF_MULTI_QUEUE ? "one queue" : "the one queue",
		 name_of(n));
}

static void learn_tap(const struct narration *n)
{
	fd_names_set(n->names, n->event->fd, "tap %.15s", name_of(n));
}

static void say_get_iff(struct text *out, const struct narration *n)
{
	text_add(out, "asks which tap fd %d is", n->event->fd);
	if (n->event->result >= 0)
		text_add(out, ": %.15s", name_of(n));
}

static void say_offload(struct text *out, const struct narration *n)
{
	unsigned long bits = (unsigned long)n->event->arg;

	fd_names_add(n->names, n->event->fd, out);
	if (!bits) {
		text_add(out, ": every frame for the guest has its checksum and fits the MTU");
		return;
	}
	text_add(out, ": the guest takes frames with%s%s%s%s%s%s left to do",
		 bits & TUN_F_CSUM ? " checksums" : "", bits & TUN_F_TSO4 ? " TSO4" : "",
		 bits & TUN_F_TSO6 ? " TSO6" : "", bits & TUN_F_TSO_ECN ? " ECN" : "",
		 bits & TUN_F_UFO ? " UFO" : "",
		 bits & ~(unsigned long)(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN |
					 TUN_F_UFO) ? " and more" : "");
}

static void say_queue(struct text *out, const struct narration *n)
{
	const struct ifreq *ifr = n->event->arg;

	fd_names_add(n->names, n->event->fd, out);
	text_add(out, ifr->ifr_flags & IFF_ATTACH_QUEUE ?
			      ": the interface uses this queue" :
			      ": the interface leaves this queue out, for the driver uses fewer");
}

static void say_header_size(struct text *out, const struct narration *n)
{
	fd_names_add(n->names, n->event->fd, out);
	text_add(out, ": the virtio-net header has %d bytes", *(const int *)n->event->arg);
}

static void say_little_endian(struct text *out, const struct narration *n)
{
	fd_names_add(n->names, n->event->fd, out);
	text_add(out, ": the numbers of the virtio-net header are little-endian, as virtio 1 wants");
}

static void say_mtu(struct text *out, const struct narration *n)
{
	const struct ifreq *ifr = n->event->arg;

	text_add(out, "asks for the MTU of %.15s", name_of(n));
	if (n->event->result >= 0)
		text_add(out, ": %d", ifr->ifr_mtu);
}

static void say_flags(struct text *out, const struct narration *n)
{
	const struct ifreq *ifr = n->event->arg;

	text_add(out, "asks whether %.15s is up", name_of(n));
	if (n->event->result >= 0)
		text_add(out, ": %s", ifr->ifr_flags & IFF_UP ? "yes" : "no");
}

static void say_features(struct text *out, const struct narration *n)
{
	text_add(out, "asks what fd %d can do", n->event->fd);
	if (n->event->result >= 0)
		text_add(out, ": flags 0x%x", *(const unsigned *)n->event->arg);
}

static void say_mac(struct text *out, const struct narration *n)
{
	const struct ifreq *ifr = n->event->arg;
	const unsigned char *mac = (const unsigned char *)ifr->ifr_hwaddr.sa_data;

	text_add(out, "asks for the MAC address of fd %d", n->event->fd);
	if (n->event->result >= 0)
		text_add(out, ": %02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
			 mac[4], mac[5]);
}

static void say_index(struct text *out, const struct narration *n)
{
	const struct ifreq *ifr = n->event->arg;

	text_add(out, "asks for the number of %.15s, by which its link is followed", name_of(n));
	if (n->event->result >= 0)
		text_add(out, ": %d", ifr->ifr_ifindex);
}

static void say_namespace(struct text *out, const struct narration *n)
{
	text_add(out, "asks for the network namespace of fd %d's interface", n->event->fd);
	if (n->event->result >= 0)
		text_add(out, ": fd %d", n->event->result);
}

#define ENTRY(request, doc, ...) { request, #request, doc, __VA_ARGS__ }
static const struct narrate_entry entries[] = {
	ENTRY(TUNSETIFF, "tuntap.rst", say_set_iff, learn_tap),
	ENTRY(TUNGETIFF, "if_tun.h", say_get_iff, learn_tap),
	ENTRY(TUNSETOFFLOAD, "if_tun.h", say_offload, NULL),
	ENTRY(TUNGETFEATURES, "if_tun.h", say_features, NULL),
	ENTRY(TUNSETQUEUE, "tuntap.rst", say_queue, NULL),
	ENTRY(TUNSETVNETHDRSZ, "if_tun.h", say_header_size, NULL),
	ENTRY(TUNSETVNETLE, "if_tun.h", say_little_endian, NULL),
	ENTRY(TUNGETDEVNETNS, "if_tun.h", say_namespace, NULL),
	ENTRY(SIOCGIFINDEX, "netdevice(7)", say_index, NULL),
	ENTRY(SIOCGIFMTU, "netdevice(7)", say_mtu, NULL),
	ENTRY(SIOCGIFHWADDR, "netdevice(7)", say_mac, NULL),
	ENTRY(SIOCGIFFLAGS, "netdevice(7)", say_flags, NULL),
};

const struct narrate_table narrate_tun = { entries, ARRAY_SIZE(entries) };
