/* SPDX-License-Identifier: Apache-2.0 */
#include "net_card.h"

#include "backend/local.h"
#include "base/le.h"
#include "unit.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { REBIND_AT = 2 << 20 };

static int tun_ioctl(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct net_card *f = fake->hook_data;

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

void card_make(struct net_card *f, const char *name, unsigned offloads, unsigned mtu,
	       const uint8_t *mac)
{
	struct tap tap = { .sys = &f->env.fake.sys, .offloads = offloads, .mtu = mtu };
	const struct virtio_net_options options = {
		.taps = &tap, .pairs = 1, .mac = mac, .features = ~0ULL
	};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	strcpy(tap.name, name);
	tap.fd = fds[0];
	f->wire = fds[1];
	assert_int_equal(virtio_net_new(&f->dev, &f->env.virtio, 0, &options), 0);
	assert_int_equal(tap.fd, -1);
	assert_int_equal(local_backend_bind(f->dev, NET_QUEUE_RX(0), 2), 0);
	assert_int_equal(local_backend_bind(f->dev, NET_QUEUE_CONTROL(1), 1), 0);
	mock_transport_init(&f->transport, f->dev);
}

void card_drop(struct net_card *f)
{
	mock_driver_status(f->dev, 0);
	f->dev->model->destroy(f->dev);
	close_fd(&f->wire);
}

void card_bind_rings(struct net_card *f)
{
	f->env.next = REBIND_AT;
	memset(gmem_ptr(&f->env.mem, REBIND_AT, MOCK_SLOT_LEN - REBIND_AT), 0,
	       MOCK_SLOT_LEN - REBIND_AT);
	mock_ring_init(&f->rx, &f->env, CARD_RING);
	mock_ring_init(&f->tx, &f->env, CARD_RING);
	mock_ring_init(&f->control, &f->env, 16);
	mock_ring_bind(&f->rx, &f->dev->queues[NET_QUEUE_RX(0)]);
	mock_ring_bind(&f->tx, &f->dev->queues[NET_QUEUE_TX(0)]);
	mock_ring_bind(&f->control, &f->dev->queues[NET_QUEUE_CONTROL(1)]);
}

int card_setup(void **state)
{
	struct net_card *f = test_calloc(1, sizeof(*f));

	mock_env_init(&f->env);
	f->env.fake.hook = tun_ioctl;
	f->env.fake.hook_data = f;
	card_make(f, "tap0", CARD_OFFLOADS, 1500, NULL);
	card_bind_rings(f);
	*state = f;
	return 0;
}

int card_teardown(void **state)
{
	struct net_card *f = *state;

	card_drop(f);
	mock_env_destroy(&f->env);
	test_free(f);
	return 0;
}

void card_start(struct net_card *f, uint64_t features)
{
	assert_true(mock_driver_start(f->dev, &f->transport, features) & VIRTIO_CONFIG_S_DRIVER_OK);
	assert_false(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	mock_env_dispatch(&f->env);
}

struct virtio_net_stats card_stats(struct net_card *f)
{
	struct virtio_stat numbers[VIRTIO_STATS_MAX];
	struct virtio_net_stats stats;

	assert_true(virtio_net_get_stats(f->dev, &stats));
	assert_int_equal(f->dev->model->get_stats(f->dev, numbers), 5);
	assert_string_equal(numbers[0].name, "rx_frames");
	assert_int_equal(numbers[0].value, stats.rx_frames);
	assert_string_equal(numbers[4].name, "tx_dropped");
	assert_int_equal(numbers[4].value, stats.tx_dropped);
	return stats;
}

void card_make_frame(uint8_t *frame, size_t len, unsigned number)
{
	memset(frame, 0, CARD_HEADER);
	for (size_t i = CARD_HEADER; i < len; i++)
		frame[i] = (uint8_t)(number * 31 + i * 7 + (i >> 8));
}

void card_wire_send(struct net_card *f, size_t len, unsigned number)
{
	static uint8_t frame[CARD_BIG];

	card_make_frame(frame, len, number);
	/* The tap does not write beyond its own ten bytes. */
	memset(frame + 10, 0xee, 2);
	assert_int_equal(send(f->wire, frame, len, 0), len);
}

void card_give(struct net_card *f, uint32_t len)
{
	uint16_t head = 0;

	while (f->rx.busy[head])
		head++;
	f->gpa[head] = MOCK_HIGH + head * (MOCK_SLOT_LEN / CARD_RING);
	f->len[head] = len;
	assert_true(len <= MOCK_SLOT_LEN / CARD_RING);
	assert_int_equal(
		mock_ring_add(
			&f->rx,
			&(struct mock_buf){ .gpa = f->gpa[head], .len = len, .writable = true }, 1),
		head);
}

void card_give_many(struct net_card *f, unsigned n, uint32_t len)
{
	while (n--)
		card_give(f, len);
}

void card_kick(struct net_card *f, struct mock_ring *ring)
{
	mock_ring_kick(ring);
	mock_env_dispatch(&f->env);
}

size_t card_receive(struct net_card *f, uint8_t *frame, unsigned *buffers)
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
		assert_true(written <= f->len[head] && len + written <= CARD_BIG);
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

void card_expect_received(struct net_card *f, size_t len, unsigned number, unsigned buffers)
{
	static uint8_t want[CARD_BIG], got[CARD_BIG];
	unsigned count;

	card_make_frame(want, len, number);
	assert_int_equal(card_receive(f, got, &count), len);
	assert_int_equal(count, buffers);
	assert_memory_equal(got + CARD_HEADER, want + CARD_HEADER, len - CARD_HEADER);
}

void card_expect_nothing(struct net_card *f)
{
	uint8_t byte[CARD_BIG];
	unsigned count;

	assert_int_equal(card_receive(f, byte, &count), 0);
}

void card_read_config(struct net_card *f, uint8_t config[12])
{
	virtio_config_read(f->dev, 0, config, 12);
}

uint8_t card_command(struct net_card *f, uint8_t class, uint8_t number, const void *data,
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
	card_kick(f, &f->control);
	assert_true(mock_ring_reap(&f->control, &head, &written));
	assert_int_equal(written, 1);
	assert_int_equal(gmem_read(&f->env.mem, gpa + 2 + len, &ack, 1), 0);
	return ack;
}

void card_command_ok(struct net_card *f, uint8_t class, uint8_t number, const void *data,
		     uint32_t len)
{
	assert_int_equal(card_command(f, class, number, data, len), VIRTIO_NET_OK);
}
