/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tap: the host's end of a network card (Documentation/networking/tuntap.rst). An inherited
 * macvtap, a virtual card on top of one of the host's, works as well. Every read(2) and write(2) on
 * the fd is a `virtio_net_hdr`, whose length tap_set_header() sets, followed by one Ethernet frame;
 * the fd is non-blocking.
 *
 * Functions log one line that names the tap and what to do about a failure, and return a negative
 * errno. Set-up is done by the machine's thread; tap_attach_queue(), tap_set_header() and
 * tap_set_offloads() by the thread that holds the device's lock.
 */
#ifndef KINGLET_HOST_TAP_H
#define KINGLET_HOST_TAP_H

#include "core/sys.h"

#include <net/if.h>
#include <stdbool.h>

struct tap {
	struct sys *sys; /* borrowed */
	int fd;          /* owned, -1 when closed */
	char name[IFNAMSIZ];
	unsigned offloads; /* TUN_F_* (linux/if_tun.h) that tap_set_offloads() may be given */
	bool detached;     /* the interface does not use this queue now */
	unsigned ifindex;  /* in this process's network namespace; 0: not there, or unknown */
	unsigned mtu;      /* bytes of payload per frame when the tap was opened; 0: not known */
	bool multi_queue;  /* opened as one of several queues */
	bool gone;         /* the interface was removed: logged, and all ioctls fail */
	bool macvtap;      /* only frames to `mac` and multicast frames arrive */
	uint8_t mac[6];    /* with macvtap */
};

struct tap_options {
	const char *name;
	bool multi_queue; /* several queues, one call each: a tap created without is refused */
	bool create;	  /* if it does not exist, create it for as long as it is open */
};

/*
 * Opens a tap, created with or without multi_queue. -ENODEV if it does not exist; -EINVAL also for
 * an invalid interface name.
 */
__must_check int tap_open(struct tap *tap, struct sys *sys, const struct tap_options *options);

/* 0, or -ENODEV as tap_open() without `create`. */
__must_check int tap_check_exists(struct sys *sys, const struct tap_options *options);

/* Another queue of the interface that `first` is a queue of, opened for several. */
__must_check int tap_open_queue(struct tap *tap, const struct tap *first);

/*
 * Takes over an open tap fd that Kinglet inherited: checks that it is a tap or macvtap with
 * IFF_VNET_HDR and IFF_NO_PI. Owns the fd from this call on, also on failure, except for -EBADF: it
 * was not inherited. Its interface may be in another network namespace: then its index and MTU are
 * unknown.
 */
__must_check int tap_adopt(struct tap *tap, struct sys *sys, int fd);

/* The same for another queue of the interface that `first` is a queue of. */
__must_check int tap_adopt_queue(struct tap *tap, const struct tap *first, int fd);

/* Idempotent. */
void tap_close(struct tap *tap);

/*
 * For a tap with several queues: the interface spreads frames over the attached queues; detaching
 * drops the frames waiting in a queue. Attached when opened; idempotent.
 */
__must_check int tap_attach_queue(struct tap *tap, bool attach);

/* Whether an ioctl's error means that the interface was removed from the host. */
bool tap_error_is_gone(int error);
/* Queries it with a tap's fd, in whatever namespace its interface is. Any thread. */
bool tap_is_gone(struct sys *sys, int fd);

/* Frames carry a little-endian header of `len` bytes from now on: 10, or 12 with num_buffers. */
__must_check int tap_set_header(struct tap *tap, unsigned len);

/*
 * What the reader of frames accepts, TUN_F_* out of tap->offloads: the kernel then passes frames
 * without checksum, or many segments in one. 0: plain frames only.
 */
__must_check int tap_set_offloads(struct tap *tap, unsigned offloads);

#endif
