/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-net and a tap. Frames put into the transmit queue must come out of the interface, where a
 * packet socket receives them, and frames that this socket sends must arrive in the receive queue.
 */
#include "net.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { FRAMES = 1000, MIN_FRAME = 60, MAX_FRAME = ETH_FRAME_LEN };
enum { ETHERTYPE = 0x88b5 }; /* IEEE 802: for experiments */

static const struct virtio_model model = { .name = "direct-net", .id = VIRTIO_ID_NET };

uint64_t net_buffer(const struct net *net, unsigned queue, unsigned chain)
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

void net_transmit(struct net *net, unsigned first, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		unsigned chain = (first + i) % RING_CHAINS;
		struct buffer buffer = { .gpa = net_buffer(net, TX, chain) };
		uint8_t *data = host_ptr(net->host, buffer.gpa, BUFFER);

		/* §5.1.6.2: no checksum to compute, no segmentation. */
		memset(data, 0, HEADER);
		buffer.len = HEADER + make_frame(data + HEADER, first + i);
		ring_send(&net->rings[TX], chain, &buffer, 1);
	}
}

void net_transmitted(struct net *net, unsigned first, unsigned count)
{
	uint8_t seen[BUFFER];
	uint32_t written;

	for (unsigned i = 0; i < count; i++) {
		struct pollfd arrived = { .fd = net->socket, .events = POLLIN };
		ssize_t len;

		require(poll(&arrived, 1, 60000) == 1, "a frame did not reach the tap");
		len = recv(net->socket, seen, sizeof(seen), 0);
		require(len > 0 && is_frame(seen, (size_t)len, first + i), "a frame was changed");
	}
	for (unsigned i = 0; i < count; i++)
		ring_wait(&net->rings[TX], &written);
}

void net_offer(struct net *net, unsigned chain)
{
	const struct buffer buffer = { net_buffer(net, RX, chain), BUFFER, true };

	ring_send(&net->rings[RX], chain, &buffer, 1);
}

void net_offer_all(struct net *net)
{
	for (unsigned i = 0; i < RING_CHAINS; i++)
		net_offer(net, i);
	ring_kick(&net->rings[RX]);
}

void net_inject(struct net *net, unsigned first, unsigned count)
{
	uint8_t frame[MAX_FRAME];

	for (unsigned i = 0; i < count; i++) {
		unsigned len = make_frame(frame, first + i);

		require(send(net->socket, frame, len, 0) == (ssize_t)len, "the tap takes no frame");
	}
}

unsigned net_receive(struct net *net, unsigned n)
{
	const uint8_t *frame;
	unsigned chain;
	uint32_t len;

	do {
		chain = ring_wait(&net->rings[RX], &len);
		frame = host_ptr(net->host, net_buffer(net, RX, chain) + HEADER, BUFFER - HEADER);
		require(len > HEADER + ETH_HLEN && len <= BUFFER, "an impossible length");
		if (frame[12] == ETHERTYPE >> 8 && frame[13] == (ETHERTYPE & 0xff))
			break;
		net_offer(net, chain);
		ring_kick(&net->rings[RX]);
	} while (true);
	require(is_frame(frame, len - HEADER, n), "a received frame was changed");
	return chain;
}

static void exchange(struct net *net)
{
	const unsigned batch = RING_CHAINS / 2;

	for (unsigned n = 0; n < FRAMES; n += batch) {
		unsigned count = FRAMES - n < batch ? FRAMES - n : batch;

		net_transmit(net, n, count);
		ring_kick(&net->rings[TX]);
		net_transmitted(net, n, count);
		net_inject(net, n, count);
		for (unsigned i = 0; i < count; i++)
			net_offer(net, net_receive(net, n + i));
		ring_kick(&net->rings[RX]);
	}
}

bool net_open(struct net *net, struct host *host, const char *tap_name)
{
	const struct tap_options tap_options = { .name = tap_name };
	int err;

	*net = (struct net){ .host = host };
	if (vhost_net_open(&net->vhost, &host->sys, -1, false) ||
	    tap_open(&net->tap, &host->sys, &tap_options) || tap_set_header(&net->tap, HEADER))
		return false;
	err = virtio_dev_init(&net->dev, &model, &host->env, 0, vhost_net_features(net->vhost), 0,
			      QUEUES, RING_SIZE);
	require(!err, "no device");
	require(!vhost_net_bind(net->vhost, &net->dev, RX, net->tap.fd), "no vhost");
	net->socket = open_socket(tap_name);
	for (unsigned i = 0; i < QUEUES; i++)
		net->buffers[i] = host_alloc(host, RING_CHAINS * BUFFER, 1);
	return true;
}

void net_close(struct net *net)
{
	close(net->socket);
	virtio_dev_destroy(&net->dev);
	tap_close(&net->tap);
}

void net_start(struct net *net, uint64_t features)
{
	for (unsigned i = 0; i < QUEUES; i++)
		ring_init(&net->rings[i], net->host, &net->dev.queues[i]);
	driver_start(&net->dev, net->host, features);
}

int net_run(struct host *host, const char *tap_name)
{
	struct net net;

	if (!net_open(&net, host, tap_name))
		return 1;
	/* Twice: after a reset the device must work as before. */
	for (unsigned life = 0; life < 2; life++) {
		net_start(&net, 0);
		net_offer_all(&net);
		exchange(&net);
		driver_stop(&net.dev);
	}
	printf("net: %d frames out and %d in, each as it was sent\n", 2 * FRAMES, 2 * FRAMES);
	net_close(&net);
	return 0;
}
