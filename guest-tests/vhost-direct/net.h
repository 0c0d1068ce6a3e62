/* SPDX-License-Identifier: Apache-2.0 */
/* A network card without a guest: the driver's side, and the host's, which is a packet socket. */
#ifndef KINGLET_VHOST_DIRECT_NET_H
#define KINGLET_VHOST_DIRECT_NET_H

#include "driver.h"

#include "devices/vhost_net.h"
#include "host/tap.h"

#include <linux/if_ether.h>
#include <linux/virtio_net.h>

enum { RX, TX, QUEUES };
enum { HEADER = sizeof(struct virtio_net_hdr_v1), BUFFER = 2048 };

struct net {
	struct host *host;
	struct vhost *vhost;
	struct tap tap;
	struct virtio_dev dev;
	struct ring rings[QUEUES];
	uint64_t buffers[QUEUES]; /* RING_CHAINS of BUFFER bytes each */
	int socket;
};

/* False: a line says what is missing. Its buffers are allocated first. */
bool net_open(struct net *net, struct host *host, const char *tap_name);
void net_close(struct net *net);

/* With empty rings. Ends by driver_stop(). */
void net_start(struct net *net, uint64_t features);

/* The device address of a chain's buffer. */
uint64_t net_buffer(const struct net *net, unsigned queue, unsigned chain);

/*
 * Frames are numbered, and their bytes follow from the number. Out, at most RING_CHAINS at a time:
 * made available without a kick; then awaited at the tap, compared, and taken back.
 */
void net_transmit(struct net *net, unsigned first, unsigned count);
void net_transmitted(struct net *net, unsigned first, unsigned count);

/*
 * In: sent to the tap; the next one that arrives, which must be number n, is compared, and its chain
 * returned. Frames of other types are ignored: the host sends some (IPv6 neighbour discovery).
 */
void net_inject(struct net *net, unsigned first, unsigned count);
unsigned net_receive(struct net *net, unsigned n);

/* Makes a receive buffer available; all of them, with a kick. */
void net_offer(struct net *net, unsigned chain);
void net_offer_all(struct net *net);

#endif
