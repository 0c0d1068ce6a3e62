/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control queue of virtio-net, virtio 1.2 §5.1.6.5, and the effect of its commands on frames.
 */
#include "base/le.h"
#include "capture.h"
#include "net_card.h"
#include "unit.h"

#include <string.h>
#include <sys/socket.h>

static const uint64_t FILTERS = CARD_CONTROL | 1ULL << VIRTIO_NET_F_CTRL_RX |
				1ULL << VIRTIO_NET_F_CTRL_RX_EXTRA | 1ULL << VIRTIO_NET_F_CTRL_VLAN;

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
	const uint64_t acked = FILTERS | CARD_ANNOUNCE | 1ULL << VIRTIO_NET_F_CTRL_MAC_ADDR;
	struct net_card *f = *state;

	assert_int_equal(virtio_offered(f->dev) & acked, acked);
	card_start(f, CARD_CONTROL | acked);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		if (card_command(f, cases[i].class, cases[i].number, cases[i].data, cases[i].len) !=
		    cases[i].answer)
			fail_msg("case %u", i);

	/* None of it without the feature. */
	mock_driver_status(f->dev, 0);
	card_bind_rings(f);
	card_start(f, CARD_CONTROL);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(card_command(f, cases[i].class, cases[i].number, cases[i].data,
					      cases[i].len),
				 VIRTIO_NET_ERR);
}

/* A command may take the host some time: other events must have their turn. */
static void test_control_takes_turns(void **state)
{
	enum { COMMANDS = 6, TURN = 4 };
	static const uint8_t promiscuous[] = { VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, 1 };
	struct net_card *f = *state;
	uint64_t gpa = mock_alloc(&f->env, sizeof(promiscuous) + 1, 1);
	struct mock_buf bufs[] = {
		{ .gpa = gpa, .len = sizeof(promiscuous) },
		{ .gpa = gpa + sizeof(promiscuous), .len = 1, .writable = true },
	};

	card_start(f, FILTERS);
	assert_int_equal(gmem_write(&f->env.mem, gpa, promiscuous, sizeof(promiscuous)), 0);
	for (unsigned i = 0; i < COMMANDS; i++)
		mock_ring_add(&f->control, bufs, ARRAY_SIZE(bufs));
	mock_ring_kick(&f->control);
	assert_true(mock_env_wait(&f->env, 0));
	assert_int_equal(mock_ring_used_index(&f->control), TURN);
	mock_env_dispatch(&f->env);
	assert_int_equal(mock_ring_used_index(&f->control), COMMANDS);
}

static void put_address(uint8_t *at, const char *address)
{
	memcpy(at, address, 6);
}

/* A frame to `to`, also of VLAN 7. */
static void wire_send_to(struct net_card *f, const char *to, bool vlan)
{
	uint8_t frame[CARD_HEADER + 60] = { 0 };

	put_address(frame + CARD_HEADER, to);
	frame[CARD_HEADER + 12] = vlan ? 0x81 : 0x08;
	frame[CARD_HEADER + 15] = 7;
	assert_int_equal(send(f->wire, frame, sizeof(frame), 0), sizeof(frame));
	mock_env_dispatch(&f->env);
}

/* Whether it arrives. Returns its buffer. */
static bool arrives(struct net_card *f, const char *to, bool vlan)
{
	uint8_t frame[CARD_BIG];
	unsigned buffers;
	bool arrived;

	wire_send_to(f, to, vlan);
	arrived = card_receive(f, frame, &buffers);
	if (arrived) {
		assert_memory_equal(frame + CARD_HEADER, to, 6);
		card_give(f, 2048);
		card_kick(f, &f->rx);
	}
	return arrived;
}

#define OWN "\2\2\3\4\5\6"
#define FOREIGN "\2\2\3\4\5\7"
#define GROUP "\x33\x33\0\0\0\1"

/* With buffers for any frame, which is read into them, or for a small one, which is read aside. */
static void filter_frames(struct net_card *f, unsigned buffers, uint64_t features)
{
	const struct virtq *q = &f->dev->queues[NET_QUEUE_RX(0)];
	uint16_t taken;

	card_bind_rings(f);
	card_start(f, FILTERS | features | 1ULL << VIRTIO_NET_F_CTRL_MAC_ADDR);
	card_give_many(f, buffers, 2048);
	card_kick(f, &f->rx);
	card_command_ok(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, OWN, 6);
	assert_true(arrives(f, FOREIGN, true));
	card_command_ok(f, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\0", 1);
	taken = q->state.last_avail;
	assert_false(arrives(f, FOREIGN, false));
	assert_false(arrives(f, GROUP, false));
	assert_false(arrives(f, OWN, true));
	assert_int_equal(card_stats(f).rx_filtered, 3);
	assert_int_equal(q->state.last_avail, taken);
	assert_true(arrives(f, OWN, false));

	card_command_ok(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET,
			"\1\0\0\0" FOREIGN "\1\0\0\0" GROUP, 20);
	assert_true(arrives(f, FOREIGN, false));
	assert_true(arrives(f, GROUP, false));
	/* An error in the second table leaves both unchanged. */
	assert_int_equal(card_command(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET,
				      "\0\0\0\0\1\0\0\0", 8),
			 VIRTIO_NET_ERR);
	assert_true(arrives(f, FOREIGN, false));
	card_command_ok(f, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, "\7\0", 2);
	assert_true(arrives(f, OWN, true));
	card_command_ok(f, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, "\7\0", 2);
	assert_false(arrives(f, OWN, true));

	/* The next driver has set nothing yet. */
	mock_driver_status(f->dev, 0);
	card_bind_rings(f);
	card_start(f, features);
	card_give_many(f, buffers, 2048);
	card_kick(f, &f->rx);
	assert_true(arrives(f, "\2\2\3\4\5\x8", true));
	mock_driver_status(f->dev, 0);
}

static void test_filter_frames_in_place(void **state)
{
	filter_frames(*state, 60, CARD_MERGE);
}

static void test_filter_frames_read_aside(void **state)
{
	filter_frames(*state, 3, 0);
}

/* A table that is too long counts as one with every address of its kind. */
static void test_filter_tables_that_overflow(void **state)
{
	enum { MOST = 64 };
	struct net_card *f = *state;
	uint8_t data[4 + (MOST + 1) * 6 + 4 + 6] = { 0 };

	card_start(f, FILTERS | CARD_MERGE);
	card_give_many(f, 60, 2048);
	card_kick(f, &f->rx);
	card_command_ok(f, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\0", 1);
	put_le32(data, MOST);
	put_address(data + 4 + (MOST - 1) * 6, FOREIGN);
	card_command_ok(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data,
			4 + MOST * 6 + 4);
	assert_true(arrives(f, FOREIGN, false));
	assert_false(arrives(f, OWN, false));
	assert_false(arrives(f, GROUP, false));

	put_le32(data, MOST + 1);
	put_le32(data + 4 + (MOST + 1) * 6, 1);
	put_address(data + 8 + (MOST + 1) * 6, "\x33\x33\0\0\0\2");
	card_command_ok(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, data, sizeof(data));
	assert_true(arrives(f, OWN, false));
	/* The table after it was found. */
	assert_false(arrives(f, GROUP, false));
	assert_true(arrives(f, "\x33\x33\0\0\0\2", false));
}

/* Unwanted frames do not delay other events. */
static void test_filter_takes_turns(void **state)
{
	struct net_card *f = *state;

	card_start(f, FILTERS | CARD_MERGE);
	card_give_many(f, 60, 2048);
	card_kick(f, &f->rx);
	card_command_ok(f, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOUNI, "\1", 1);
	card_command_ok(f, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\0", 1);
	for (unsigned i = 0; i < 80; i++) {
		uint8_t frame[CARD_HEADER + 60] = { 0 };

		assert_int_equal(send(f->wire, frame, sizeof(frame), 0), sizeof(frame));
	}
	assert_true(mock_env_wait(&f->env, 0));
	assert_int_equal(card_stats(f).rx_filtered, CARD_TURN);
	mock_env_dispatch(&f->env);
	assert_int_equal(card_stats(f).rx_filtered, 80);
}

static void test_control_mac_until_reset(void **state)
{
	struct net_card *f = *state;
	uint8_t first[12], config[12];

	card_read_config(f, first);
	card_start(f, CARD_CONTROL | 1ULL << VIRTIO_NET_F_CTRL_MAC_ADDR);
	assert_int_equal(card_command(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET,
				      "\2\2\3\4\5\6", 6),
			 VIRTIO_NET_OK);
	card_read_config(f, config);
	assert_memory_equal(config, "\2\2\3\4\5\6", 6);
	mock_driver_status(f->dev, 0);
	card_read_config(f, config);
	assert_memory_equal(config, first, 6);
}

static void test_control_offloads(void **state)
{
	const uint64_t acked = 1ULL << VIRTIO_NET_F_GUEST_CSUM | 1ULL << VIRTIO_NET_F_GUEST_TSO4;
	struct net_card *f = *state;
	uint8_t wanted[8];

	card_start(f, CARD_CONTROL | acked | 1ULL << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
	assert_int_equal(f->offloads, TUN_F_CSUM | TUN_F_TSO4);
	put_le64(wanted, 1ULL << VIRTIO_NET_F_GUEST_CSUM);
	assert_int_equal(card_command(f, VIRTIO_NET_CTRL_GUEST_OFFLOADS,
				      VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, wanted, 8),
			 VIRTIO_NET_OK);
	assert_int_equal(f->offloads, TUN_F_CSUM);
	/* Not acked; no offload; too short. */
	put_le64(wanted, acked | 1ULL << VIRTIO_NET_F_GUEST_TSO6);
	assert_int_equal(card_command(f, VIRTIO_NET_CTRL_GUEST_OFFLOADS,
				      VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, wanted, 8),
			 VIRTIO_NET_ERR);
	put_le64(wanted, 1ULL << VIRTIO_NET_F_MAC);
	assert_int_equal(card_command(f, VIRTIO_NET_CTRL_GUEST_OFFLOADS,
				      VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, wanted, 8),
			 VIRTIO_NET_ERR);
	put_le64(wanted, acked);
	assert_int_equal(card_command(f, VIRTIO_NET_CTRL_GUEST_OFFLOADS,
				      VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, wanted, 7),
			 VIRTIO_NET_ERR);
	assert_int_equal(f->offloads, TUN_F_CSUM);
}

static void test_control_without_room_for_answer(void **state)
{
	struct net_card *f = *state;
	struct capture capture;

	card_start(f, CARD_CONTROL);
	mock_ring_add(&f->control, &(struct mock_buf){ .gpa = MOCK_SEAM, .len = 10 }, 1);
	capture_stderr_begin(&capture);
	card_kick(f, &f->control);
	capture_expect(&capture, "no room for an answer");
	assert_true(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CARD_TEST(test_control_commands),
		CARD_TEST(test_control_takes_turns),
		CARD_TEST(test_filter_frames_in_place),
		CARD_TEST(test_filter_frames_read_aside),
		CARD_TEST(test_filter_tables_that_overflow),
		CARD_TEST(test_filter_takes_turns),
		CARD_TEST(test_control_mac_until_reset),
		CARD_TEST(test_control_offloads),
		CARD_TEST(test_control_without_room_for_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
