/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-net and a tap. Frames put into the transmit queue must come out of the interface, where a
 * packet socket receives them, and frames that this socket sends must arrive in the receive queue.
 */
#include "driver.h"

#include "devices/vhost_net.h"
#include "host/tap.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { RX, TX, QUEUES };
enum { FRAMES = 1000, MIN_FRAME = 60, MAX_FRAME = ETH_FRAME_LEN };
enum { HEADER = sizeof(struct virtio_net_hdr_v1), BUFFER = 2048 };
enum { ETHERTYPE = 0x88b5 }; /* IEEE 802: for experiments */

struct net {
	struct host *host;
	struct virtio_dev dev;
	struct ring rings[QUEUES];
	uint64_t buffers[QUEUES]; /* RING_CHAINS of BUFFER bytes each */
	int socket;
};

static const struct virtio_model model = { .name = "direct-net", .id = VIRTIO_ID_NET };

static uint64_t buffer_of(const struct net *net, unsigned queue, unsigned chain)
{
	return net->buffers[queue] + (uint64_t)chain * BUFFER;
}

/* Frame number n: addresses, type, and bytes derived from n. */
static unsigned make_frame(uint8_t *frame, unsigned n)
{
	static const uint8_t to_all[ETH_HLEN] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, ETHERTYPE >> 8, ETHERTYPE & 0xff,
	};
	unsigned len = MIN_FRAME + n * 7919 % (MAX_FRAME - MIN_FRAME + 1);

	memcpy(frame, to_all, sizeof(to_all));
	for (unsigned i = ETH_HLEN; i < len; i++)
		frame[i] = (uint8_t)(n * 31 + i * (n | 1));
	return len;
}

static bool is_frame(const uint8_t *frame, size_t len, unsigned n)
{
	uint8_t expected[MAX_FRAME];

	return len == make_frame(expected, n) && !memcmp(frame, expected, len);
}

/* Sees every frame of our type that the host receives from the interface. */
static int open_socket(const char *interface)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETHERTYPE),
		.sll_ifindex = (int)if_nametoindex(interface),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETHERTYPE));

	require(fd >= 0, "no packet socket (root only)");
	require(!bind(fd, (struct sockaddr *)&address, sizeof(address)), "no such interface");
	return fd;
}

static void transmit_some(struct net *net, unsigned first, unsigned count)
{
	struct ring *ring = &net->rings[TX];
	uint8_t seen[BUFFER];
	uint32_t written;

	for (unsigned i = 0; i < count; i++) {
		struct buffer buffer = { .gpa = buffer_of(net, TX, i) };
		uint8_t *data = host_ptr(net->host, buffer.gpa, BUFFER);

		/* §5.1.6.2: no checksum to compute, no segmentation. */
		memset(data, 0, HEADER);
		buffer.len = HEADER + make_frame(data + HEADER, first + i);
		ring_send(ring, i, &buffer, 1);
	}
	ring_kick(ring);
	for (unsigned i = 0; i < count; i++) {
		struct pollfd arrived = { .fd = net->socket, .events = POLLIN };
		ssize_t len;

		require(poll(&arrived, 1, 60000) == 1, "a frame did not reach the tap");
		len = recv(net->socket, seen, sizeof(seen), 0);
		require(len > 0 && is_frame(seen, (size_t)len, first + i), "a frame was changed");
	}
	for (unsigned i = 0; i < count; i++)
		ring_wait(ring, &written);
}

static void offer_receive_buffer(struct net *net, unsigned chain)
{
	const struct buffer buffer = { buffer_of(net, RX, chain), BUFFER, true };

	ring_send(&net->rings[RX], chain, &buffer, 1);
}

/* The next frame of our type; the host sends others (IPv6 neighbour discovery). */
static void receive_one(struct net *net, unsigned n)
{
	const uint8_t *frame;
	unsigned chain;
	uint32_t len;

	do {
		chain = ring_wait(&net->rings[RX], &len);
		frame = host_ptr(net->host, buffer_of(net, RX, chain) + HEADER, BUFFER - HEADER);
		require(len > HEADER + ETH_HLEN && len <= BUFFER, "an impossible length");
		if (frame[12] == ETHERTYPE >> 8 && frame[13] == (ETHERTYPE & 0xff))
			break;
		offer_receive_buffer(net, chain);
		ring_kick(&net->rings[RX]);
	} while (true);
	require(is_frame(frame, len - HEADER, n), "a received frame was changed");
	offer_receive_buffer(net, chain);
}

static void receive_some(struct net *net, unsigned first, unsigned count)
{
	uint8_t frame[MAX_FRAME];

	for (unsigned i = 0; i < count; i++) {
		unsigned len = make_frame(frame, first + i);

		require(send(net->socket, frame, len, 0) == (ssize_t)len, "the tap takes no frame");
	}
	for (unsigned i = 0; i < count; i++)
		receive_one(net, first + i);
	ring_kick(&net->rings[RX]);
}

static void exchange(struct net *net)
{
	const unsigned batch = RING_CHAINS / 2;

	for (unsigned i = 0; i < RING_CHAINS; i++)
		offer_receive_buffer(net, i);
	ring_kick(&net->rings[RX]);
	for (unsigned n = 0; n < FRAMES; n += batch) {
		unsigned count = FRAMES - n < batch ? FRAMES - n : batch;

		transmit_some(net, n, count);
		receive_some(net, n, count);
	}
}

int net_run(struct host *host, const char *tap_name)
{
	const struct tap_options tap_options = { .name = tap_name };
	struct net net = { .host = host };
	struct vhost *vhost;
	struct tap tap;
	int err;

	if (vhost_net_open(&vhost, &host->sys, -1, false) ||
	    tap_open(&tap, &host->sys, &tap_options) || tap_set_header(&tap, HEADER))
		return 1;
	err = virtio_dev_init(&net.dev, &model, &host->env, 0, vhost_net_features(vhost), 0, QUEUES,
			      RING_SIZE);
	require(!err, "no device");
	require(!vhost_net_bind(vhost, &net.dev, RX, tap.fd), "no vhost");
	net.socket = open_socket(tap_name);
	for (unsigned i = 0; i < QUEUES; i++)
		net.buffers[i] = host_alloc(host, RING_CHAINS * BUFFER, BUFFER);

	/* Twice: after a reset the device must work as before. */
	for (unsigned life = 0; life < 2; life++) {
		for (unsigned i = 0; i < QUEUES; i++)
			ring_init(&net.rings[i], host, &net.dev.queues[i]);
		driver_start(&net.dev, host, 0);
		exchange(&net);
		driver_stop(&net.dev);
	}
	printf("net: %d frames out and %d in, each as it was sent\n", 2 * FRAMES, 2 * FRAMES);

	close(net.socket);
	virtio_dev_destroy(&net.dev);
	tap_close(&tap);
	return 0;
}
