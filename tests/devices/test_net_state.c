/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-net is frozen, saved, and restored on another tap. */
#include "base/le.h"
#include "capture.h"
#include "net_card.h"
#include "saved.h"
#include "unit.h"

#include <string.h>
#include <sys/socket.h>

enum { FRAME = 200 };

static const uint64_t FEATURES = CARD_MERGE | CARD_ANNOUNCE | 1ULL << VIRTIO_NET_F_CTRL_RX |
				 1ULL << VIRTIO_NET_F_CTRL_VLAN |
				 1ULL << VIRTIO_NET_F_CTRL_MAC_ADDR |
				 1ULL << VIRTIO_NET_F_GUEST_CSUM |
				 1ULL << VIRTIO_NET_F_GUEST_TSO4 |
				 1ULL << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS;

/* The device that goes on: the same one, or another one on another tap. */
static void go_on(struct net_card *f, bool elsewhere)
{
	struct saved saved;

	virtio_freeze(f->dev);
	for (unsigned i = 0; i < f->dev->queue_count; i++)
		assert_int_equal(f->dev->queues[i].state.last_avail,
				 f->dev->queues[i].state.used_index);
	device_save(&saved, f->dev);
	if (elsewhere) {
		card_drop(f);
		card_make(f, "tap9", CARD_OFFLOADS, 9000, NULL);
		assert_int_equal(device_load(&saved, f->dev), 0);
		f->rx.q = &f->dev->queues[NET_QUEUE_RX(0)];
		f->tx.q = &f->dev->queues[NET_QUEUE_TX(0)];
		f->control.q = &f->dev->queues[NET_QUEUE_CONTROL(1)];
	}
	device_expect_same(&saved, f->dev);
	virtio_thaw(f->dev);
	assert_false(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	mock_env_dispatch(&f->env);
	saved_free(&saved);
}

/*
 * Frame 1 has buffers, frame 2 is read aside and waits for them, frame 3 and so on wait in the tap.
 * Buffers are in the window, too.
 */
static void receive_over(struct net_card *f, bool elsewhere)
{
	card_start(f, FEATURES);
	card_give_many(f, 4, 100);
	card_kick(f, &f->rx);
	card_wire_send(f, FRAME, 1);
	mock_env_dispatch(&f->env);
	card_expect_received(f, FRAME, 1, 2);
	card_wire_send(f, 300, 2);
	mock_env_dispatch(&f->env);
	card_expect_nothing(f);
	go_on(f, elsewhere);
	card_expect_nothing(f);
	for (unsigned i = 3; i < 9; i++)
		card_wire_send(f, FRAME, i);
	card_give_many(f, 20, 100);
	card_kick(f, &f->rx);
	card_expect_received(f, 300, 2, 3);
	for (unsigned i = 3; i < 9; i++)
		card_expect_received(f, FRAME, i, 2);
	card_expect_nothing(f);
	go_on(f, elsewhere);
	card_wire_send(f, FRAME, 9);
	mock_env_dispatch(&f->env);
	card_expect_received(f, FRAME, 9, 2);
}

static void test_receive_over_a_freeze(void **state)
{
	receive_over(*state, false);
}

static void test_receive_over_a_restore(void **state)
{
	receive_over(*state, true);
}

static unsigned take_from_wire(struct net_card *f, unsigned number)
{
	static uint8_t want[32 << 10], got[CARD_BIG];
	ssize_t len;

	while ((len = recv(f->wire, got, sizeof(got), 0)) > 0) {
		card_make_frame(want, sizeof(want), number++);
		assert_int_equal(len, sizeof(want));
		assert_memory_equal(got, want, sizeof(want));
	}
	return number;
}

/* A tap that is full: what was not sent is sent later, or by the other device. */
static void transmit_over(struct net_card *f, bool elsewhere)
{
	enum { FRAMES = 60 };
	static uint8_t frame[32 << 10];
	unsigned sent = 0;
	uint32_t written;
	uint16_t head;

	card_start(f, 0);
	for (unsigned i = 0; i < FRAMES; i++) {
		uint64_t at = MOCK_SEAM + (uint64_t)i * sizeof(frame);

		card_make_frame(frame, sizeof(frame), i);
		assert_int_equal(gmem_write(&f->env.mem, at, frame, sizeof(frame)), 0);
		mock_ring_add(&f->tx, &(struct mock_buf){ .gpa = at, .len = sizeof(frame) }, 1);
	}
	card_kick(f, &f->tx);
	if (elsewhere)
		sent = take_from_wire(f, sent);
	go_on(f, elsewhere);
	assert_in_range(mock_ring_used_index(&f->tx), 1, FRAMES - 1);
	while (sent < FRAMES) {
		sent = take_from_wire(f, sent);
		mock_env_dispatch(&f->env);
	}
	for (unsigned i = 0; i < FRAMES; i++) {
		assert_true(mock_ring_reap(&f->tx, &head, &written));
		assert_int_equal(head, i);
	}
	assert_int_equal(recv(f->wire, frame, sizeof(frame), 0), -1);
}

static void test_transmit_over_a_freeze(void **state)
{
	transmit_over(*state, false);
}

static void test_transmit_over_a_restore(void **state)
{
	transmit_over(*state, true);
}

static const uint8_t driver_mac[] = { 2, 2, 3, 4, 5, 6 };

/* Promiscuous mode off, one multicast group, a VLAN, an address, no segments. */
static void set_up_driver(struct net_card *f)
{
	static const uint8_t off[] = { 0 }, vlan[] = { 7, 0 };
	static const uint8_t tables[] = { 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0x5e, 0, 0, 1 };
	uint8_t offloads[8];

	card_start(f, FEATURES);
	put_le64(offloads, 1ULL << VIRTIO_NET_F_GUEST_CSUM);
	card_command_ok(f, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, off, 1);
	card_command_ok(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, tables,
			sizeof(tables));
	card_command_ok(f, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, vlan, 2);
	card_command_ok(f, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, driver_mac,
			sizeof(driver_mac));
	card_command_ok(f, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
			offloads, 8);
}

/* A frame to `to`, with a tag if there is a VLAN; whether it arrives. */
static bool arrives(struct net_card *f, const uint8_t to[6], unsigned vlan)
{
	uint8_t frame[CARD_HEADER + 60] = { 0 };
	uint8_t got[CARD_BIG];
	unsigned buffers;

	memcpy(frame + CARD_HEADER, to, 6);
	if (vlan) {
		frame[CARD_HEADER + 12] = 0x81;
		frame[CARD_HEADER + 15] = (uint8_t)vlan;
	}
	card_give(f, 2048);
	card_kick(f, &f->rx);
	assert_int_equal(send(f->wire, frame, sizeof(frame), 0), sizeof(frame));
	mock_env_dispatch(&f->env);
	return card_receive(f, got, &buffers);
}

static void test_what_the_driver_has_set_survives(void **state)
{
	static const uint8_t group[] = { 1, 0, 0x5e, 0, 0, 1 }, other[] = { 1, 0, 0x5e, 0, 0, 2 };
	struct net_card *f = *state;
	uint8_t before[12], config[12];

	set_up_driver(f);
	card_read_config(f, before);
	f->offloads = 0;
	go_on(f, true);
	card_read_config(f, config);
	assert_memory_equal(config, before, sizeof(config));
	assert_memory_equal(config, driver_mac, sizeof(driver_mac));
	assert_int_equal(f->offloads, TUN_F_CSUM);
	assert_true(arrives(f, driver_mac, 0));
	assert_true(arrives(f, driver_mac, 7));
	assert_false(arrives(f, driver_mac, 8));
	assert_true(arrives(f, group, 0));
	assert_false(arrives(f, other, 0));

	/* The next driver finds the address from power-on, of the first tap's name. */
	mock_driver_status(f->dev, 0);
	card_read_config(f, config);
	card_drop(f);
	card_make(f, "tap0", CARD_OFFLOADS, 1500, NULL);
	card_read_config(f, before);
	assert_memory_equal(config, before, sizeof(config));
}

static void test_reset_forgets_the_driver(void **state)
{
	struct saved saved;
	struct net_card *f = *state;

	card_drop(f);
	card_make(f, "tap0", CARD_OFFLOADS, 1500, NULL);
	device_save(&saved, f->dev);
	card_bind_rings(f);
	set_up_driver(f);
	card_wire_send(f, FRAME, 1);
	mock_env_dispatch(&f->env);
	mock_driver_status(f->dev, 0);
	device_expect_same(&saved, f->dev);
	/* And half set up. */
	mock_driver_status(f->dev, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	mock_driver_status(f->dev, 0);
	device_expect_same(&saved, f->dev);
	saved_free(&saved);
}

static void test_hostile_values_are_refused(void **state)
{
	static const struct {
		const char *field;
		uint64_t value;
		const char *why;
	} cases[] = {
		{ "mac", 1, "an address is not unicast" },
		{ "permanent_mac", 0xff, "an address is not unicast" },
		{ "mtu", 9001, "the MTU is 9001, that of tap tap0 1500" },
		{ "link_up", 2, "link_up is 2, more than 1" },
		{ "announcements_left", 4, "announcements_left is 4, more than 3" },
		{ "active_pairs", 0, "active_pairs is more than the driver can use, or 0" },
		{ "active_pairs", 2, "active_pairs is more than the driver can use, or 0" },
		{ "active_pairs", 17, "active_pairs is 17, more than 16" },
		{ "filter.modes", 0x40, "filter.modes is 64, more than 63" },
		{ "filter.unicast.count", 65, "filter.unicast.count is 65, more than 64" },
		{ "filter.multicast.count", UINT32_MAX, "more than 64" },
		{ "filter.multicast.overflow", 0xff, "more than 1" },
	};
	struct saved saved;
	struct net_card *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		device_save(&saved, f->dev);
		device_set(&saved, f->dev, virtio_net_state_tables[0], cases[i].field, 0, cases[i].value);
		device_expect_refused(&saved, f->dev, cases[i].why);
		saved_free(&saved);
		card_drop(f);
		card_make(f, "tap0", CARD_OFFLOADS, 1500, NULL);
	}
}

/* Offloads that were never acked reach no tap. */
static void test_hostile_offloads_are_masked(void **state)
{
	struct saved saved;
	struct net_card *f = *state;

	card_start(f, 1ULL << VIRTIO_NET_F_GUEST_CSUM);
	virtio_freeze(f->dev);
	device_save(&saved, f->dev);
	device_set(&saved, f->dev, virtio_net_state_tables[0], "offloads", 0, UINT64_MAX);
	assert_int_equal(device_load(&saved, f->dev), 0);
	virtio_thaw(f->dev);
	assert_int_equal(f->offloads, TUN_F_CSUM);
	saved_free(&saved);
}

static unsigned link_status(struct net_card *f)
{
	uint8_t config[12];

	card_read_config(f, config);
	return get_le16(config + 6);
}

static void await_request(struct net_card *f, unsigned change)
{
	while (f->transport.config_changes < change)
		assert_true(mock_env_wait(&f->env, 60000));
	assert_int_equal(link_status(f), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
}

/* §5.1.6.5.4, as often as after a link that came back. */
static void test_restored_driver_announces_itself(void **state)
{
	struct net_card *f = *state;

	card_start(f, CARD_ANNOUNCE);
	go_on(f, true);
	assert_int_equal(f->transport.config_changes, 0);
	device_restored(f->dev);
	for (unsigned i = 1; i <= 3; i++) {
		await_request(f, i);
		card_command_ok(f, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, "", 0);
	}
}

/* Announcements begun before a freeze go on after it, the request itself and the delay before it. */
static void test_announcements_survive_a_freeze(void **state)
{
	struct net_card *f = *state;

	card_start(f, CARD_ANNOUNCE);
	device_restored(f->dev);
	/* The timer fires while the device is frozen. */
	virtio_freeze(f->dev);
	while (mock_env_wait(&f->env, 500))
		;
	assert_int_equal(f->transport.config_changes, 0);
	virtio_thaw(f->dev);
	await_request(f, 1);
	go_on(f, true);
	assert_int_equal(link_status(f), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
	card_command_ok(f, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, "", 0);
	go_on(f, true);
	await_request(f, 1);
}

static void test_restored_link_is_that_of_the_tap(void **state)
{
	struct net_card *f = *state;

	card_start(f, CARD_ANNOUNCE);
	virtio_net_set_link(f->dev, LINK_DOWN);
	go_on(f, true);
	assert_int_equal(link_status(f), 0);
	f->transport.config_changes = 0;
	device_restored(f->dev);
	assert_int_equal(f->transport.config_changes, 1);
	assert_int_equal(link_status(f), VIRTIO_NET_S_LINK_UP);
	await_request(f, 2);
}

static void test_restored_without_driver_or_feature(void **state)
{
	struct net_card *f = *state;

	device_restored(f->dev);
	card_start(f, CARD_CONTROL);
	device_restored(f->dev);
	assert_false(mock_env_wait(&f->env, 500));
	assert_int_equal(f->transport.config_changes, 0);
	assert_int_equal(link_status(f), VIRTIO_NET_S_LINK_UP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CARD_TEST(test_receive_over_a_freeze),
		CARD_TEST(test_receive_over_a_restore),
		CARD_TEST(test_transmit_over_a_freeze),
		CARD_TEST(test_transmit_over_a_restore),
		CARD_TEST(test_what_the_driver_has_set_survives),
		CARD_TEST(test_reset_forgets_the_driver),
		CARD_TEST(test_hostile_values_are_refused),
		CARD_TEST(test_hostile_offloads_are_masked),
		CARD_TEST(test_restored_driver_announces_itself),
		CARD_TEST(test_announcements_survive_a_freeze),
		CARD_TEST(test_restored_link_is_that_of_the_tap),
		CARD_TEST(test_restored_without_driver_or_feature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
