/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-net, virtio 1.2 §5.1. A socket that keeps packets apart stands for the tap. */
#include "backend/local.h"
#include "base/le.h"
#include "capture.h"
#include "mock_ring.h"
#include "virtio/net.h"

#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cmocka.h>

enum { RING = 256, HEADER = 12, BIG = HEADER + 14 + 65535, TURN = 64, REBIND_AT = 2 << 20 };
enum { ALL = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_UFO };

static const uint64_t MERGE = 1ULL << VIRTIO_NET_F_MRG_RXBUF;
static const uint64_t CONTROL = 1ULL << VIRTIO_NET_F_CTRL_VQ;
static const uint64_t FILTERS = 1ULL << VIRTIO_NET_F_CTRL_VQ | 1ULL << VIRTIO_NET_F_CTRL_RX |
				1ULL << VIRTIO_NET_F_CTRL_RX_EXTRA | 1ULL << VIRTIO_NET_F_CTRL_VLAN;
static const uint64_t ANNOUNCE = 1ULL << VIRTIO_NET_F_CTRL_VQ | 1ULL << VIRTIO_NET_F_GUEST_ANNOUNCE;

struct fixture {
	struct mock_env env;
	struct mock_ring rx, tx, control;
	struct mock_transport transport;
	struct virtio_dev *dev;
	int wire; /* the other end of the tap */
	/* Receive buffers by head, and where the data area of received frames starts. */
	uint64_t gpa[RING];
	uint32_t len[RING];
	unsigned long offloads; /* TUNSETOFFLOAD */
	int header_len, little_endian;
	int offload_error;
	bool removed; /* TUNGETIFF says so */
};

static int tun_ioctl(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct fixture *f = fake->hook_data;

	(void)fd;
	switch (request) {
	case TUNSETOFFLOAD:
		f->offloads = (unsigned long)arg;
		return -f->offload_error;
	case TUNSETVNETHDRSZ:
		f->header_len = *(int *)arg;
		return 0;
	case TUNSETVNETLE:
		f->little_endian = *(int *)arg;
		return 0;
	case TUNGETIFF:
		return f->removed ? -EBADFD : 0;
	}
	return FAKE_PASS;
}

static struct virtio_dev *make_device(struct fixture *f, const char *name, unsigned offloads,
				      unsigned mtu, const uint8_t *mac)
{
	struct tap tap = { .sys = &f->env.fake.sys, .offloads = offloads, .mtu = mtu };
	const struct virtio_net_options options = {
		.taps = &tap, .pairs = 1, .mac = mac, .features = ~0ULL
	};
	struct virtio_dev *dev;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	strcpy(tap.name, name);
	tap.fd = fds[0];
	f->wire = fds[1];
	dev = virtio_net_new(&f->env.virtio, 0, &options);
	assert_non_null(dev);
	assert_int_equal(tap.fd, -1);
	assert_non_null(local_backend_new(dev, NET_QUEUE_RX(0), 2));
	assert_non_null(local_backend_new(dev, NET_QUEUE_CONTROL(1), 1));
	mock_transport_init(&f->transport, dev);
	return dev;
}

static void drop_device(struct fixture *f, struct virtio_dev *dev)
{
	mock_driver_status(dev, 0);
	dev->model->destroy(dev);
	close_fd(&f->wire);
}

/* Fresh rings, as a driver that binds once more has them. */
static void bind_rings(struct fixture *f)
{
	f->env.next = REBIND_AT;
	assert_int_equal(gmem_zero(&f->env.mem, REBIND_AT, MOCK_SLOT_LEN - REBIND_AT), 0);
	mock_ring_init(&f->rx, &f->env, RING);
	mock_ring_init(&f->tx, &f->env, RING);
	mock_ring_init(&f->control, &f->env, 16);
	mock_ring_bind(&f->rx, &f->dev->queues[NET_QUEUE_RX(0)]);
	mock_ring_bind(&f->tx, &f->dev->queues[NET_QUEUE_TX(0)]);
	mock_ring_bind(&f->control, &f->dev->queues[NET_QUEUE_CONTROL(1)]);
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	mock_env_init(&f->env);
	f->env.fake.hook = tun_ioctl;
	f->env.fake.hook_data = f;
	f->dev = make_device(f, "tap0", ALL, 1500, NULL);
	bind_rings(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	drop_device(f, f->dev);
	mock_env_destroy(&f->env);
	test_free(f);
	return 0;
}

static void start(struct fixture *f, uint64_t features)
{
	assert_true(mock_driver_start(f->dev, &f->transport, features) & VIRTIO_CONFIG_S_DRIVER_OK);
	assert_false(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	mock_env_dispatch(&f->env);
}

static struct virtio_net_stats stats_of(struct fixture *f)
{
	struct virtio_net_stats stats;

	virtio_net_get_stats(f->dev, &stats);
	return stats;
}

/* --- Frames --- */

/* A frame's bytes follow from its number, so that a lost, torn or doubled one shows. */
static void make_frame(uint8_t *frame, size_t len, unsigned number)
{
	memset(frame, 0, HEADER);
	for (size_t i = HEADER; i < len; i++)
		frame[i] = (uint8_t)(number * 31 + i * 7 + (i >> 8));
}

static void wire_send(struct fixture *f, size_t len, unsigned number)
{
	static uint8_t frame[BIG];

	make_frame(frame, len, number);
	/* The tap leaves what is behind its own ten bytes as it finds it. */
	memset(frame + 10, 0xee, 2);
	assert_int_equal(send(f->wire, frame, len, 0), len);
}

static void expect_on_wire(struct fixture *f, size_t len, unsigned number)
{
	static uint8_t want[BIG], got[BIG + 1];

	make_frame(want, len, number);
	assert_int_equal(recv(f->wire, got, sizeof(got), 0), len);
	assert_memory_equal(got, want, len);
}

/* Gives a receive buffer; the data area is the high slot, one part for each head. */
static void give(struct fixture *f, uint32_t len)
{
	uint16_t head = 0;

	while (f->rx.busy[head])
		head++;
	f->gpa[head] = MOCK_HIGH + head * (MOCK_SLOT_LEN / RING);
	f->len[head] = len;
	assert_true(len <= MOCK_SLOT_LEN / RING);
	assert_int_equal(
		mock_ring_add(
			&f->rx,
			&(struct mock_buf){ .gpa = f->gpa[head], .len = len, .writable = true }, 1),
		head);
}

static void give_many(struct fixture *f, unsigned n, uint32_t len)
{
	while (n--)
		give(f, len);
}

static void kick(struct fixture *f, struct mock_ring *ring)
{
	mock_ring_kick(ring);
	mock_env_dispatch(&f->env);
}

/*
 * Takes the next received frame out of the ring as Linux does: the first buffer's header says how
 * many buffers follow. Returns its length, 0 when there is none.
 */
static size_t receive(struct fixture *f, uint8_t *frame, unsigned *buffers)
{
	size_t len = 0;
	unsigned left = 1;

	*buffers = 0;
	while (left--) {
		uint32_t written;
		uint16_t head;

		if (!mock_ring_reap(&f->rx, &head, &written)) {
			assert_int_equal(len, 0);
			return 0;
		}
		assert_true(written <= f->len[head] && len + written <= BIG);
		assert_int_equal(gmem_read(&f->env.mem, f->gpa[head], frame + len, written), 0);
		/* §5.1.6.4: every buffer but the last is full. */
		if (left)
			assert_int_equal(written, f->len[head]);
		if (!len)
			left = get_le16(frame + 10) - 1U;
		len += written;
		++*buffers;
	}
	return len;
}

static void expect_received(struct fixture *f, size_t len, unsigned number, unsigned buffers)
{
	static uint8_t want[BIG], got[BIG];
	unsigned count;

	make_frame(want, len, number);
	assert_int_equal(receive(f, got, &count), len);
	assert_int_equal(count, buffers);
	assert_memory_equal(got + HEADER, want + HEADER, len - HEADER);
}

static void expect_nothing_received(struct fixture *f)
{
	uint8_t byte[BIG];
	unsigned count;

	assert_int_equal(receive(f, byte, &count), 0);
}

/* --- Features and configuration --- */

static void test_features_follow_tap(void **state)
{
	static const uint64_t host_and_guest =
		1ULL << VIRTIO_NET_F_CSUM | 1ULL << VIRTIO_NET_F_GUEST_CSUM |
		1ULL << VIRTIO_NET_F_HOST_TSO4 | 1ULL << VIRTIO_NET_F_GUEST_TSO4 |
		1ULL << VIRTIO_NET_F_HOST_TSO6 | 1ULL << VIRTIO_NET_F_GUEST_TSO6 |
		1ULL << VIRTIO_NET_F_HOST_ECN | 1ULL << VIRTIO_NET_F_GUEST_ECN;
	static const uint64_t ufo = 1ULL << VIRTIO_NET_F_HOST_UFO | 1ULL << VIRTIO_NET_F_GUEST_UFO;
	struct fixture *f = *state;
	uint64_t offered = virtio_offered(f->dev);

	assert_int_equal(offered & (host_and_guest | ufo), host_and_guest | ufo);
	assert_true(offered >> VIRTIO_NET_F_MAC & 1);
	assert_true(offered >> VIRTIO_NET_F_MTU & 1);
	assert_true(offered >> VIRTIO_NET_F_CTRL_GUEST_OFFLOADS & 1);

	drop_device(f, f->dev);
	f->dev = make_device(f, "tap0", ALL & ~TUN_F_UFO, 0, NULL);
	assert_int_equal(virtio_offered(f->dev) & (host_and_guest | ufo), host_and_guest);
	assert_false(virtio_offered(f->dev) >> VIRTIO_NET_F_MTU & 1);

	drop_device(f, f->dev);
	f->dev = make_device(f, "tap0", 0, 67, NULL);
	assert_int_equal(virtio_offered(f->dev) & (host_and_guest | ufo), 0);
	assert_false(virtio_offered(f->dev) >> VIRTIO_NET_F_CTRL_GUEST_OFFLOADS & 1);
	assert_false(virtio_offered(f->dev) >> VIRTIO_NET_F_MTU & 1);
}

static void read_config(struct fixture *f, uint8_t config[12])
{
	virtio_config_read(f->dev, 0, config, 12);
}

static void test_config(void **state)
{
	static const uint8_t mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };
	struct fixture *f = *state;
	uint8_t first[12], config[12];

	read_config(f, first);
	/* Locally administered, unicast; up; one pair; the tap's MTU. */
	assert_int_equal(first[0] & 3, 2);
	assert_memory_equal(first + 6, "\x01\x00\x01\x00\xdc\x05", 6);

	drop_device(f, f->dev);
	f->dev = make_device(f, "tap0", ALL, 1500, NULL);
	read_config(f, config);
	assert_memory_equal(config, first, 6);

	drop_device(f, f->dev);
	f->dev = make_device(f, "tap1", ALL, 1500, NULL);
	read_config(f, config);
	assert_memory_not_equal(config, first, 6);

	drop_device(f, f->dev);
	f->dev = make_device(f, "tap1", ALL, 1500, mac);
	read_config(f, config);
	assert_memory_equal(config, mac, 6);
}

/* A macvtap hands over what is for its own address, so that is the card's. */
static void test_macvtap_has_the_address(void **state)
{
	struct fixture *f = *state;
	struct tap tap = { .sys = &f->env.fake.sys, .fd = -1, .name = "macvtap0", .macvtap = true,
			   .mac = { 2, 1, 2, 3, 4, 5 } };
	const struct virtio_net_options options = { .taps = &tap, .pairs = 1, .features = ~0ULL };
	struct virtio_dev *dev = virtio_net_new(&f->env.virtio, 1, &options);
	uint8_t mac[6];

	assert_non_null(dev);
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
		/* What lacks what it builds on is not asked for. */
		{ 1ULL << VIRTIO_NET_F_GUEST_TSO4, 0 },
		{ 1ULL << VIRTIO_NET_F_GUEST_CSUM | 1ULL << VIRTIO_NET_F_GUEST_ECN, TUN_F_CSUM },
		/* What the driver leaves to the tap says nothing of what it takes. */
		{ 1ULL << VIRTIO_NET_F_CSUM | 1ULL << VIRTIO_NET_F_HOST_TSO4, 0 },
	};
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		f->offloads = ~0UL;
		bind_rings(f);
		start(f, cases[i].features);
		assert_int_equal(f->offloads, cases[i].offloads);
		assert_int_equal(f->header_len, HEADER);
		assert_int_equal(f->little_endian, 1);
		mock_driver_status(f->dev, 0);
	}
}

static void test_failed_activation_is_broken_and_recovers(void **state)
{
	struct fixture *f = *state;
	struct capture capture;
	char text[512];

	f->offload_error = EIO;
	capture_stderr_begin(&capture);
	mock_driver_start(f->dev, &f->transport, 0);
	capture_stderr_end(&capture, text, sizeof(text));
	assert_true(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_non_null(strstr(text, "tap tap0: TUNSETOFFLOAD"));
	mock_env_dispatch(&f->env);
	mock_driver_status(f->dev, 0);

	/* The rings' addresses are wrong: that comes after the tap was armed. */
	f->offload_error = 0;
	for (unsigned dispatch = 0; dispatch < 2; dispatch++) {
		f->dev->queues[NET_QUEUE_RX(0)].state.enabled = 1;
		f->dev->queues[NET_QUEUE_RX(0)].state.desc = MOCK_HOLE;
		capture_stderr_begin(&capture);
		mock_driver_start(f->dev, &f->transport, 0);
		wire_send(f, 100, dispatch);
		if (dispatch)
			mock_env_dispatch(&f->env);
		capture_stderr_end(&capture, text, sizeof(text));
		assert_true(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
		mock_driver_status(f->dev, 0);

		bind_rings(f);
		give(f, 2048);
		start(f, 0);
		expect_received(f, 100, dispatch, 1);
		mock_driver_status(f->dev, 0);
	}
}

/* The interface was removed: a card without a link, which is said once. */
static void test_tap_gone_at_start(void **state)
{
	struct fixture *f = *state;
	struct capture capture;
	uint8_t config[12];
	char text[512];

	f->offload_error = EBADFD;
	capture_stderr_begin(&capture);
	for (unsigned i = 0; i < 3; i++) {
		bind_rings(f);
		start(f, CONTROL);
		read_config(f, config);
		assert_int_equal(config[6], 0);
		mock_driver_status(f->dev, 0);
	}
	capture_stderr_end(&capture, text, sizeof(text));
	assert_string_equal(text, "kinglet: tap tap0: TUNSETOFFLOAD: File descriptor in bad state "
				  "(the interface was removed: link down)\n");
}

/* --- Transmit --- */

static void transmit(struct fixture *f, size_t len, unsigned number)
{
	static uint8_t frame[BIG];
	uint64_t gpa = MOCK_SEAM; /* the second slot; reused: sent or copied at once */
	struct mock_buf bufs[] = {
		{ .gpa = gpa, .len = HEADER },
		{ .gpa = gpa + HEADER, .len = (uint32_t)len - HEADER },
	};

	make_frame(frame, len, number);
	assert_int_equal(gmem_write(&f->env.mem, gpa, frame, len), 0);
	mock_ring_add(&f->tx, bufs, 2);
}

static void test_transmit(void **state)
{
	struct fixture *f = *state;
	uint32_t written;
	uint16_t head;

	start(f, 0);
	transmit(f, 100, 1);
	kick(f, &f->tx);
	expect_on_wire(f, 100, 1);
	assert_true(mock_ring_reap(&f->tx, &head, &written));
	assert_int_equal(written, 0);
	assert_true(mock_irq_taken(&f->dev->queues[NET_QUEUE_TX(0)].irq));

	transmit(f, BIG, 2);
	kick(f, &f->tx);
	expect_on_wire(f, BIG, 2);
	assert_int_equal(stats_of(f).tx_frames, 2);
	assert_int_equal(stats_of(f).tx_dropped, 0);
}

static void test_transmit_drops_what_is_no_frame(void **state)
{
	static const uint32_t lens[] = { 1, HEADER, HEADER + 13, BIG + 9, 1 << 20 };
	struct fixture *f = *state;
	uint32_t written;
	uint16_t head;

	start(f, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(lens); i++)
		mock_ring_add(&f->tx, &(struct mock_buf){ .gpa = MOCK_SEAM, .len = lens[i] }, 1);
	/* Nothing but a part that the device may write. */
	mock_ring_add(&f->tx, &(struct mock_buf){ .gpa = MOCK_SEAM, .len = 100, .writable = true },
		      1);
	transmit(f, HEADER + 14, 3);
	kick(f, &f->tx);
	expect_on_wire(f, HEADER + 14, 3);
	assert_int_equal(stats_of(f).tx_dropped, ARRAY_SIZE(lens) + 1);
	assert_int_equal(stats_of(f).tx_frames, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(lens) + 2; i++)
		assert_true(mock_ring_reap(&f->tx, &head, &written));
	assert_false(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* The tap is full again and again: every frame arrives, once, in order. */
static void transmit_through_full_tap(struct fixture *f, uint64_t features)
{
	unsigned sent = 0, arrived = 0, waits = 0;
	static uint8_t frame[BIG];
	uint64_t gpa = MOCK_SEAM;

	start(f, features);
	while (arrived < 120) {
		ssize_t len;

		/* 32 KiB each: a handful fills the socket. */
		for (; sent < 120 && sent - arrived < 60; sent++) {
			uint64_t at = gpa + (sent % 60) * (32 << 10);

			make_frame(frame, 32 << 10, sent);
			assert_int_equal(gmem_write(&f->env.mem, at, frame, 32 << 10), 0);
			mock_ring_add(&f->tx, &(struct mock_buf){ .gpa = at, .len = 32 << 10 }, 1);
		}
		kick(f, &f->tx);
		waits += stats_of(f).tx_frames < sent;
		while ((len = recv(f->wire, frame, sizeof(frame), 0)) > 0) {
			static uint8_t want[32 << 10];
			uint32_t written;
			uint16_t head;

			make_frame(want, sizeof(want), arrived++);
			assert_int_equal(len, sizeof(want));
			assert_memory_equal(frame, want, sizeof(want));
			assert_true(mock_ring_reap(&f->tx, &head, &written));
		}
		mock_env_dispatch(&f->env);
	}
	assert_true(waits > 2);
	assert_int_equal(stats_of(f).tx_frames, 120);
	assert_int_equal(stats_of(f).tx_dropped, 0);
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
	struct fixture *f = *state;

	start(f, 0);
	for (unsigned i = 0; i < 100; i++)
		transmit(f, 60, 0);
	mock_ring_kick(&f->tx);
	assert_true(mock_env_wait(&f->env, 0));
	assert_int_equal(stats_of(f).tx_frames, TURN);
	mock_env_dispatch(&f->env);
	assert_int_equal(stats_of(f).tx_frames, 100);
}

/* --- Receive --- */

static void test_receive_one(void **state)
{
	struct fixture *f = *state;

	start(f, MERGE);
	give(f, 2048);
	kick(f, &f->rx);
	wire_send(f, 100, 1);
	mock_env_dispatch(&f->env);
	expect_received(f, 100, 1, 1);
	assert_true(mock_irq_taken(&f->dev->queues[NET_QUEUE_RX(0)].irq));
	assert_int_equal(stats_of(f).rx_frames, 1);
}

static void test_receive_merges_buffers(void **state)
{
	struct fixture *f = *state;

	start(f, MERGE);
	/* Room for any frame: straight into guest memory. */
	give_many(f, 60, 1536);
	kick(f, &f->rx);
	wire_send(f, BIG, 1);
	wire_send(f, 1536, 2);
	wire_send(f, 1537, 3);
	mock_env_dispatch(&f->env);
	expect_received(f, BIG, 1, (BIG + 1535) / 1536);
	expect_received(f, 1536, 2, 1);
	expect_received(f, 1537, 3, 2);
	expect_nothing_received(f);
}

static void test_receive_buffer_in_pieces(void **state)
{
	struct fixture *f = *state;
	/* The header itself is split in two, and the second piece crosses the slots' seam. */
	struct mock_buf bufs[] = {
		{ .gpa = MOCK_HIGH, .len = 11, .writable = true },
		{ .gpa = MOCK_SEAM - 50, .len = 189, .writable = true },
	};
	uint8_t want[200], got[200];
	uint32_t written;
	uint16_t head;

	start(f, 1ULL << VIRTIO_RING_F_INDIRECT_DESC);
	mock_ring_add_indirect(&f->rx, bufs, 2);
	kick(f, &f->rx);
	wire_send(f, 200, 1);
	mock_env_dispatch(&f->env);
	assert_true(mock_ring_reap(&f->rx, &head, &written));
	assert_int_equal(written, 200);
	make_frame(want, 200, 1);
	assert_int_equal(gmem_read(&f->env.mem, MOCK_HIGH, got, 11), 0);
	assert_int_equal(gmem_read(&f->env.mem, MOCK_SEAM - 50, got + 11, 189), 0);
	assert_memory_equal(got + HEADER, want + HEADER, 200 - HEADER);
	assert_int_equal(get_le16(got + 10), 1);
}

/* No buffers: frames wait in the tap, which is not polled in vain. */
static void receive_waits_for_buffers(struct fixture *f, uint64_t features)
{
	start(f, features);
	for (unsigned i = 0; i < 5; i++)
		wire_send(f, 100 + i, i);
	mock_env_dispatch(&f->env);
	expect_nothing_received(f);

	for (unsigned i = 0; i < 5; i++) {
		give(f, 2048);
		kick(f, &f->rx);
		expect_received(f, 100 + i, i, 1);
		expect_nothing_received(f);
	}
	assert_int_equal(stats_of(f).rx_dropped, 0);
}

static void test_receive_waits_for_buffers(void **state)
{
	receive_waits_for_buffers(*state, MERGE);
}

static void test_receive_waits_for_buffers_event_index(void **state)
{
	receive_waits_for_buffers(*state, MERGE | 1ULL << VIRTIO_RING_F_EVENT_IDX);
}

static void test_receive_waits_for_buffers_unmerged(void **state)
{
	receive_waits_for_buffers(*state, 0);
}

/* A frame larger than the buffers there are waits until there are enough, and comes whole. */
static void test_receive_frame_is_never_torn(void **state)
{
	struct fixture *f = *state;

	start(f, MERGE);
	give_many(f, 3, 1500);
	kick(f, &f->rx);
	wire_send(f, 6000, 1);
	wire_send(f, 60, 2);
	mock_env_dispatch(&f->env);
	expect_nothing_received(f);
	give(f, 1499);
	kick(f, &f->rx);
	expect_nothing_received(f);
	give(f, 1500);
	kick(f, &f->rx);
	expect_received(f, 6000, 1, 5);
	expect_nothing_received(f);
	give(f, 1500);
	kick(f, &f->rx);
	expect_received(f, 60, 2, 1);
	assert_int_equal(stats_of(f).rx_dropped, 0);
}

/* Frames and buffers of all sizes in any order: nothing is lost, torn or doubled. */
static void test_receive_any_order(void **state)
{
	struct fixture *f = *state;
	uint32_t random = 12345;
	size_t lens[400];
	unsigned sent = 0, got = 0;

	start(f, MERGE | 1ULL << VIRTIO_RING_F_EVENT_IDX);
	for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
		random = random * 1664525 + 1013904223;
		lens[i] = 26 + (random >> 8) % (i % 4 ? 1500 : 65000);
	}
	while (got < ARRAY_SIZE(lens)) {
		random = random * 1664525 + 1013904223;
		switch (random >> 16 & 3) {
		case 0:
			if (sent < ARRAY_SIZE(lens) && sent - got < 3) {
				wire_send(f, lens[sent], sent);
				sent++;
			}
			break;
		case 1:
			for (unsigned n = random >> 20 & 31; n; n--) {
				unsigned busy = 0;

				for (unsigned i = 0; i < RING; i++)
					busy += f->rx.busy[i];
				if (busy < RING)
					give(f, 100 + (random >> 12) % 4000);
			}
			mock_ring_kick(&f->rx);
			break;
		case 2:
			mock_env_dispatch(&f->env);
			break;
		case 3: {
			static uint8_t want[BIG], frame[BIG];
			unsigned buffers;
			size_t len = receive(f, frame, &buffers);

			if (!len)
				break;
			make_frame(want, lens[got], got);
			assert_int_equal(len, lens[got]);
			assert_memory_equal(frame + HEADER, want + HEADER, len - HEADER);
			got++;
			break;
		}
		}
	}
	assert_int_equal(stats_of(f).rx_frames, ARRAY_SIZE(lens));
	assert_int_equal(stats_of(f).rx_dropped, 0);
}

static void test_receive_drops_what_never_fits(void **state)
{
	struct fixture *f = *state;

	/* Without merging, one buffer is all there is for a frame. */
	start(f, 0);
	give_many(f, 2, 1526);
	kick(f, &f->rx);
	wire_send(f, 1527, 1);
	wire_send(f, HEADER + 13, 2);
	wire_send(f, 1526, 3);
	mock_env_dispatch(&f->env);
	expect_received(f, 1526, 3, 1);
	expect_nothing_received(f);
	assert_int_equal(stats_of(f).rx_dropped, 2);
	mock_driver_status(f->dev, 0);

	/* With merging, when even all buffers of the ring are too small. */
	bind_rings(f);
	start(f, MERGE);
	give_many(f, RING, 12);
	kick(f, &f->rx);
	wire_send(f, 12 * RING + 1, 4);
	wire_send(f, 100, 5);
	mock_env_dispatch(&f->env);
	expect_received(f, 100, 5, 9);
	assert_int_equal(stats_of(f).rx_dropped, 3);
}

static void test_receive_takes_turns(void **state)
{
	struct fixture *f = *state;

	start(f, MERGE);
	give_many(f, 200, 2048);
	kick(f, &f->rx);
	for (unsigned i = 0; i < 80; i++)
		wire_send(f, 60, i);
	assert_true(mock_env_wait(&f->env, 0));
	assert_int_equal(stats_of(f).rx_frames, TURN);
	mock_env_dispatch(&f->env);
	for (unsigned i = 0; i < 80; i++)
		expect_received(f, 60, i, 1);
}

static void test_receive_buffer_without_room_for_header(void **state)
{
	struct fixture *f = *state;
	struct capture capture;
	char text[256];

	start(f, MERGE);
	give(f, HEADER - 1);
	capture_stderr_begin(&capture);
	kick(f, &f->rx);
	capture_stderr_end(&capture, text, sizeof(text));
	assert_true(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_non_null(strstr(text, "receive queue"));
	/* Stopped, and quiet about frames. */
	wire_send(f, 100, 1);
	mock_env_dispatch(&f->env);
}

/* Stopping gives buffers that were taken ahead back: the saved state is the driver's view. */
static void test_stop_gives_buffers_back(void **state)
{
	struct fixture *f = *state;
	struct virtq *q = &f->dev->queues[NET_QUEUE_RX(0)];

	start(f, MERGE);
	give_many(f, 60, 1536);
	kick(f, &f->rx);
	wire_send(f, 2000, 1);
	mock_env_dispatch(&f->env);
	assert_true(q->state.last_avail > 40);

	pthread_mutex_lock(&f->dev->lock);
	q->backend->ops->stop(q->backend, f->dev);
	assert_int_equal(q->state.last_avail, 2);
	assert_int_equal(q->state.used_index, 2);
	pthread_mutex_unlock(&f->dev->lock);
	wire_send(f, 100, 2);
	mock_env_dispatch(&f->env);
	expect_received(f, 2000, 1, 2);
	expect_nothing_received(f);
}

static void test_rebind(void **state)
{
	struct fixture *f = *state;

	for (unsigned round = 0; round < 5; round++) {
		bind_rings(f);
		start(f, MERGE);
		give_many(f, 10, 1536);
		kick(f, &f->rx);
		wire_send(f, 3000, round);
		transmit(f, 100, round);
		kick(f, &f->tx);
		expect_on_wire(f, 100, round);
		expect_received(f, 3000, round, 2);
		/* One that the old driver's buffers cannot hold: it is gone with the reset. */
		wire_send(f, 30000, round);
		mock_env_dispatch(&f->env);
		mock_driver_status(f->dev, 0);
		mock_env_dispatch(&f->env);
	}
	assert_int_equal(f->transport.attached, 1);
	assert_int_equal(f->transport.detached, 1);
}

static void test_lost_tap_is_link_down(void **state)
{
	struct fixture *f = *state;
	struct capture capture;
	uint8_t config[12];
	char text[256];
	uint32_t written;
	uint16_t head;

	start(f, MERGE);
	give(f, 2048);
	kick(f, &f->rx);
	close_fd(&f->wire);
	capture_stderr_begin(&capture);
	mock_env_dispatch(&f->env);
	capture_stderr_end(&capture, text, sizeof(text));
	assert_non_null(strstr(text, "tap tap0"));
	assert_int_equal(f->transport.config_changes, 1);
	read_config(f, config);
	assert_int_equal(config[6], 0);

	/* The driver goes on sending into nothing. */
	signal(SIGPIPE, SIG_IGN);
	transmit(f, 100, 1);
	kick(f, &f->tx);
	assert_true(mock_ring_reap(&f->tx, &head, &written));
	assert_int_equal(stats_of(f).tx_dropped, 1);
}

/* The device stops itself in one callback; the tap's event was seen before and comes after. */
static void test_event_after_stop_is_ignored(void **state)
{
	struct fixture *f = *state;
	struct capture capture;
	uint8_t config[12];
	char text[256];

	start(f, MERGE);
	mock_ring_set_avail_index(&f->tx, RING + 1);
	mock_ring_kick(&f->tx);
	close_fd(&f->wire);
	capture_stderr_begin(&capture);
	assert_true(mock_env_wait(&f->env, 0));
	mock_env_dispatch(&f->env);
	capture_stderr_end(&capture, text, sizeof(text));
	assert_non_null(strstr(text, "transmit queue: broken ring"));
	assert_null(strstr(text, "link down"));
	read_config(f, config);
	assert_int_equal(config[6], 1);
}

/* --- Control queue --- */

/* Runs a command of class, number and data; returns its answer. */
static uint8_t command(struct fixture *f, uint8_t class, uint8_t number, const void *data,
		       uint32_t len)
{
	uint64_t gpa = mock_alloc(&f->env, 3 + len, 1);
	struct mock_buf bufs[] = {
		{ .gpa = gpa, .len = 2 },
		{ .gpa = gpa + 2, .len = len },
		{ .gpa = gpa + 2 + len, .len = 1, .writable = true },
	};
	uint8_t ack = 0xff, header[2] = { class, number };
	uint32_t written;
	uint16_t head;

	assert_int_equal(gmem_write(&f->env.mem, gpa, header, 2), 0);
	if (len)
		assert_int_equal(gmem_write(&f->env.mem, gpa + 2, data, len), 0);
	assert_int_equal(gmem_write(&f->env.mem, gpa + 2 + len, &ack, 1), 0);
	mock_ring_add(&f->control, bufs, 3);
	kick(f, &f->control);
	assert_true(mock_ring_reap(&f->control, &head, &written));
	assert_int_equal(written, 1);
	assert_int_equal(gmem_read(&f->env.mem, gpa + 2 + len, &ack, 1), 0);
	return ack;
}

static void test_control_commands(void **state)
{
	static const struct {
		uint8_t class, number;
		const char *data;
		uint32_t len;
		uint8_t answer;
	} cases[] = {
		{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\1", 1, VIRTIO_NET_OK },
		{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST, "\0", 1, VIRTIO_NET_OK },
		{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST + 1, "\0", 1, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, "\2", 1, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, "", 0, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, "\0\0\0\0\0\0\0\0", 8,
		  VIRTIO_NET_OK },
		{ VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, "\0\0\0\0\0\0\0", 7,
		  VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET,
		  "\0\0\0\0\1\0\0\0\1\2\3\4\5", 13, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET,
		  "\xff\xff\xff\xff\0\0\0\0", 8, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, "\xff\x0f", 2, VIRTIO_NET_OK },
		{ VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, "\1\0", 2, VIRTIO_NET_OK },
		{ VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, "\0\x10", 2, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, "\1", 1, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL + 1, "\1\0", 2, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, "", 0, VIRTIO_NET_OK },
		{ VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, "\2\2\3\4\5\6", 6,
		  VIRTIO_NET_OK },
		{ VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, "\1\2\3\4\5\6", 6,
		  VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, "\0\0\0\0\0\0", 6,
		  VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, "\2\2\3\4\5", 5,
		  VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, "\1\0", 2, VIRTIO_NET_ERR },
		{ 200, 0, "", 0, VIRTIO_NET_ERR },
	};
	const uint64_t acked = FILTERS | ANNOUNCE | 1ULL << VIRTIO_NET_F_CTRL_MAC_ADDR;
	struct fixture *f = *state;

	assert_int_equal(virtio_offered(f->dev) & acked, acked);
	start(f, CONTROL | acked);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		if (command(f, cases[i].class, cases[i].number, cases[i].data, cases[i].len) !=
		    cases[i].answer)
			fail_msg("case %u", i);

	/* None of it without the feature. */
	mock_driver_status(f->dev, 0);
	bind_rings(f);
	start(f, CONTROL);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(
			command(f, cases[i].class, cases[i].number, cases[i].data, cases[i].len),
			VIRTIO_NET_ERR);
}

static void expect_ok(struct fixture *f, uint8_t class, uint8_t number, const void *data,
		      uint32_t len)
{
	assert_int_equal(command(f, class, number, data, len), VIRTIO_NET_OK);
}

static void put_address(uint8_t *at, const char *address)
{
	memcpy(at, address, 6);
}

/* A frame to `to`, also of VLAN 7. */
static void wire_send_to(struct fixture *f, const char *to, bool vlan)
{
	uint8_t frame[HEADER + 60] = { 0 };

	put_address(frame + HEADER, to);
	frame[HEADER + 12] = vlan ? 0x81 : 0x08;
	frame[HEADER + 15] = 7;
	assert_int_equal(send(f->wire, frame, sizeof(frame), 0), sizeof(frame));
	mock_env_dispatch(&f->env);
}

/* Whether it arrives. Its buffer is given back. */
static bool arrives(struct fixture *f, const char *to, bool vlan)
{
	uint8_t frame[BIG];
	unsigned buffers;
	bool arrived;

	wire_send_to(f, to, vlan);
	arrived = receive(f, frame, &buffers);
	if (arrived) {
		assert_memory_equal(frame + HEADER, to, 6);
		give(f, 2048);
		kick(f, &f->rx);
	}
	return arrived;
}

#define OWN "\2\2\3\4\5\6"
#define FOREIGN "\2\2\3\4\5\7"
#define GROUP "\x33\x33\0\0\0\1"

/* With buffers for any frame, which is read into them, or for a small one, which is read aside. */
static void filter_frames(struct fixture *f, unsigned buffers, uint64_t features)
{
	const struct virtq *q = &f->dev->queues[NET_QUEUE_RX(0)];
	uint16_t taken;

	bind_rings(f);
	start(f, FILTERS | features | 1ULL << VIRTIO_NET_F_CTRL_MAC_ADDR);
	give_many(f, buffers, 2048);
	kick(f, &f->rx);
	expect_ok(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, OWN, 6);
	assert_true(arrives(f, FOREIGN, true));
	expect_ok(f, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\0", 1);
	taken = q->state.last_avail;
	assert_false(arrives(f, FOREIGN, false));
	assert_false(arrives(f, GROUP, false));
	assert_false(arrives(f, OWN, true));
	assert_int_equal(stats_of(f).rx_filtered, 3);
	assert_int_equal(q->state.last_avail, taken);
	assert_true(arrives(f, OWN, false));

	expect_ok(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET,
		  "\1\0\0\0" FOREIGN "\1\0\0\0" GROUP, 20);
	assert_true(arrives(f, FOREIGN, false));
	assert_true(arrives(f, GROUP, false));
	/* What is wrong in the second table leaves both as they were. */
	assert_int_equal(command(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET,
				 "\0\0\0\0\1\0\0\0", 8), VIRTIO_NET_ERR);
	assert_true(arrives(f, FOREIGN, false));
	expect_ok(f, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, "\7\0", 2);
	assert_true(arrives(f, OWN, true));
	expect_ok(f, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, "\7\0", 2);
	assert_false(arrives(f, OWN, true));

	/* The next driver has said nothing yet. */
	mock_driver_status(f->dev, 0);
	bind_rings(f);
	start(f, features);
	give_many(f, buffers, 2048);
	kick(f, &f->rx);
	assert_true(arrives(f, "\2\2\3\4\5\x8", true));
	mock_driver_status(f->dev, 0);
}

static void test_filter_frames_in_place(void **state)
{
	filter_frames(*state, 60, MERGE);
}

static void test_filter_frames_read_aside(void **state)
{
	filter_frames(*state, 3, 0);
}

/* A table that is too long is as good as one with every address of its kind. */
static void test_filter_tables_that_overflow(void **state)
{
	enum { MOST = 64 };
	struct fixture *f = *state;
	uint8_t data[4 + (MOST + 1) * 6 + 4 + 6] = { 0 };

	start(f, FILTERS | MERGE);
	give_many(f, 60, 2048);
	kick(f, &f->rx);
	expect_ok(f, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\0", 1);
	put_le32(data, MOST);
	put_address(data + 4 + (MOST - 1) * 6, FOREIGN);
	expect_ok(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data, 4 + MOST * 6 + 4);
	assert_true(arrives(f, FOREIGN, false));
	assert_false(arrives(f, OWN, false));
	assert_false(arrives(f, GROUP, false));

	put_le32(data, MOST + 1);
	put_le32(data + 4 + (MOST + 1) * 6, 1);
	put_address(data + 8 + (MOST + 1) * 6, "\x33\x33\0\0\0\2");
	expect_ok(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data, sizeof(data));
	assert_true(arrives(f, OWN, false));
	/* The table behind it was found. */
	assert_false(arrives(f, GROUP, false));
	assert_true(arrives(f, "\x33\x33\0\0\0\2", false));
}

/* Unwanted frames do not keep the loop from the rest. */
static void test_filter_takes_turns(void **state)
{
	struct fixture *f = *state;

	start(f, FILTERS | MERGE);
	give_many(f, 60, 2048);
	kick(f, &f->rx);
	expect_ok(f, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOUNI, "\1", 1);
	expect_ok(f, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\0", 1);
	for (unsigned i = 0; i < 80; i++) {
		uint8_t frame[HEADER + 60] = { 0 };

		assert_int_equal(send(f->wire, frame, sizeof(frame), 0), sizeof(frame));
	}
	assert_true(mock_env_wait(&f->env, 0));
	assert_int_equal(stats_of(f).rx_filtered, TURN);
	mock_env_dispatch(&f->env);
	assert_int_equal(stats_of(f).rx_filtered, 80);
}

static void test_control_mac_until_reset(void **state)
{
	struct fixture *f = *state;
	uint8_t first[12], config[12];

	read_config(f, first);
	start(f, CONTROL | 1ULL << VIRTIO_NET_F_CTRL_MAC_ADDR);
	assert_int_equal(
		command(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, "\2\2\3\4\5\6", 6),
		VIRTIO_NET_OK);
	read_config(f, config);
	assert_memory_equal(config, "\2\2\3\4\5\6", 6);
	mock_driver_status(f->dev, 0);
	read_config(f, config);
	assert_memory_equal(config, first, 6);
}

static void test_control_offloads(void **state)
{
	const uint64_t acked = 1ULL << VIRTIO_NET_F_GUEST_CSUM | 1ULL << VIRTIO_NET_F_GUEST_TSO4;
	struct fixture *f = *state;
	uint8_t wanted[8];

	start(f, CONTROL | acked | 1ULL << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	assert_int_equal(f->offloads, TUN_F_CSUM | TUN_F_TSO4);
	put_le64(wanted, 1ULL << VIRTIO_NET_F_GUEST_CSUM);
	assert_int_equal(command(f, VIRTIO_NET_CTRL_GUEST_OFFLOADS,
				 VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, wanted, 8),
			 VIRTIO_NET_OK);
	assert_int_equal(f->offloads, TUN_F_CSUM);
	/* Not acked; no offload; too short. */
	put_le64(wanted, acked | 1ULL << VIRTIO_NET_F_GUEST_TSO6);
	assert_int_equal(command(f, VIRTIO_NET_CTRL_GUEST_OFFLOADS,
				 VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, wanted, 8),
			 VIRTIO_NET_ERR);
	put_le64(wanted, 1ULL << VIRTIO_NET_F_MAC);
	assert_int_equal(command(f, VIRTIO_NET_CTRL_GUEST_OFFLOADS,
				 VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, wanted, 8),
			 VIRTIO_NET_ERR);
	put_le64(wanted, acked);
	assert_int_equal(command(f, VIRTIO_NET_CTRL_GUEST_OFFLOADS,
				 VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, wanted, 7),
			 VIRTIO_NET_ERR);
	assert_int_equal(f->offloads, TUN_F_CSUM);
}

static void test_control_without_room_for_answer(void **state)
{
	struct fixture *f = *state;
	struct capture capture;
	char text[256];

	start(f, CONTROL);
	mock_ring_add(&f->control, &(struct mock_buf){ .gpa = MOCK_SEAM, .len = 10 }, 1);
	capture_stderr_begin(&capture);
	kick(f, &f->control);
	capture_stderr_end(&capture, text, sizeof(text));
	assert_true(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_non_null(strstr(text, "no room for an answer"));
}

static void test_broken_rings(void **state)
{
	struct fixture *f = *state;
	struct mock_ring *const rings[] = { &f->rx, &f->tx, &f->control };

	for (unsigned i = 0; i < ARRAY_SIZE(rings); i++) {
		struct capture capture;
		char text[256];

		bind_rings(f);
		start(f, CONTROL);
		mock_ring_set_avail_index(rings[i], (uint16_t)(rings[i]->size + 1));
		capture_stderr_begin(&capture);
		kick(f, rings[i]);
		capture_stderr_end(&capture, text, sizeof(text));
		assert_true(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
		assert_non_null(strstr(text, "broken ring"));
		mock_driver_status(f->dev, 0);
	}
}

/* --- Link --- */

static unsigned link_status(struct fixture *f)
{
	uint8_t config[12];

	read_config(f, config);
	return get_le16(config + 6);
}

/* The driver sees it at once, and is told of changes only. */
static void test_link_follows(void **state)
{
	struct fixture *f = *state;

	virtio_net_set_link(f->dev, LINK_DOWN);
	assert_int_equal(link_status(f), 0);
	start(f, MERGE);
	give(f, 2048);
	kick(f, &f->rx);
	assert_int_equal(f->transport.config_changes, 0);
	virtio_net_set_link(f->dev, LINK_UP);
	assert_int_equal(link_status(f), VIRTIO_NET_S_LINK_UP);
	virtio_net_set_link(f->dev, LINK_UP);
	assert_int_equal(f->transport.config_changes, 1);
	virtio_net_set_link(f->dev, LINK_DOWN);
	assert_int_equal(f->transport.config_changes, 2);
	assert_int_equal(link_status(f), 0);
	/* It is the host's, not the driver's. */
	mock_driver_status(f->dev, 0);
	assert_int_equal(link_status(f), 0);
	virtio_net_set_link(f->dev, LINK_UP);
	bind_rings(f);
	start(f, MERGE);
	give(f, 2048);
	kick(f, &f->rx);
	wire_send(f, 100, 1);
	mock_env_dispatch(&f->env);
	expect_received(f, 100, 1, 1);
}

/* Who follows the interface, and the tap itself: whoever comes first says it, once. */
static void test_removed_tap_is_said_once(void **state)
{
	struct fixture *f = *state;
	struct capture capture;
	char text[512];

	for (unsigned tap_first = 0; tap_first < 2; tap_first++) {
		f->removed = true;
		start(f, MERGE);
		capture_stderr_begin(&capture);
		close_fd(&f->wire);
		if (tap_first)
			mock_env_dispatch(&f->env);
		virtio_net_set_link(f->dev, LINK_GONE);
		mock_env_dispatch(&f->env);
		virtio_net_set_link(f->dev, LINK_UP);
		capture_stderr_end(&capture, text, sizeof(text));
		assert_string_equal(text, "kinglet: virtio-net 0: tap tap0: "
					  "the interface was removed: link down\n");
		assert_int_equal(link_status(f), 0);
		assert_int_equal(f->transport.config_changes, 1);
		drop_device(f, f->dev);
		f->dev = make_device(f, "tap0", ALL, 1500, NULL);
		bind_rings(f);
	}
}

/* The tap works on: only nobody here can tell any more whether it is up. */
static void test_tap_that_moved_to_another_namespace(void **state)
{
	struct fixture *f = *state;
	struct capture capture;
	char text[512];

	virtio_net_set_link(f->dev, LINK_DOWN);
	start(f, MERGE);
	capture_stderr_begin(&capture);
	virtio_net_set_link(f->dev, LINK_GONE);
	capture_stderr_end(&capture, text, sizeof(text));
	assert_non_null(strstr(text, "moved to another network namespace"));
	assert_int_equal(link_status(f), VIRTIO_NET_S_LINK_UP);
}

/* Waits for the next request to announce itself; false when none comes. */
static bool announcement_wanted(struct fixture *f, int ms)
{
	unsigned before = f->transport.config_changes;

	if (!mock_env_wait(&f->env, ms))
		return false;
	assert_int_equal(f->transport.config_changes, before + 1);
	assert_int_equal(link_status(f), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
	return true;
}

static void test_announcements(void **state)
{
	struct fixture *f = *state;

	start(f, ANNOUNCE);
	/* Nothing for a driver that finds the link up. */
	assert_false(announcement_wanted(f, 0));
	virtio_net_set_link(f->dev, LINK_DOWN);
	virtio_net_set_link(f->dev, LINK_UP);
	assert_int_equal(link_status(f), VIRTIO_NET_S_LINK_UP);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(announcement_wanted(f, 60000));
		/* One is not acknowledged. */
		if (i == 1)
			continue;
		expect_ok(f, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, "", 0);
		assert_int_equal(link_status(f), VIRTIO_NET_S_LINK_UP);
	}
	assert_false(announcement_wanted(f, 0));
}

static void test_announcements_end(void **state)
{
	struct fixture *f = *state;

	for (unsigned how = 0; how < 3; how++) {
		bind_rings(f);
		start(f, how == 2 ? CONTROL : ANNOUNCE);
		virtio_net_set_link(f->dev, LINK_DOWN);
		virtio_net_set_link(f->dev, LINK_UP);
		/* The third driver does not know how to. */
		assert_int_equal(announcement_wanted(f, how < 2 ? 60000 : 300), how < 2);
		if (how == 0)
			virtio_net_set_link(f->dev, LINK_DOWN);
		else
			mock_driver_status(f->dev, 0);
		assert_false(link_status(f) & VIRTIO_NET_S_ANNOUNCE);
		/* Longer than until the second would be due. */
		assert_false(announcement_wanted(f, 600));
		mock_driver_status(f->dev, 0);
		virtio_net_set_link(f->dev, LINK_UP);
	}
}

/* --- Failures --- */

static void test_construction_failure_leaves_no_fd(void **state)
{
	struct fixture *f = *state;
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
		dev = virtio_net_new(&f->env.virtio, 1, &options);
		if (dev)
			dev->model->destroy(dev);
		assert_int_equal(tap.fd, -1);
		assert_int_equal(fake_open_fds(), before);
		if (f->env.fake.calls < n)
			break;
	}
	close_fd(&fds[0]);
	close_fd(&fds[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_features_follow_tap),
		TEST(test_config),
		TEST(test_macvtap_has_the_address),
		TEST(test_activation_tells_tap_what_was_acked),
		TEST(test_failed_activation_is_broken_and_recovers),
		TEST(test_tap_gone_at_start),
		TEST(test_transmit),
		TEST(test_transmit_drops_what_is_no_frame),
		TEST(test_transmit_through_full_tap_flags),
		TEST(test_transmit_through_full_tap_event_index),
		TEST(test_transmit_takes_turns),
		TEST(test_receive_one),
		TEST(test_receive_merges_buffers),
		TEST(test_receive_buffer_in_pieces),
		TEST(test_receive_waits_for_buffers),
		TEST(test_receive_waits_for_buffers_event_index),
		TEST(test_receive_waits_for_buffers_unmerged),
		TEST(test_receive_frame_is_never_torn),
		TEST(test_receive_any_order),
		TEST(test_receive_drops_what_never_fits),
		TEST(test_receive_takes_turns),
		TEST(test_receive_buffer_without_room_for_header),
		TEST(test_stop_gives_buffers_back),
		TEST(test_rebind),
		TEST(test_lost_tap_is_link_down),
		TEST(test_event_after_stop_is_ignored),
		TEST(test_link_follows),
		TEST(test_removed_tap_is_said_once),
		TEST(test_tap_that_moved_to_another_namespace),
		TEST(test_announcements),
		TEST(test_announcements_end),
		TEST(test_filter_frames_in_place),
		TEST(test_filter_frames_read_aside),
		TEST(test_filter_tables_that_overflow),
		TEST(test_filter_takes_turns),
		TEST(test_control_commands),
		TEST(test_control_mac_until_reset),
		TEST(test_control_offloads),
		TEST(test_control_without_room_for_answer),
		TEST(test_broken_rings),
		TEST(test_construction_failure_leaves_no_fd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
