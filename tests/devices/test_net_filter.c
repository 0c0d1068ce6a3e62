/* SPDX-License-Identifier: Apache-2.0 */
/* The receive filter of virtio-net, virtio 1.2 §5.1.6.5.1 to .3. */
#include "../../devices/net/filter.h"
#include "unit.h"

#include <linux/virtio_net.h>
#include <string.h>

#define OWN "\x52\x54\0\0\0\1"
#define OTHER "\x52\x54\0\0\0\2"
#define GROUP "\x01\x00\x5e\0\0\1"
#define BROADCAST "\xff\xff\xff\xff\xff\xff"

static bool accepts(const struct net_filter *filter, const char *to, const char *type)
{
	uint8_t head[NET_FILTER_HEAD] = { 0 };

	memcpy(head, to, ETH_ALEN);
	memcpy(head + 2 * ETH_ALEN, type, 4);
	return net_filter_accepts(filter, (const uint8_t *)OWN, head);
}

static bool accepts_ip(const struct net_filter *filter, const char *to)
{
	return accepts(filter, to, "\x08\x00\x45\0");
}

static void fresh(struct net_filter *filter)
{
	net_filter_reset(filter);
	assert_true(net_filter_set_mode(filter, VIRTIO_NET_CTRL_RX_PROMISC, false));
}

static void test_all_pass_until_the_driver_says_otherwise(void **state)
{
	struct net_filter filter;

	(void)state;
	net_filter_reset(&filter);
	filter.by_vlan = true;
	assert_true(accepts_ip(&filter, OTHER));
	assert_true(accepts_ip(&filter, GROUP));
	assert_true(accepts(&filter, OTHER, "\x81\x00\x00\x07"));

	assert_true(net_filter_set_mode(&filter, VIRTIO_NET_CTRL_RX_PROMISC, false));
	assert_true(accepts_ip(&filter, OWN));
	assert_true(accepts_ip(&filter, BROADCAST));
	assert_false(accepts_ip(&filter, OTHER));
	assert_false(accepts_ip(&filter, GROUP));
	assert_false(accepts(&filter, OWN, "\x81\x00\x00\x07"));

	net_filter_reset(&filter);
	assert_true(accepts_ip(&filter, OTHER));
}

static void test_modes(void **state)
{
	static const struct {
		uint8_t on[3];
		unsigned count;
		bool own, other, group, broadcast;
	} cases[] = {
		{ { VIRTIO_NET_CTRL_RX_ALLMULTI }, 1, true, false, true, true },
		{ { VIRTIO_NET_CTRL_RX_ALLUNI }, 1, true, true, false, true },
		{ { VIRTIO_NET_CTRL_RX_NOUNI }, 1, false, false, false, true },
		{ { VIRTIO_NET_CTRL_RX_NOBCAST }, 1, true, false, false, false },
		{ { VIRTIO_NET_CTRL_RX_NOMULTI }, 1, true, false, false, true },
		/* Suppressing modes override allowing ones; PROMISC overrides both. */
		{ { VIRTIO_NET_CTRL_RX_ALLMULTI, VIRTIO_NET_CTRL_RX_NOMULTI }, 2, true, false,
		  false, true },
		{ { VIRTIO_NET_CTRL_RX_ALLUNI, VIRTIO_NET_CTRL_RX_NOUNI }, 2, false, false, false,
		  true },
		{ { VIRTIO_NET_CTRL_RX_PROMISC, VIRTIO_NET_CTRL_RX_NOUNI,
		    VIRTIO_NET_CTRL_RX_NOBCAST }, 3, true, true, true, true },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct net_filter filter;

		fresh(&filter);
		for (unsigned n = 0; n < cases[i].count; n++)
			assert_true(net_filter_set_mode(&filter, cases[i].on[n], true));
		if (accepts_ip(&filter, OWN) != cases[i].own ||
		    accepts_ip(&filter, OTHER) != cases[i].other ||
		    accepts_ip(&filter, GROUP) != cases[i].group ||
		    accepts_ip(&filter, BROADCAST) != cases[i].broadcast)
			fail_msg("case %u", i);
		for (unsigned n = 0; n < cases[i].count; n++)
			assert_true(net_filter_set_mode(&filter, cases[i].on[n], false));
		assert_true(accepts_ip(&filter, OWN));
		assert_false(accepts_ip(&filter, OTHER));
	}
}

static void test_modes_that_do_not_exist(void **state)
{
	struct net_filter filter;

	(void)state;
	fresh(&filter);
	assert_false(net_filter_set_mode(&filter, NET_FILTER_MODES, true));
	assert_false(net_filter_set_mode(&filter, 0xff, true));
	assert_false(accepts_ip(&filter, OTHER));
}

static void test_tables_of_addresses(void **state)
{
	struct net_filter filter;

	(void)state;
	fresh(&filter);
	filter.unicast.count = filter.multicast.count = NET_FILTER_ADDRESSES;
	memcpy(filter.unicast.macs[NET_FILTER_ADDRESSES - 1], OTHER, ETH_ALEN);
	assert_true(accepts_ip(&filter, OTHER));
	assert_true(accepts_ip(&filter, OWN));
	assert_false(accepts_ip(&filter, GROUP));
	memcpy(filter.multicast.macs[0], GROUP, ETH_ALEN);
	assert_true(accepts_ip(&filter, GROUP));
	/* Each table is for its kind. */
	memcpy(filter.unicast.macs[0], "\x33\x33\0\0\0\1", ETH_ALEN);
	assert_false(accepts_ip(&filter, "\x33\x33\0\0\0\1"));

	fresh(&filter);
	filter.unicast.overflow = true;
	assert_true(accepts_ip(&filter, OTHER));
	assert_false(accepts_ip(&filter, GROUP));
	fresh(&filter);
	filter.multicast.overflow = true;
	assert_false(accepts_ip(&filter, OTHER));
	assert_true(accepts_ip(&filter, GROUP));
}

static void test_vlans(void **state)
{
	struct net_filter filter;

	(void)state;
	fresh(&filter);
	/* A driver that does not use the table. */
	assert_true(accepts(&filter, OWN, "\x81\x00\x00\x07"));
	filter.by_vlan = true;
	assert_false(accepts(&filter, OWN, "\x81\x00\x00\x07"));
	/* No tag, a priority tag, a provider's tag. */
	assert_true(accepts(&filter, OWN, "\x86\xdd\x00\x07"));
	assert_true(accepts(&filter, OWN, "\x81\x00\xe0\x00"));
	assert_true(accepts(&filter, OWN, "\x88\xa8\x00\x07"));

	assert_true(net_filter_set_vlan(&filter, 7, true));
	assert_true(net_filter_set_vlan(&filter, 4095, true));
	assert_false(net_filter_set_vlan(&filter, 4096, true));
	assert_false(net_filter_set_vlan(&filter, 0xffff, true));
	/* The upper four bits are not the VLAN's. */
	assert_true(accepts(&filter, OWN, "\x81\x00\xf0\x07"));
	assert_true(accepts(&filter, OWN, "\x81\x00\x0f\xff"));
	assert_false(accepts(&filter, OWN, "\x81\x00\x00\x06"));
	assert_false(accepts(&filter, OWN, "\x81\x00\x01\x07"));
	/* Both tables must accept. */
	assert_false(accepts(&filter, OTHER, "\x81\x00\x00\x07"));
	assert_true(net_filter_set_vlan(&filter, 7, false));
	assert_false(accepts(&filter, OWN, "\x81\x00\x00\x07"));
	assert_true(accepts(&filter, OWN, "\x81\x00\x0f\xff"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_pass_until_the_driver_says_otherwise),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_modes_that_do_not_exist),
		cmocka_unit_test(test_tables_of_addresses),
		cmocka_unit_test(test_vlans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
