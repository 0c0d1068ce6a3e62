/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The narration of tap requests. (Linux, Documentation/networking/tuntap.rst and linux/if_tun.h)
 */
#include "trace/narrate.h"

#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>

static const struct ifreq *ifr_of(const struct narration *n)
{
	return n->event->arg;
}

static void say_name(struct text *out, const struct narration *n)
{
	text_add(out, "%.15s", ifr_of(n)->ifr_name);
}

static void answer_name(struct text *out, const struct narration *n)
{
	text_add(out, ": %.15s", ifr_of(n)->ifr_name);
}

static void learn_tap(const struct narration *n)
{
	fd_names_set(n->names, n->event->fd, "tap %.15s", ifr_of(n)->ifr_name);
}

static void say_set_iff(struct text *out, const struct narration *n)
{
	text_add(out, "%s of the tap %.15s from now on; each frame has a virtio-net header",
		 ifr_of(n)->ifr_flags & IFF_MULTI_QUEUE ? "one queue" : "the one queue",
		 ifr_of(n)->ifr_name);
}

static void say_offload(struct text *out, const struct narration *n)
{
	unsigned long bits = (unsigned long)n->event->arg;

	if (!bits) {
		text_add(out, "every frame for the guest has its checksum and fits the MTU");
		return;
	}
	text_add(out, "the guest takes frames with%s%s%s%s%s%s left to do",
		 bits & TUN_F_CSUM ? " checksums" : "", bits & TUN_F_TSO4 ? " TSO4" : "",
		 bits & TUN_F_TSO6 ? " TSO6" : "", bits & TUN_F_TSO_ECN ? " ECN" : "",
		 bits & TUN_F_UFO ? " UFO" : "",
		 bits & ~(unsigned long)(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN |
					 TUN_F_UFO) ? " and more" : "");
}

static void say_queue(struct text *out, const struct narration *n)
{
	text_add(out, ifr_of(n)->ifr_flags & IFF_ATTACH_QUEUE ?
			      "uses this queue" :
			      "leaves this queue out, for the driver uses fewer");
}

static void say_header_size(struct text *out, const struct narration *n)
{
	text_add(out, "%d bytes", *(const int *)n->event->arg);
}

static void answer_mtu(struct text *out, const struct narration *n)
{
	text_add(out, ": %d", ifr_of(n)->ifr_mtu);
}

static void say_name_up(struct text *out, const struct narration *n)
{
	text_add(out, "%.15s is up", ifr_of(n)->ifr_name);
}

static void answer_up(struct text *out, const struct narration *n)
{
	text_add(out, ": %s", ifr_of(n)->ifr_flags & IFF_UP ? "yes" : "no");
}

static void answer_features(struct text *out, const struct narration *n)
{
	text_add(out, ": flags 0x%x", *(const unsigned *)n->event->arg);
}

static void answer_mac(struct text *out, const struct narration *n)
{
	const unsigned char *mac = (const unsigned char *)ifr_of(n)->ifr_hwaddr.sa_data;

	text_add(out, ": %02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
		 mac[5]);
}

static void say_followed(struct text *out, const struct narration *n)
{
	text_add(out, "%.15s, by which its link is followed", ifr_of(n)->ifr_name);
}

static void answer_index(struct text *out, const struct narration *n)
{
	text_add(out, ": %d", ifr_of(n)->ifr_ifindex);
}

static void answer_fd(struct text *out, const struct narration *n)
{
	text_add(out, ": fd %d", n->event->result);
}

#define ENTRY(number, where, sentence, ...)                                                        \
	{ .request = number, .name = #number, .doc = where, .text = sentence, __VA_ARGS__ }
static const struct narrate_entry entries[] = {
	ENTRY(TUNSETIFF, "tuntap.rst", "# is ", say_set_iff, .learn = learn_tap),
	ENTRY(TUNGETIFF, "if_tun.h", "asks which tap # is", .answer = answer_name,
	      .learn = learn_tap),
	ENTRY(TUNSETOFFLOAD, "if_tun.h", "@: ", say_offload),
	ENTRY(TUNGETFEATURES, "if_tun.h", "asks what # can do", .answer = answer_features),
	ENTRY(TUNSETQUEUE, "tuntap.rst", "@: the interface ", say_queue),
	ENTRY(TUNSETVNETHDRSZ, "if_tun.h", "@: the virtio-net header has ", say_header_size),
	ENTRY(TUNSETVNETLE, "if_tun.h", "@: the numbers of the virtio-net header are little-endian, "
	      "as virtio 1 wants"),
	ENTRY(TUNGETDEVNETNS, "if_tun.h", "asks for the network namespace of #'s interface",
	      .answer = answer_fd),
	ENTRY(SIOCGIFINDEX, "netdevice(7)", "asks for the number of ", say_followed, answer_index),
	ENTRY(SIOCGIFMTU, "netdevice(7)", "asks for the MTU of ", say_name, answer_mtu),
	ENTRY(SIOCGIFHWADDR, "netdevice(7)", "asks for the MAC address of #", .answer = answer_mac),
	ENTRY(SIOCGIFFLAGS, "netdevice(7)", "asks whether ", say_name_up, answer_up),
};

const struct narrate_table narrate_tun = { entries, ARRAY_SIZE(entries) };
