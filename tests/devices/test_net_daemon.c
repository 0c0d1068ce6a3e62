/* SPDX-License-Identifier: Apache-2.0 */
/* A network card whose frames a vhost-user daemon carries: its pairs are the daemon's rings. */
#include "backend/local.h"
#include "capture.h"
#include "devices/net.h"
#include "fake_daemon.h"
#include "mock_ring.h"
#include "unit.h"

#include <linux/virtio_net.h>
#include <stdio.h>
#include <string.h>

enum { PAIRS = 3, RING = 16, MQ_PROTOCOL = 0, REPLY_ACK = 3 };

#define BIT(n) (1ULL << (n))

static const uint64_t FEATURES = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF) |
				 BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CSUM) | BIT(30) |
				 BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) | BIT(VHOST_F_LOG_ALL);
static const uint64_t DRIVER = BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ) |
			       BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_MAC);

struct fixture {
	struct mock_env env;
	struct mock_transport transport;
	struct mock_ring rings[NET_QUEUES(PAIRS)];
	struct fake_daemon daemon;
	struct net_config config;
	struct virtio_dev *dev;
	uint64_t scratch;
};

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	mock_env_init_with(&f->env, &(struct gmem_options){ .shared = true });
	fake_daemon_init(&f->daemon, &f->env.loop, FEATURES, BIT(MQ_PROTOCOL) | BIT(REPLY_ACK));
	f->daemon.queues = PAIRS; /* a card's are counted in pairs */
	f->scratch = mock_alloc(&f->env, 4096, 4096);
	f->config = (struct net_config){ .vhost_user = f->daemon.address.sun_path,
					 .queues = PAIRS, .offloads = true };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	unsigned wrong = f->daemon.vhost.refusals + f->daemon.errors;

	if (f->dev) {
		mock_driver_status(f->dev, 0);
		f->dev->model->destroy(f->dev);
	}
	fake_daemon_destroy(&f->daemon);
	assert_int_equal(fake_open_fds(), f->env.fds);
	mock_env_destroy(&f->env);
	test_free(f);
	assert_int_equal(wrong, 0);
	return 0;
}

static int create(struct fixture *f)
{
	fake_daemon_start(&f->daemon);
	return net_kind.create(&f->dev, &f->env.virtio, 0, &f->config);
}

static void start(struct fixture *f, uint64_t features)
{
	const unsigned queues = features & BIT(VIRTIO_NET_F_MQ) ? NET_QUEUES(PAIRS) : 3;

	for (unsigned i = 0; i < queues; i++) {
		mock_ring_init(&f->rings[i], &f->env, RING);
		mock_ring_bind(&f->rings[i], &f->dev->queues[i]);
	}
	assert_false(mock_driver_start(f->dev, &f->transport, features) &
		     VIRTIO_CONFIG_S_NEEDS_RESET);
	mock_env_dispatch(&f->env);
}

static void create_and_start(struct fixture *f)
{
	assert_int_equal(create(f), 0);
	assert_int_equal(local_backend_bind(f->dev, NET_QUEUE_CONTROL(PAIRS), 1), 0);
	start(f, DRIVER);
}

static uint8_t set_pairs(struct fixture *f, unsigned queue, uint8_t n)
{
	const uint8_t bytes[] = { VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, n, 0, 0xee };
	const struct mock_buf bufs[] = { { .gpa = f->scratch, .len = 4 },
					 { .gpa = f->scratch + 4, .len = 1, .writable = true } };
	uint32_t written;
	uint16_t head;
	uint8_t answer;

	assert_int_equal(gmem_write(&f->env.mem, f->scratch, bytes, sizeof(bytes)), 0);
	mock_ring_add(&f->rings[queue], bufs, 2);
	mock_ring_kick(&f->rings[queue]);
	mock_env_dispatch(&f->env);
	assert_true(mock_ring_reap(&f->rings[queue], &head, &written));
	assert_int_equal(gmem_read(&f->env.mem, f->scratch + 4, &answer, 1), 0);
	return answer;
}

/* The daemon has the ring: what is sent there is used. */
static void expect_used(struct fixture *f, unsigned queue)
{
	const struct mock_buf buf = { .gpa = f->scratch, .len = 60 };
	uint32_t written;
	uint16_t head;

	mock_ring_add(&f->rings[queue], &buf, 1);
	mock_ring_kick(&f->rings[queue]);
	mock_env_dispatch(&f->env);
	assert_true(mock_ring_reap(&f->rings[queue], &head, &written));
}

static void test_offer(void **state)
{
	struct fixture *f = *state;
	uint8_t mac[6], again[6];

	assert_int_equal(create(f), 0);
	assert_true(virtio_offered(f->dev) & BIT(VIRTIO_NET_F_CSUM));
	assert_true(virtio_offered(f->dev) & BIT(VIRTIO_NET_F_MQ));
	assert_true(virtio_offered(f->dev) & BIT(VIRTIO_NET_F_CTRL_RX));
	/* The daemon has no TSO; nothing tells it that the driver does without an offload. */
	assert_false(virtio_offered(f->dev) & BIT(VIRTIO_NET_F_HOST_TSO4));
	assert_false(virtio_offered(f->dev) & BIT(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS));
	/* An address for each socket, and each time the same. */
	virtio_config_read(f->dev, 0, mac, sizeof(mac));
	assert_int_equal(mac[0] & 3, 2);
	f->dev->model->destroy(f->dev);
	fake_daemon_kill(&f->daemon);
	f->config.offloads = false;
	assert_int_equal(create(f), 0);
	virtio_config_read(f->dev, 0, again, sizeof(again));
	assert_memory_equal(mac, again, sizeof(mac));
	assert_false(virtio_offered(f->dev) & BIT(VIRTIO_NET_F_CSUM));
}

static void test_pairs_are_rings(void **state)
{
	struct fixture *f = *state;

	create_and_start(f);
	assert_int_equal(f->daemon.enabled, 0x3);
	expect_used(f, NET_QUEUE_TX(0));
	assert_int_equal(set_pairs(f, NET_QUEUE_CONTROL(PAIRS), PAIRS), VIRTIO_NET_OK);
	assert_int_equal(f->daemon.enabled, 0x3f);
	for (unsigned i = 0; i < PAIRS; i++)
		expect_used(f, NET_QUEUE_TX(i));
	assert_int_equal(set_pairs(f, NET_QUEUE_CONTROL(PAIRS), 2), VIRTIO_NET_OK);
	assert_int_equal(f->daemon.enabled, 0xf);
	/* A pause changes nothing, a reset leaves one pair. */
	virtio_freeze(f->dev);
	virtio_thaw(f->dev);
	assert_int_equal(f->daemon.enabled, 0xf);
	mock_driver_status(f->dev, 0);
	start(f, DRIVER);
	assert_int_equal(f->daemon.enabled, 0x3);
}

/* Its third queue is the control queue (virtio 1.2 §5.1.2), which is not the daemon's. */
static void test_driver_without_multiqueue(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(create(f), 0);
	assert_int_equal(local_backend_bind(f->dev, NET_QUEUE_CONTROL(PAIRS), 1), 0);
	start(f, DRIVER & ~BIT(VIRTIO_NET_F_MQ));
	assert_int_equal(f->daemon.enabled, 0x3);
	assert_int_equal(set_pairs(f, 2, 1), VIRTIO_NET_ERR);
	expect_used(f, NET_QUEUE_TX(0));
}

static void test_pairs_reach_the_next_daemon(void **state)
{
	struct fixture *f = *state;

	create_and_start(f);
	fake_daemon_kill(&f->daemon);
	/* The control queue answers while it is away. */
	assert_int_equal(set_pairs(f, NET_QUEUE_CONTROL(PAIRS), 2), VIRTIO_NET_OK);
	fake_daemon_start(&f->daemon);
	for (unsigned i = 0; i < 50 && f->daemon.connections < 2; i++)
		mock_env_wait(&f->env, 100);
	mock_env_dispatch(&f->env);
	assert_int_equal(f->daemon.enabled, 0xf);
	expect_used(f, NET_QUEUE_TX(1));
}

static void expect_refusal(struct fixture *f, const char *what)
{
	struct capture capture;
	char line[300];

	snprintf(line, sizeof(line), what, f->config.vhost_user);
	capture_stderr_begin(&capture);
	assert_true(create(f) < 0);
	f->dev = NULL;
	capture_expect_all(&capture, line);
	fake_daemon_kill(&f->daemon);
}

static void test_daemon_with_fewer_pairs(void **state)
{
	static const char one[] = "kinglet: virtio-net: the daemon at %s has one pair of queues; "
				  "leave queues= out\n";
	struct fixture *f = *state;

	f->daemon.queues = PAIRS - 1;
	expect_refusal(f, "kinglet: virtio-net: vhost-user daemon at %s: serves fewer queues\n");
	f->daemon.queues = PAIRS;
	f->daemon.protocol = BIT(REPLY_ACK);
	expect_refusal(f, one);
	f->daemon.protocol |= BIT(MQ_PROTOCOL);
	f->daemon.features &= ~BIT(VIRTIO_NET_F_MQ);
	expect_refusal(f, one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_offer),
		TEST(test_pairs_are_rings),
		TEST(test_driver_without_multiqueue),
		TEST(test_pairs_reach_the_next_daemon),
		TEST(test_daemon_with_fewer_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
