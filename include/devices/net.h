/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net (virtio 1.2 §5.1) on a tap: pairs of a receive and a transmit queue, each pair on a
 * queue of the tap, followed by a control queue. Or with one pair, whose frames a program carries, or
 * without a tap, for a vhost-user daemon.
 *
 * The caller binds its queues to backends, both of a pair to the same one. The backends of the
 * pairs carry the frames; the local backend serves them here. The control queue is always on the
 * local backend, which at DRIVER_OK may also get the third queue: for a driver without
 * VIRTIO_NET_F_MQ, that is the control queue.
 */
#ifndef KINGLET_DEVICES_NET_H
#define KINGLET_DEVICES_NET_H

#include "devices/kind.h"
#include "host/link_watch.h"
#include "host/tap.h"

struct vhost;

enum { VIRTIO_NET_MAX_PAIRS = 16, NET_FORWARDS_MAX = 8, NET_DNS_MAX = 3 };

/* VHOST_AUTO: if the host has it; else the frames pass through Kinglet, with a warning. */
enum vhost_mode { VHOST_AUTO, VHOST_ON, VHOST_OFF };

struct net_config {
	const char *tap;	  /* interface name; NULL with fds, and for a user network */
	bool create;		  /* if there is no such tap, create it for the run */
	struct fd_list fds;	  /* queues of a tap or macvtap, taken over; none with a name */
	struct fd_list vhost_fds; /* of /dev/vhost-net, one per pair; none: it is opened */
	uint8_t mac[6];
	bool mac_set; /* else a stable, locally administered one from the tap's name */
	enum vhost_mode vhost;
	unsigned poll_us; /* vhost looks for work for so long before it sleeps; 0: not at all */
	bool offloads;	 /* offer checksum and segmentation offloads */
	unsigned queues; /* pairs, 1..VIRTIO_NET_MAX_PAIRS; the number of fds if any */
	const char *vhost_user; /* the socket of a daemon that carries the frames; NULL: none */
	unsigned reconnect;	/* to the daemon, in seconds */
	bool user;	 /* a user network: passt carries the frames, and these are for it */
	bool loopback;	 /* the gateway's address is the host's loopback */
	const char *forwards[NET_FORWARDS_MAX]; /* "tcp:[ADDRESS/]PORT:PORT", checked */
	const char *dns[NET_DNS_MAX];		/* addresses, or one "none" */
	unsigned forward_count, dns_count;
};

extern const struct device_kind net_kind;
extern const struct state_table *const virtio_net_state_tables[];

/* Queue numbers, §5.1.2. */
#define NET_QUEUE_RX(pair) (2 * (pair))
#define NET_QUEUE_TX(pair) (2 * (pair) + 1)
#define NET_QUEUE_CONTROL(pairs) (2 * (pairs))
#define NET_QUEUES(pairs) (2 * (pairs) + 1)

/* Frames since the device was created. */
struct virtio_net_stats {
	uint64_t rx_frames, tx_frames;
	uint64_t rx_dropped;  /* too short, or too large for the driver's buffers */
	uint64_t rx_filtered; /* dropped by the driver's filter */
	uint64_t tx_dropped;  /* too short, too large, or refused by the tap */
};

struct virtio_net_options {
	struct tap *taps;   /* a queue of the same tap per pair; taken over, also on failure */
	/*
	 * Frames go by a stream socket, which is the fd of the only one of `taps`, where name and
	 * MTU are set, too.
	 */
	bool stream;
	/* Borrowed: a daemon carries the frames, and the taps have no fd. It gets the queues then. */
	struct vhost *daemon;
	unsigned pairs;	    /* 1..VIRTIO_NET_MAX_PAIRS */
	const uint8_t *mac; /* 6 bytes, unicast; NULL: a macvtap's, else one from the name */
	uint64_t features;  /* supported by the pairs' backend */
	bool in_kernel;	    /* another backend than the local one carries the frames */
};

/*
 * For virtio_pci_add(). Afterwards the caller's taps are closed. Logs on failure.
 * Machine's thread.
 */
__must_check int virtio_net_new(struct virtio_dev **out, const struct virtio_env *env,
				unsigned instance, const struct virtio_net_options *options);

/*
 * The tap queue of a pair, for the backend that carries its frames. Borrowed, open until destroy.
 */
int virtio_net_tap_fd(const struct virtio_dev *dev, unsigned pair);

/*
 * The new state of the tap's link, which is reported to the driver. LINK_GONE: it is not in this
 * namespace any more, and the tap shows whether it was removed. Loop thread, or before the vCPUs
 * run. Not locked.
 */
void virtio_net_set_link(struct virtio_dev *dev, enum link_state state);

/* False when another backend carries the frames, which are then not counted. Not locked. */
bool virtio_net_get_stats(struct virtio_dev *dev, struct virtio_net_stats *stats);

#endif
