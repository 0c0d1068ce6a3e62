/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio-net device with one pair of queues on the local backend, its driver's rings, and a
 * packet socket in place of the tap.
 *
 *	card_start(f, features);
 *	card_give(f, 2048);
 *	card_kick(f, &f->rx);
 *	card_wire_send(f, 100, 1);
 *	mock_env_dispatch(&f->env);
 *	card_expect_received(f, 100, 1, 1);
 *
 * One thread does everything. All functions here fail the test on errors.
 */
#ifndef KINGLET_TESTS_NET_CARD_H
#define KINGLET_TESTS_NET_CARD_H

#include "mock_ring.h"
#include "devices/net.h"

#include <linux/if_tun.h>
#include <linux/virtio_net.h>

enum {
	CARD_RING = 256,
	CARD_HEADER = 12,
	CARD_BIG = CARD_HEADER + 14 + 65535,
	CARD_TURN = 64, /* frames that the device carries at a time */
	CARD_OFFLOADS = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_UFO,
};

#define CARD_MERGE (1ULL << VIRTIO_NET_F_MRG_RXBUF)
#define CARD_CONTROL (1ULL << VIRTIO_NET_F_CTRL_VQ)
#define CARD_ANNOUNCE (CARD_CONTROL | 1ULL << VIRTIO_NET_F_GUEST_ANNOUNCE)

struct net_card {
	struct mock_env env;
	struct mock_ring rx, tx, control;
	struct mock_transport transport;
	struct virtio_dev *dev;
	int wire; /* the other end of the tap */
	/* Receive buffers by head, and where the data area of received frames starts. */
	uint64_t gpa[CARD_RING];
	uint32_t len[CARD_RING];
	unsigned long offloads; /* TUNSETOFFLOAD */
	int header_len, little_endian;
	int offload_error;
	bool removed; /* TUNGETIFF says so */
};

/* For cmocka, with the struct net_card as its state: a device with all offloads on "tap0". */
int card_setup(void **state);
int card_teardown(void **state);
#define CARD_TEST(name) cmocka_unit_test_setup_teardown(name, card_setup, card_teardown)

/* A device on a tap like this, with no rings yet; mac as in virtio_net_options. */
void card_make(struct net_card *f, const char *tap, unsigned offloads, unsigned mtu,
	       const uint8_t *mac);
/* Resets and destroys the device. Closes the wire. */
void card_drop(struct net_card *f);

/* Fresh rings, like those of a driver that binds again. Before card_start(). */
void card_bind_rings(struct net_card *f);
/* To DRIVER_OK with these features and VERSION_1. */
void card_start(struct net_card *f, uint64_t features);
/* Kicks one of its rings if the device needs it, and lets it work. */
void card_kick(struct net_card *f, struct mock_ring *ring);

/*
 * A frame of len bytes with its header. Its bytes are derived from its number, to detect a lost,
 * torn or duplicated one.
 */
void card_make_frame(uint8_t *frame, size_t len, unsigned number);
/* Sends it to the guest. */
void card_wire_send(struct net_card *f, size_t len, unsigned number);

/* Gives a receive buffer; the data area is the high slot, one part for each head. */
void card_give(struct net_card *f, uint32_t len);
void card_give_many(struct net_card *f, unsigned n, uint32_t len);
/*
 * Takes the next received frame out of the ring as Linux does: the first buffer's header says how
 * many buffers follow. Returns its length, at most CARD_BIG; 0 when there is none.
 */
size_t card_receive(struct net_card *f, uint8_t *frame, unsigned *buffers);
void card_expect_received(struct net_card *f, size_t len, unsigned number, unsigned buffers);
void card_expect_nothing(struct net_card *f);

/* Runs a command of class, number and data on the control queue; returns its answer. */
uint8_t card_command(struct net_card *f, uint8_t class, uint8_t number, const void *data,
		     uint32_t len);
void card_command_ok(struct net_card *f, uint8_t class, uint8_t number, const void *data,
		     uint32_t len);

void card_read_config(struct net_card *f, uint8_t config[12]);
struct virtio_net_stats card_stats(struct net_card *f);

#endif
