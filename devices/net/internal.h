/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of virtio-net share: net.c (features, configuration, life), control.c (the control
 * queue), filter.c (which frames the driver wants), link.c (its link), taps.c (offloads, and which
 * tap queues are attached), pair.c (a pair of queues), window.c (its receive buffers), tap_frames.c
 * (its frames, to and from a tap queue), stream.c (to and from a program), user.c (the user network's
 * program), daemon.c (without either: by a vhost-user daemon), state.c (what is saved).
 *
 * Everything here runs under the device's lock.
 */
#ifndef KINGLET_NET_INTERNAL_H
#define KINGLET_NET_INTERNAL_H

#include "filter.h"
#include "devices/net.h"

#include <limits.h>
#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <stddef.h>

enum {
	QUEUE_SIZE = 256,
	/* The largest segment from a tap: a 64 KiB packet with two VLAN tags. */
	MAX_FRAME = sizeof(struct virtio_net_hdr_v1) + ETH_HLEN + 2 * 4 + 65535,
	WINDOW_CHAINS = QUEUE_SIZE,
	WINDOW_IOV = IOV_MAX,
	/* Requests to the driver when the link comes back. */
	NET_ANNOUNCEMENTS = 3,
	/* Frames per turn of a queue, so that it does not delay others. */
	TURN_FRAMES = 64,
};

/*
 * Receive buffers taken from the ring ahead of the frames that will fill them. From a tap, read(2)
 * truncates a frame that is larger than the buffer, and a tap cannot be peeked. So a frame is read
 * straight into guest memory only while the window has room for any frame; with less room it is
 * read into `frame` first, and waits there, complete, until the driver has added enough buffers.
 * While a frame waits or the window is empty, the tap is not polled: frames queue up, and are
 * dropped, in the kernel.
 *
 * The window outlives a turn, so that each buffer is taken once; stopping returns it.
 */
struct window {
	struct rx_buffer {
		uint16_t head;
		uint16_t iov_count;
		uint64_t len;
	} buffers[WINDOW_CHAINS];
	unsigned count;
	struct iovec iov[WINDOW_IOV];
	unsigned iov_count;
	uint64_t room; /* bytes in all buffers */
	bool full;     /* no more buffers fit */
};

struct net_pair;
struct net_stream;

/* What carries the frames of a pair in this process: a tap queue, or a stream. */
struct net_carrier {
	void (*serve_rx)(struct net_pair *pair);
	void (*serve_tx)(struct net_pair *pair);
	/* Drops frames that wait, which are not for the next driver. */
	void (*forget)(struct net_pair *pair);
	/* The fd has hung up. */
	void (*hung_up)(struct net_pair *pair);
};
extern const struct net_carrier net_tap_carrier, net_stream_carrier;

/* A receive and a transmit queue, and the tap queue that both use. */
struct net_pair {
	struct net *net;
	const struct net_carrier *carrier;
	struct virtq *rx, *tx;
	struct tap tap; /* with a stream: only its fd, which is the socket, its name and MTU */
	struct net_stream *stream; /* owned; NULL: a tap */
	struct loop_event event;
	bool polled;	      /* event is in the loop, */
	uint32_t poll_events; /* for these */
	bool rx_starved;      /* waits for the driver's buffers */
	bool tx_blocked;      /* waits for the carrier */
	struct window window;
	size_t frame_len; /* 0: no frame waits */
	uint8_t frame[MAX_FRAME];
};

struct net {
	struct virtio_dev dev;
	uint8_t mac[ETH_ALEN];		 /* as set by the driver, */
	uint8_t permanent_mac[ETH_ALEN]; /* and from power-on */
	/* §5.1.6.1: num_buffers, its last field, exists only with VERSION_1 or merged buffers. */
	unsigned header_len;
	unsigned mtu; /* as told to the driver; the tap's at first */
	uint64_t offloads; /* GUEST_ features that the driver has not switched off */
	bool link_up;
	bool announce; /* VIRTIO_NET_S_ANNOUNCE: requested, not acked yet */
	unsigned announcements_left;
	struct loop_timer announce_timer; /* until the next */
	struct link_watch watch; /* of the tap's interface */
	struct net_filter filter;
	bool in_kernel; /* another backend carries all frames */
	struct vhost *daemon; /* that one, of the queues; NULL: the taps do, or are its ends */
	struct virtio_net_stats stats;
	struct virtq_chain chain; /* scratch */
	unsigned active_pairs;	  /* used by the driver; the other tap queues are detached */
	unsigned pair_count;
	struct net_pair pairs[];
};

static inline struct net *net_of(struct virtio_dev *dev)
{
	return container_of(dev, struct net, dev);
}

/* Takes the tap over. */
void net_pair_init(struct net_pair *pair, struct net *net, struct tap *tap,
		   const struct net_carrier *carrier);
/* Starts polling the carrier; errors of epoll_ctl(2). */
__must_check int net_pair_start(struct net_pair *pair);
/* Stops reading frames, and returns the buffers. Idempotent. */
void net_pair_stop(struct net_pair *pair);
/* Polls for the directions that can be served now. */
void net_pair_poll(struct net_pair *pair);
/* The carrier is gone: as net_is_gone(), and the pair does not wait for it. */
void net_pair_lost(struct net_pair *pair, const char *reason);

/*
 * Takes buffers until there is room for so many bytes, the ring is empty, or the window is full.
 * Negative errno: the driver broke the ring.
 */
__must_check int net_window_fill(struct net_pair *pair, size_t room);
/* Returns the buffers to the ring, last one first. */
void net_window_return(struct net_pair *pair);
/* The first `len` bytes of the window are header and frame: passes them to the driver. They fit. */
void net_window_push(struct net_pair *pair, size_t len);
/* Whether the driver wants a frame of `len` bytes, which begins at `offset`; else it is counted. */
bool net_rx_wants(struct net *net, const struct iovec *iov, unsigned count, size_t offset,
		  size_t len);

void net_serve_control(struct net *net, struct virtq *q);

/*
 * The interface was removed from the host, or the program has ended: takes the link down. Logs the
 * reason once, as the tap's; NULL: not.
 */
void net_is_gone(struct net *net, const char *reason);
/*
 * From now on the device's link follows its tap. A card also works if its tap cannot be followed.
 * Machine's thread, before the vCPUs run. Not locked.
 */
void net_follow_link(struct virtio_dev *dev);
/* link_watch.changed of watch. Not locked. */
void net_tap_changed(struct link_watch *watch);
/* loop_timer.fn of announce_timer. Not locked. */
void net_announce_fired(struct loop_timer *timer);
/*
 * The driver has acknowledged a request, or an acknowledgement was unsolicited; the next request
 * follows after a delay.
 */
void net_announced(struct net *net);
void net_forget_announcements(struct net *net);
/* The queues run again: so does the timer. */
void net_resume_announcements(struct net *net);

/* virtio_model.state and .restored */
__must_check int net_state(struct virtio_dev *dev, struct state *state);
void net_restored(struct virtio_dev *dev);

/* The features of the offloads that a tap can do, both ways. */
uint64_t net_offload_features(const struct tap *tap);
/* Sets the tap's offloads for a driver that acked its features; net->offloads are these then. */
__must_check int net_apply_offloads(struct net *net, uint64_t offloads);
/* The GUEST_ features among `features`. */
uint64_t net_guest_offloads(uint64_t features);
/* A unicast, locally administered address from a hash of the name. */
void net_mac_from_name(const char *name, uint8_t mac[ETH_ALEN]);
/* Attaches the tap queues of the first n pairs, and detaches the others; of a daemon its rings. */
__must_check int net_attach_pairs(struct net *net, unsigned n);
/*
 * The first n pairs carry frames, the others none (§5.1.6.5.5). On failure logs and changes
 * nothing.
 */
__must_check int net_use_pairs(struct net *net, unsigned n);

#endif
