/* SPDX-License-Identifier: Apache-2.0 */
/* The link of virtio-net (virtio 1.2 §5.1.4) and its driver's announcements (§5.1.6.5.4). */
#include "base/le.h"
#include "capture.h"
#include "net_card.h"
#include "unit.h"

/* --- Link --- */

static unsigned link_status(struct net_card *f)
{
	uint8_t config[12];

	card_read_config(f, config);
	return get_le16(config + 6);
}

/* The driver sees it at once, and is notified only of changes. */
static void test_link_follows(void **state)
{
	struct net_card *f = *state;

	virtio_net_set_link(f->dev, LINK_DOWN);
	assert_int_equal(link_status(f), 0);
	card_start(f, CARD_MERGE);
	card_give(f, 2048);
	card_kick(f, &f->rx);
	assert_int_equal(f->transport.config_changes, 0);
	virtio_net_set_link(f->dev, LINK_UP);
	assert_int_equal(link_status(f), VIRTIO_NET_S_LINK_UP);
	virtio_net_set_link(f->dev, LINK_UP);
	assert_int_equal(f->transport.config_changes, 1);
	virtio_net_set_link(f->dev, LINK_DOWN);
	assert_int_equal(f->transport.config_changes, 2);
	assert_int_equal(link_status(f), 0);
	/* The link belongs to the host; a reset does not change it. */
	mock_driver_status(f->dev, 0);
	assert_int_equal(link_status(f), 0);
	virtio_net_set_link(f->dev, LINK_UP);
	card_bind_rings(f);
	card_start(f, CARD_MERGE);
	card_give(f, 2048);
	card_kick(f, &f->rx);
	card_wire_send(f, 100, 1);
	mock_env_dispatch(&f->env);
	card_expect_received(f, 100, 1, 1);
}

/* The link watch and the tap itself: the first to notice logs it, once. */
static void test_removed_tap_is_said_once(void **state)
{
	struct net_card *f = *state;
	struct capture capture;

	for (unsigned tap_first = 0; tap_first < 2; tap_first++) {
		f->removed = true;
		card_start(f, CARD_MERGE);
		capture_stderr_begin(&capture);
		close_fd(&f->wire);
		if (tap_first)
			mock_env_dispatch(&f->env);
		virtio_net_set_link(f->dev, LINK_GONE);
		mock_env_dispatch(&f->env);
		virtio_net_set_link(f->dev, LINK_UP);
		capture_expect_all(&capture, "kinglet: virtio-net 0: tap tap0: "
					     "the interface was removed: link down\n");
		assert_int_equal(link_status(f), 0);
		assert_int_equal(f->transport.config_changes, 1);
		card_drop(f);
		card_make(f, "tap0", CARD_OFFLOADS, 1500, NULL);
		card_bind_rings(f);
	}
}

/* The tap still works, but its link state can no longer be followed. */
static void test_tap_that_moved_to_another_namespace(void **state)
{
	struct net_card *f = *state;
	struct capture capture;

	virtio_net_set_link(f->dev, LINK_DOWN);
	card_start(f, CARD_MERGE);
	capture_stderr_begin(&capture);
	virtio_net_set_link(f->dev, LINK_GONE);
	capture_expect(&capture, "moved to another network namespace");
	assert_int_equal(link_status(f), VIRTIO_NET_S_LINK_UP);
}

/* Down and up again. Returns the number of changes reported to the driver. */
static unsigned reconnect(struct net_card *f)
{
	virtio_net_set_link(f->dev, LINK_DOWN);
	virtio_net_set_link(f->dev, LINK_UP);
	assert_int_equal(link_status(f), VIRTIO_NET_S_LINK_UP);
	return f->transport.config_changes;
}

/* Waits for the change of this number, which is a request to the driver to announce itself. */
static void await_request(struct net_card *f, unsigned change)
{
	while (f->transport.config_changes < change)
		assert_true(mock_env_wait(&f->env, 60000));
	assert_int_equal(f->transport.config_changes, change);
	assert_int_equal(link_status(f), VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
}

static void expect_no_request(struct net_card *f)
{
	unsigned before = f->transport.config_changes;

	/* Longer than the delay of the first or the second. */
	assert_false(mock_env_wait(&f->env, 500));
	assert_int_equal(f->transport.config_changes, before);
}

/* The next request may come before this returns, on a host that is slow enough. */
static void acknowledge(struct net_card *f)
{
	card_command_ok(f, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, "", 0);
}

static void test_announcements(void **state)
{
	struct net_card *f = *state;
	unsigned changes;

	card_start(f, CARD_ANNOUNCE);
	/* Nothing for a driver that finds the link up. */
	expect_no_request(f);
	changes = reconnect(f);
	for (unsigned i = 1; i <= 3; i++) {
		await_request(f, changes + i);
		acknowledge(f);
	}
	assert_int_equal(link_status(f), VIRTIO_NET_S_LINK_UP);
	expect_no_request(f);
}

static void test_announcement_waits_for_the_answer(void **state)
{
	struct net_card *f = *state;
	unsigned changes;

	card_start(f, CARD_ANNOUNCE);
	changes = reconnect(f);
	await_request(f, changes + 1);
	expect_no_request(f);
	acknowledge(f);
	await_request(f, changes + 2);
}

/* An unsolicited acknowledgement neither causes nor delays a request. */
static void test_answer_to_no_request(void **state)
{
	struct net_card *f = *state;
	unsigned changes;

	card_start(f, CARD_ANNOUNCE);
	acknowledge(f);
	expect_no_request(f);
	changes = reconnect(f);
	for (unsigned i = 0; i < 200 && f->transport.config_changes == changes; i++) {
		acknowledge(f);
		mock_env_wait(&f->env, 10);
	}
	assert_int_equal(f->transport.config_changes, changes + 1);
}

/* They end with the link or the driver, whether the driver has acknowledged or not. */
static void test_announcements_end(void **state)
{
	struct net_card *f = *state;

	for (unsigned how = 0; how < 4; how++) {
		bool answers = how & 1, unplugged = how & 2;

		card_bind_rings(f);
		card_start(f, CARD_ANNOUNCE);
		await_request(f, reconnect(f) + 1);
		if (answers)
			acknowledge(f);
		if (unplugged)
			virtio_net_set_link(f->dev, LINK_DOWN);
		else
			mock_driver_status(f->dev, 0);
		assert_false(link_status(f) & VIRTIO_NET_S_ANNOUNCE);
		expect_no_request(f);
		mock_driver_status(f->dev, 0);
		virtio_net_set_link(f->dev, LINK_UP);
	}
}

static void test_no_announcements_without_the_feature(void **state)
{
	struct net_card *f = *state;

	card_start(f, CARD_CONTROL);
	reconnect(f);
	expect_no_request(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CARD_TEST(test_link_follows),
		CARD_TEST(test_removed_tap_is_said_once),
		CARD_TEST(test_tap_that_moved_to_another_namespace),
		CARD_TEST(test_announcements),
		CARD_TEST(test_announcement_waits_for_the_answer),
		CARD_TEST(test_answer_to_no_request),
		CARD_TEST(test_announcements_end),
		CARD_TEST(test_no_announcements_without_the_feature),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
