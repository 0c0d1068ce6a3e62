/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-net, virtio 1.2 §5.1: features, configuration, and frames both ways. */
#include "base/le.h"
#include "capture.h"
#include "net_card.h"
#include "unit.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>

/* --- Features and configuration --- */

static void test_features_follow_tap(void **state)
{
	static const uint64_t host_and_guest =
		1ULL << VIRTIO_NET_F_CSUM | 1ULL << VIRTIO_NET_F_GUEST_CSUM |
		1ULL << VIRTIO_NET_F_HOST_TSO4 | 1ULL << VIRTIO_NET_F_GUEST_TSO4 |
		1ULL << VIRTIO_NET_F_HOST_TSO6 | 1ULL << VIRTIO_NET_F_GUEST_TSO6 |
		1ULL << VIRTIO_NET_F_HOST_ECN | 1ULL << VIRTIO_NET_F_GUEST_ECN;
	static const uint64_t ufo = 1ULL << VIRTIO_NET_F_HOST_UFO | 1ULL << VIRTIO_NET_F_GUEST_UFO;
	struct net_card *f = *state;
	uint64_t offered = virtio_offered(f->dev);

	assert_int_equal(offered & (host_and_guest | ufo), host_and_guest | ufo);
	assert_true(offered >> VIRTIO_NET_F_MAC & 1);
	assert_true(offered >> VIRTIO_NET_F_MTU & 1);
	assert_true(offered >> VIRTIO_NET_F_CTRL_GUEST_OFFLOADS & 1);

	card_drop(f);
	card_make(f, "tap0", CARD_OFFLOADS & ~TUN_F_UFO, 0, NULL);
	assert_int_equal(virtio_offered(f->dev) & (host_and_guest | ufo), host_and_guest);
	assert_false(virtio_offered(f->dev) >> VIRTIO_NET_F_MTU & 1);

	card_drop(f);
	card_make(f, "tap0", 0, 67, NULL);
	assert_int_equal(virtio_offered(f->dev) & (host_and_guest | ufo), 0);
	assert_false(virtio_offered(f->dev) >> VIRTIO_NET_F_CTRL_GUEST_OFFLOADS & 1);
	assert_false(virtio_offered(f->dev) >> VIRTIO_NET_F_MTU & 1);
}

static void test_config(void **state)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };
	struct net_card *f = *state;
	uint8_t first[12], config[12];

	card_read_config(f, first);
	/* Locally administered, unicast; up; one pair; the tap's MTU. */
	assert_int_equal(first[0] & 3, 2);
	assert_memory_equal(first + 6, "\x01\x00\x01\x00\xdc\x05", 6);

	card_drop(f);
	card_make(f, "tap0", CARD_OFFLOADS, 1500, NULL);
	card_read_config(f, config);
	assert_memory_equal(config, first, 6);

	card_drop(f);
	card_make(f, "tap1", CARD_OFFLOADS, 1500, NULL);
	card_read_config(f, config);
	assert_memory_not_equal(config, first, 6);

	card_drop(f);
	card_make(f, "tap1", CARD_OFFLOADS, 1500, mac);
	card_read_config(f, config);
	assert_memory_equal(config, mac, 6);
}

/* A macvtap passes only frames to its own address, so the card uses that address. */
static void test_macvtap_has_the_address(void **state)
{
	struct net_card *f = *state;
	struct tap tap = { .sys = &f->env.fake.sys, .fd = -1, .name = "macvtap0", .macvtap = true,
			   .mac = { 2, 1, 2, 3, 4, 5 } };
	const struct virtio_net_options options = { .taps = &tap, .pairs = 1, .features = ~0ULL };
	struct virtio_dev *dev;
	uint8_t mac[6];

	assert_int_equal(virtio_net_new(&dev, &f->env.virtio, 1, &options), 0);
	virtio_config_read(dev, 0, mac, sizeof(mac));
	assert_memory_equal(mac, "\2\1\2\3\4\5", 6);
	assert_true(virtio_offered(f->dev) >> VIRTIO_NET_F_CTRL_MAC_ADDR & 1);
	assert_false(virtio_offered(dev) >> VIRTIO_NET_F_CTRL_MAC_ADDR & 1);
	dev->model->destroy(dev);
}

static void test_activation_tells_tap_what_was_acked(void **state)
{
	static const struct {
		uint64_t features;
		unsigned offloads;
	} cases[] = {
		{ 0, 0 },
		{ 1ULL << VIRTIO_NET_F_GUEST_CSUM, TUN_F_CSUM },
		{ 1ULL << VIRTIO_NET_F_GUEST_CSUM | 1ULL << VIRTIO_NET_F_GUEST_TSO4,
		  TUN_F_CSUM | TUN_F_TSO4 },
		{ 1ULL << VIRTIO_NET_F_GUEST_CSUM | 1ULL << VIRTIO_NET_F_GUEST_TSO6 |
			  1ULL << VIRTIO_NET_F_GUEST_ECN | 1ULL << VIRTIO_NET_F_GUEST_UFO,
		  TUN_F_CSUM | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_UFO },
		/* Features without their prerequisites are not enabled. */
		{ 1ULL << VIRTIO_NET_F_GUEST_TSO4, 0 },
		{ 1ULL << VIRTIO_NET_F_GUEST_CSUM | 1ULL << VIRTIO_NET_F_GUEST_ECN, TUN_F_CSUM },
		/* Offloads for transmit do not imply offloads for receive. */
		{ 1ULL << VIRTIO_NET_F_CSUM | 1ULL << VIRTIO_NET_F_HOST_TSO4, 0 },
	};
	struct net_card *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		f->offloads = ~0UL;
		card_bind_rings(f);
		card_start(f, cases[i].features);
		assert_int_equal(f->offloads, cases[i].offloads);
		assert_int_equal(f->header_len, CARD_HEADER);
		assert_int_equal(f->little_endian, 1);
		mock_driver_status(f->dev, 0);
	}
}

static void test_failed_activation_is_broken_and_recovers(void **state)
{
	struct net_card *f = *state;
	struct capture capture;
	char text[512];

	f->offload_error = EIO;
	capture_stderr_begin(&capture);
	mock_driver_start(f->dev, &f->transport, 0);
	capture_expect(&capture, "tap tap0: TUNSETOFFLOAD");
	assert_true(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	mock_env_dispatch(&f->env);
	mock_driver_status(f->dev, 0);

	/* The rings' addresses are invalid: that is detected after the tap was configured. */
	f->offload_error = 0;
	for (unsigned dispatch = 0; dispatch < 2; dispatch++) {
		f->dev->queues[NET_QUEUE_RX(0)].state.enabled = 1;
		f->dev->queues[NET_QUEUE_RX(0)].state.desc = MOCK_HOLE;
		capture_stderr_begin(&capture);
		mock_driver_start(f->dev, &f->transport, 0);
		card_wire_send(f, 100, dispatch);
		if (dispatch)
			mock_env_dispatch(&f->env);
		capture_stderr_end(&capture, text, sizeof(text));
		assert_true(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
		mock_driver_status(f->dev, 0);

		card_bind_rings(f);
		card_give(f, 2048);
		card_start(f, 0);
		card_expect_received(f, 100, dispatch, 1);
		mock_driver_status(f->dev, 0);
	}
}

/* The interface was removed: a card without a link, which is logged once. */
static void test_tap_gone_at_start(void **state)
{
	struct net_card *f = *state;
	struct capture capture;
	uint8_t config[12];

	f->offload_error = EBADFD;
	capture_stderr_begin(&capture);
	for (unsigned i = 0; i < 3; i++) {
		card_bind_rings(f);
		card_start(f, CARD_CONTROL);
		card_read_config(f, config);
		assert_int_equal(config[6], 0);
		mock_driver_status(f->dev, 0);
	}
	capture_expect_all(&capture,
			   "kinglet: tap tap0: TUNSETOFFLOAD: File descriptor in bad state "
			   "(the interface was removed: link down)\n");
}

/* --- Transmit --- */

static void expect_on_wire(struct net_card *f, size_t len, unsigned number)
{
	static uint8_t want[CARD_BIG], got[CARD_BIG + 1];

	card_make_frame(want, len, number);
	assert_int_equal(recv(f->wire, got, sizeof(got), 0), len);
	assert_memory_equal(got, want, len);
}

static void transmit(struct net_card *f, size_t len, unsigned number)
{
	static uint8_t frame[CARD_BIG];
	uint64_t gpa = MOCK_SEAM; /* the second slot; reused: sent or copied at once */
	struct mock_buf bufs[] = {
		{ .gpa = gpa, .len = CARD_HEADER },
		{ .gpa = gpa + CARD_HEADER, .len = (uint32_t)len - CARD_HEADER },
	};

	card_make_frame(frame, len, number);
	assert_int_equal(gmem_write(&f->env.mem, gpa, frame, len), 0);
	mock_ring_add(&f->tx, bufs, 2);
}

static void test_transmit(void **state)
{
	struct net_card *f = *state;
	uint32_t written;
	uint16_t head;

	card_start(f, 0);
	transmit(f, 100, 1);
	card_kick(f, &f->tx);
	expect_on_wire(f, 100, 1);
	assert_true(mock_ring_reap(&f->tx, &head, &written));
	assert_int_equal(written, 0);
	assert_true(mock_irq_taken(&f->dev->queues[NET_QUEUE_TX(0)].irq));

	transmit(f, CARD_BIG, 2);
	card_kick(f, &f->tx);
	expect_on_wire(f, CARD_BIG, 2);
	assert_int_equal(card_stats(f).tx_frames, 2);
	assert_int_equal(card_stats(f).tx_dropped, 0);
}

static void test_transmit_drops_what_is_no_frame(void **state)
{
	static const uint32_t lens[] = { 1, CARD_HEADER, CARD_HEADER + 13, CARD_BIG + 9, 1 << 20 };
	struct net_card *f = *state;
	uint32_t written;
	uint16_t head;

	card_start(f, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(lens); i++)
		mock_ring_add(&f->tx, &(struct mock_buf){ .gpa = MOCK_SEAM, .len = lens[i] }, 1);
	/* Only a device-writable part. */
	mock_ring_add(&f->tx, &(struct mock_buf){ .gpa = MOCK_SEAM, .len = 100, .writable = true },
		      1);
	transmit(f, CARD_HEADER + 14, 3);
	card_kick(f, &f->tx);
	expect_on_wire(f, CARD_HEADER + 14, 3);
	assert_int_equal(card_stats(f).tx_dropped, ARRAY_SIZE(lens) + 1);
	assert_int_equal(card_stats(f).tx_frames, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(lens) + 2; i++)
		assert_true(mock_ring_reap(&f->tx, &head, &written));
	assert_false(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* The tap is full again and again: every frame arrives, once, in order. */
static void transmit_through_full_tap(struct net_card *f, uint64_t features)
{
	unsigned sent = 0, arrived = 0, waits = 0;
	static uint8_t frame[CARD_BIG];
	uint64_t gpa = MOCK_SEAM;

	card_start(f, features);
	while (arrived < 120) {
		ssize_t len;

		/* 32 KiB each: a handful fills the socket. */
		for (; sent < 120 && sent - arrived < 60; sent++) {
			uint64_t at = gpa + (sent % 60) * (32 << 10);

			card_make_frame(frame, 32 << 10, sent);
			assert_int_equal(gmem_write(&f->env.mem, at, frame, 32 << 10), 0);
			mock_ring_add(&f->tx, &(struct mock_buf){ .gpa = at, .len = 32 << 10 }, 1);
		}
		card_kick(f, &f->tx);
		waits += card_stats(f).tx_frames < sent;
		while ((len = recv(f->wire, frame, sizeof(frame), 0)) > 0) {
			static uint8_t want[32 << 10];
			uint32_t written;
			uint16_t head;

			card_make_frame(want, sizeof(want), arrived++);
			assert_int_equal(len, sizeof(want));
			assert_memory_equal(frame, want, sizeof(want));
			assert_true(mock_ring_reap(&f->tx, &head, &written));
		}
		mock_env_dispatch(&f->env);
	}
	assert_true(waits > 2);
	assert_int_equal(card_stats(f).tx_frames, 120);
	assert_int_equal(card_stats(f).tx_dropped, 0);
}

static void test_transmit_through_full_tap_flags(void **state)
{
	transmit_through_full_tap(*state, 0);
}

static void test_transmit_through_full_tap_event_index(void **state)
{
	transmit_through_full_tap(*state, 1ULL << VIRTIO_RING_F_EVENT_IDX);
}

static void test_transmit_takes_turns(void **state)
{
	struct net_card *f = *state;

	card_start(f, 0);
	for (unsigned i = 0; i < 100; i++)
		transmit(f, 60, 0);
	mock_ring_kick(&f->tx);
	assert_true(mock_env_wait(&f->env, 0));
	assert_int_equal(card_stats(f).tx_frames, CARD_TURN);
	mock_env_dispatch(&f->env);
	assert_int_equal(card_stats(f).tx_frames, 100);
}

/* --- Receive --- */

static void test_receive_one(void **state)
{
	struct net_card *f = *state;

	card_start(f, CARD_MERGE);
	card_give(f, 2048);
	card_kick(f, &f->rx);
	card_wire_send(f, 100, 1);
	mock_env_dispatch(&f->env);
	card_expect_received(f, 100, 1, 1);
	assert_true(mock_irq_taken(&f->dev->queues[NET_QUEUE_RX(0)].irq));
	assert_int_equal(card_stats(f).rx_frames, 1);
}

static void test_receive_merges_buffers(void **state)
{
	struct net_card *f = *state;

	card_start(f, CARD_MERGE);
	/* Room for any frame: straight into guest memory. */
	card_give_many(f, 60, 1536);
	card_kick(f, &f->rx);
	card_wire_send(f, CARD_BIG, 1);
	card_wire_send(f, 1536, 2);
	card_wire_send(f, 1537, 3);
	mock_env_dispatch(&f->env);
	card_expect_received(f, CARD_BIG, 1, (CARD_BIG + 1535) / 1536);
	card_expect_received(f, 1536, 2, 1);
	card_expect_received(f, 1537, 3, 2);
	card_expect_nothing(f);
}

static void test_receive_buffer_in_pieces(void **state)
{
	struct net_card *f = *state;
	/* The header itself is split in two, and the second piece crosses the slots' seam. */
	struct mock_buf bufs[] = {
		{ .gpa = MOCK_HIGH, .len = 11, .writable = true },
		{ .gpa = MOCK_SEAM - 50, .len = 189, .writable = true },
	};
	uint8_t want[200], got[200];
	uint32_t written;
	uint16_t head;

	card_start(f, 1ULL << VIRTIO_RING_F_INDIRECT_DESC);
	mock_ring_add_indirect(&f->rx, bufs, 2);
	card_kick(f, &f->rx);
	card_wire_send(f, 200, 1);
	mock_env_dispatch(&f->env);
	assert_true(mock_ring_reap(&f->rx, &head, &written));
	assert_int_equal(written, 200);
	card_make_frame(want, 200, 1);
	assert_int_equal(gmem_read(&f->env.mem, MOCK_HIGH, got, 11), 0);
	assert_int_equal(gmem_read(&f->env.mem, MOCK_SEAM - 50, got + 11, 189), 0);
	assert_memory_equal(got + CARD_HEADER, want + CARD_HEADER, 200 - CARD_HEADER);
	assert_int_equal(get_le16(got + 10), 1);
}

/*
 * §5.1.6.1: without VERSION_1 and merged buffers the header ends before num_buffers, which would be
 * the first bytes of the frame. With merged buffers it has num_buffers as usual.
 */
static void test_header_of_a_driver_without_version_1(void **state)
{
	static const struct {
		uint64_t features;
		int header_len;
	} cases[] = {
		{ 0, 10 },
		{ CARD_MERGE, 12 },
		{ 1ULL << VIRTIO_F_VERSION_1, 12 },
	};
	struct net_card *f = *state;
	uint8_t frame[100], got[100];

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t len = (size_t)cases[i].header_len + 14;
		uint32_t written;
		uint16_t head;

		card_bind_rings(f);
		mock_driver_start_exactly(f->dev, &f->transport, cases[i].features);
		assert_int_equal(f->header_len, cases[i].header_len);
		memset(frame, 0x5a, sizeof(frame));
		memset(frame, 0, (size_t)cases[i].header_len);

		/* The shortest valid frame is sent, a frame one byte shorter is not. */
		assert_int_equal(gmem_write(&f->env.mem, MOCK_SEAM, frame, sizeof(frame)), 0);
		mock_ring_add(&f->tx, &(struct mock_buf){ .gpa = MOCK_SEAM, .len = len - 1 }, 1);
		mock_ring_add(&f->tx, &(struct mock_buf){ .gpa = MOCK_SEAM, .len = len }, 1);
		card_kick(f, &f->tx);
		assert_int_equal(recv(f->wire, got, sizeof(got), MSG_DONTWAIT), len);
		assert_memory_equal(got, frame, len);
		assert_int_equal(recv(f->wire, got, sizeof(got), MSG_DONTWAIT), -1);

		/* And is received unchanged, except for num_buffers. */
		card_give(f, 2048);
		card_kick(f, &f->rx);
		assert_int_equal(send(f->wire, frame, len, 0), len);
		mock_env_dispatch(&f->env);
		assert_true(mock_ring_reap(&f->rx, &head, &written));
		assert_int_equal(written, len);
		assert_int_equal(gmem_read(&f->env.mem, f->gpa[head], got, len), 0);
		if (cases[i].header_len == 12)
			put_le16(frame + 10, 1);
		assert_memory_equal(got, frame, len);
		mock_driver_status(f->dev, 0);
	}
}

/* No buffers: frames wait in the tap, which is not polled meanwhile. */
static void receive_waits_for_buffers(struct net_card *f, uint64_t features)
{
	card_start(f, features);
	for (unsigned i = 0; i < 5; i++)
		card_wire_send(f, 100 + i, i);
	mock_env_dispatch(&f->env);
	card_expect_nothing(f);

	for (unsigned i = 0; i < 5; i++) {
		card_give(f, 2048);
		card_kick(f, &f->rx);
		card_expect_received(f, 100 + i, i, 1);
		card_expect_nothing(f);
	}
	assert_int_equal(card_stats(f).rx_dropped, 0);
}

static void test_receive_waits_for_buffers(void **state)
{
	receive_waits_for_buffers(*state, CARD_MERGE);
}

static void test_receive_waits_for_buffers_event_index(void **state)
{
	receive_waits_for_buffers(*state, CARD_MERGE | 1ULL << VIRTIO_RING_F_EVENT_IDX);
}

static void test_receive_waits_for_buffers_unmerged(void **state)
{
	receive_waits_for_buffers(*state, 0);
}

/* A frame larger than the available buffers waits until there are enough, and arrives whole. */
static void test_receive_frame_is_never_torn(void **state)
{
	struct net_card *f = *state;

	card_start(f, CARD_MERGE);
	card_give_many(f, 3, 1500);
	card_kick(f, &f->rx);
	card_wire_send(f, 6000, 1);
	card_wire_send(f, 60, 2);
	mock_env_dispatch(&f->env);
	card_expect_nothing(f);
	card_give(f, 1499);
	card_kick(f, &f->rx);
	card_expect_nothing(f);
	card_give(f, 1500);
	card_kick(f, &f->rx);
	card_expect_received(f, 6000, 1, 5);
	card_expect_nothing(f);
	card_give(f, 1500);
	card_kick(f, &f->rx);
	card_expect_received(f, 60, 2, 1);
	assert_int_equal(card_stats(f).rx_dropped, 0);
}

/* Frames and buffers of all sizes in any order: nothing is lost, torn or duplicated. */
static void test_receive_any_order(void **state)
{
	struct net_card *f = *state;
	uint32_t random = 12345;
	size_t lens[400];
	unsigned sent = 0, got = 0;

	card_start(f, CARD_MERGE | 1ULL << VIRTIO_RING_F_EVENT_IDX);
	for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
		random = random * 1664525 + 1013904223;
		lens[i] = 26 + (random >> 8) % (i % 4 ? 1500 : 65000);
	}
	while (got < ARRAY_SIZE(lens)) {
		random = random * 1664525 + 1013904223;
		switch (random >> 16 & 3) {
		case 0:
			if (sent < ARRAY_SIZE(lens) && sent - got < 3) {
				card_wire_send(f, lens[sent], sent);
				sent++;
			}
			break;
		case 1:
			for (unsigned n = random >> 20 & 31; n; n--) {
				unsigned busy = 0;

				for (unsigned i = 0; i < CARD_RING; i++)
					busy += f->rx.busy[i];
				if (busy < CARD_RING)
					card_give(f, 100 + (random >> 12) % 4000);
			}
			mock_ring_kick(&f->rx);
			break;
		case 2:
			mock_env_dispatch(&f->env);
			break;
		case 3: {
			static uint8_t want[CARD_BIG], frame[CARD_BIG];
			unsigned buffers;
			size_t len = card_receive(f, frame, &buffers);

			if (!len)
				break;
			card_make_frame(want, lens[got], got);
			assert_int_equal(len, lens[got]);
			assert_memory_equal(frame + CARD_HEADER, want + CARD_HEADER,
					    len - CARD_HEADER);
			got++;
			break;
		}
		}
	}
	assert_int_equal(card_stats(f).rx_frames, ARRAY_SIZE(lens));
	assert_int_equal(card_stats(f).rx_dropped, 0);
}

static void test_receive_drops_what_never_fits(void **state)
{
	struct net_card *f = *state;

	/* Without merging, a frame must fit into one buffer. */
	card_start(f, 0);
	card_give_many(f, 2, 1526);
	card_kick(f, &f->rx);
	card_wire_send(f, 1527, 1);
	card_wire_send(f, CARD_HEADER + 13, 2);
	card_wire_send(f, 1526, 3);
	mock_env_dispatch(&f->env);
	card_expect_received(f, 1526, 3, 1);
	card_expect_nothing(f);
	assert_int_equal(card_stats(f).rx_dropped, 2);
	mock_driver_status(f->dev, 0);

	/* With merging, when even all buffers of the ring are too small. */
	card_bind_rings(f);
	card_start(f, CARD_MERGE);
	card_give_many(f, CARD_RING, 12);
	card_kick(f, &f->rx);
	card_wire_send(f, 12 * CARD_RING + 1, 4);
	card_wire_send(f, 100, 5);
	mock_env_dispatch(&f->env);
	card_expect_received(f, 100, 5, 9);
	assert_int_equal(card_stats(f).rx_dropped, 3);
}

static void test_receive_takes_turns(void **state)
{
	struct net_card *f = *state;

	card_start(f, CARD_MERGE);
	card_give_many(f, 200, 2048);
	card_kick(f, &f->rx);
	for (unsigned i = 0; i < 80; i++)
		card_wire_send(f, 60, i);
	assert_true(mock_env_wait(&f->env, 0));
	assert_int_equal(card_stats(f).rx_frames, CARD_TURN);
	mock_env_dispatch(&f->env);
	for (unsigned i = 0; i < 80; i++)
		card_expect_received(f, 60, i, 1);
}

static void test_receive_buffer_without_room_for_header(void **state)
{
	struct net_card *f = *state;
	struct capture capture;

	card_start(f, CARD_MERGE);
	card_give(f, CARD_HEADER - 1);
	capture_stderr_begin(&capture);
	card_kick(f, &f->rx);
	capture_expect(&capture, "receive queue");
	assert_true(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	/* Stopped, and quiet about frames. */
	card_wire_send(f, 100, 1);
	mock_env_dispatch(&f->env);
}

/* Stopping returns buffers that were taken ahead: the saved state is the driver's view. */
static void test_stop_gives_buffers_back(void **state)
{
	struct net_card *f = *state;
	struct virtq *q = &f->dev->queues[NET_QUEUE_RX(0)];

	card_start(f, CARD_MERGE);
	card_give_many(f, 60, 1536);
	card_kick(f, &f->rx);
	card_wire_send(f, 2000, 1);
	mock_env_dispatch(&f->env);
	assert_true(q->state.last_avail > 40);

	pthread_mutex_lock(&f->dev->lock);
	q->backend->ops->stop(q->backend, f->dev);
	assert_int_equal(q->state.last_avail, 2);
	assert_int_equal(q->state.used_index, 2);
	pthread_mutex_unlock(&f->dev->lock);
	card_wire_send(f, 100, 2);
	mock_env_dispatch(&f->env);
	card_expect_received(f, 2000, 1, 2);
	card_expect_nothing(f);
}

static void test_rebind(void **state)
{
	struct net_card *f = *state;

	for (unsigned round = 0; round < 5; round++) {
		card_bind_rings(f);
		card_start(f, CARD_MERGE);
		card_give_many(f, 10, 1536);
		card_kick(f, &f->rx);
		card_wire_send(f, 3000, round);
		transmit(f, 100, round);
		card_kick(f, &f->tx);
		expect_on_wire(f, 100, round);
		card_expect_received(f, 3000, round, 2);
		/* A frame too large for the old driver's buffers: the reset drops it. */
		card_wire_send(f, 30000, round);
		mock_env_dispatch(&f->env);
		mock_driver_status(f->dev, 0);
		mock_env_dispatch(&f->env);
	}
	assert_int_equal(f->transport.attached, 1);
	assert_int_equal(f->transport.detached, 1);
}

static void test_lost_tap_is_link_down(void **state)
{
	struct net_card *f = *state;
	struct capture capture;
	uint8_t config[12];
	uint32_t written;
	uint16_t head;

	card_start(f, CARD_MERGE);
	card_give(f, 2048);
	card_kick(f, &f->rx);
	close_fd(&f->wire);
	capture_stderr_begin(&capture);
	mock_env_dispatch(&f->env);
	capture_expect(&capture, "tap tap0");
	assert_int_equal(f->transport.config_changes, 1);
	card_read_config(f, config);
	assert_int_equal(config[6], 0);

	/* The driver continues to send; frames are dropped. */
	signal(SIGPIPE, SIG_IGN);
	transmit(f, 100, 1);
	card_kick(f, &f->tx);
	assert_true(mock_ring_reap(&f->tx, &head, &written));
	assert_int_equal(card_stats(f).tx_dropped, 1);
}

/* Otherwise a driver that must not kick would wait for its frames forever. */
static void test_tap_lost_while_frames_wait_for_room(void **state)
{
	struct net_card *f = *state;
	struct capture capture;
	unsigned back = 0, sent = 0;
	uint32_t written;
	uint16_t head;

	card_start(f, CARD_MERGE);
	do {
		transmit(f, 60000, ++sent);
		card_kick(f, &f->tx);
		back += mock_ring_reap(&f->tx, &head, &written);
	} while (back == sent && sent < CARD_RING / 2);
	assert_true(back < sent);
	for (unsigned i = 0; i < 2 * CARD_TURN / 3; i++)
		transmit(f, 100, ++sent);
	signal(SIGPIPE, SIG_IGN);
	close_fd(&f->wire);
	capture_stderr_begin(&capture);
	for (unsigned turn = 0; turn < 8; turn++)
		mock_env_dispatch(&f->env);
	capture_expect(&capture, "tap tap0");
	while (mock_ring_reap(&f->tx, &head, &written))
		back++;
	assert_int_equal(back, sent);

	/* And kicks are enabled again. */
	transmit(f, 100, ++sent);
	card_kick(f, &f->tx);
	assert_true(mock_ring_reap(&f->tx, &head, &written));
}

/*
 * The device stops itself in one callback; the tap's event, reported before, is handled after it.
 */
static void test_event_after_stop_is_ignored(void **state)
{
	struct net_card *f = *state;
	struct capture capture;
	uint8_t config[12];
	char text[256];

	card_start(f, CARD_MERGE);
	mock_ring_set_avail_index(&f->tx, CARD_RING + 1);
	mock_ring_kick(&f->tx);
	close_fd(&f->wire);
	capture_stderr_begin(&capture);
	assert_true(mock_env_wait(&f->env, 0));
	mock_env_dispatch(&f->env);
	capture_stderr_end(&capture, text, sizeof(text));
	assert_non_null(strstr(text, "transmit queue: broken ring"));
	assert_null(strstr(text, "link down"));
	card_read_config(f, config);
	assert_int_equal(config[6], 1);
}

/* --- Failures --- */

static void test_broken_rings(void **state)
{
	struct net_card *f = *state;
	struct mock_ring *const rings[] = { &f->rx, &f->tx, &f->control };

	for (unsigned i = 0; i < ARRAY_SIZE(rings); i++) {
		struct capture capture;

		card_bind_rings(f);
		card_start(f, CARD_CONTROL);
		mock_ring_set_avail_index(rings[i], (uint16_t)(rings[i]->size + 1));
		capture_stderr_begin(&capture);
		card_kick(f, rings[i]);
		capture_expect(&capture, "broken ring");
		assert_true(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
		mock_driver_status(f->dev, 0);
	}
}

static void test_construction_failure_leaves_no_fd(void **state)
{
	struct net_card *f = *state;
	unsigned before;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
	before = fake_open_fds();
	for (unsigned n = 1; n < 100; n++) {
		struct tap tap = { .sys = &f->env.fake.sys, .name = "tap0", .fd = dup(fds[0]) };
		const struct virtio_net_options options = {
			.taps = &tap, .pairs = 1, .features = ~0ULL
		};
		struct virtio_dev *dev;

		f->env.fake.calls = 0;
		f->env.fake.fail_at = n;
		if (!virtio_net_new(&dev, &f->env.virtio, 1, &options))
			dev->model->destroy(dev);
		assert_int_equal(tap.fd, -1);
		assert_int_equal(fake_open_fds(), before);
		if (f->env.fake.calls < n)
			break;
	}
	close_fd(&fds[0]);
	close_fd(&fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CARD_TEST(test_features_follow_tap),
		CARD_TEST(test_config),
		CARD_TEST(test_macvtap_has_the_address),
		CARD_TEST(test_activation_tells_tap_what_was_acked),
		CARD_TEST(test_failed_activation_is_broken_and_recovers),
		CARD_TEST(test_tap_gone_at_start),
		CARD_TEST(test_transmit),
		CARD_TEST(test_transmit_drops_what_is_no_frame),
		CARD_TEST(test_transmit_through_full_tap_flags),
		CARD_TEST(test_transmit_through_full_tap_event_index),
		CARD_TEST(test_transmit_takes_turns),
		CARD_TEST(test_receive_one),
		CARD_TEST(test_receive_merges_buffers),
		CARD_TEST(test_receive_buffer_in_pieces),
		CARD_TEST(test_header_of_a_driver_without_version_1),
		CARD_TEST(test_receive_waits_for_buffers),
		CARD_TEST(test_receive_waits_for_buffers_event_index),
		CARD_TEST(test_receive_waits_for_buffers_unmerged),
		CARD_TEST(test_receive_frame_is_never_torn),
		CARD_TEST(test_receive_any_order),
		CARD_TEST(test_receive_drops_what_never_fits),
		CARD_TEST(test_receive_takes_turns),
		CARD_TEST(test_receive_buffer_without_room_for_header),
		CARD_TEST(test_stop_gives_buffers_back),
		CARD_TEST(test_rebind),
		CARD_TEST(test_lost_tap_is_link_down),
		CARD_TEST(test_tap_lost_while_frames_wait_for_room),
		CARD_TEST(test_event_after_stop_is_ignored),
		CARD_TEST(test_broken_rings),
		CARD_TEST(test_construction_failure_leaves_no_fd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
