/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net with several pairs of queues, virtio 1.2 §5.1.6.5.5: the tap queues that a driver uses
 * are attached, and the control queue is where that driver looks for it.
 */
#include "backend/local.h"
#include "base/le.h"
#include "mock_ring.h"
#include "devices/net.h"
#include "saved.h"
#include "unit.h"

#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum { PAIRS = 3, FRAME = 12 + 60, RING = 16 };

#define BIT(n) (1ULL << (n))

static const uint64_t CONTROL = BIT(VIRTIO_NET_F_CTRL_VQ);
static const uint64_t MQ = BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_MQ);

/* Another backend, only for the binding of queues. */
struct other_backend {
	struct backend backend;
	unsigned starts;
	bool destroyed;
};

struct fixture {
	struct mock_env env;
	struct mock_transport transport;
	struct mock_ring rings[NET_QUEUES(PAIRS)];
	struct virtio_dev *dev;
	struct other_backend other;
	int wires[PAIRS], taps[PAIRS]; /* taps: numbers of the device's fds */
	bool attached[PAIRS];
	unsigned switches;     /* TUNSETQUEUE */
	unsigned refuse_after; /* that many of them */
	uint64_t scratch;
};

/* Like those of a driver that binds again. */
static void fresh_rings(struct fixture *f)
{
	f->env.next = f->scratch + 4096;
	memset(gmem_ptr(&f->env.mem, f->env.next, MOCK_SLOT_LEN - f->env.next), 0,
	       MOCK_SLOT_LEN - f->env.next);
	for (unsigned i = 0; i < NET_QUEUES(PAIRS); i++)
		mock_ring_init(&f->rings[i], &f->env, RING);
}

static int tun_ioctl(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct fixture *f = fake->hook_data;
	const struct ifreq *ifr = arg;
	unsigned i = 0;

	if (request != TUNSETQUEUE)
		return 0;
	while (f->taps[i] != fd)
		assert_true(++i < PAIRS);
	if (f->switches++ >= f->refuse_after)
		return -EINVAL;
	/* The kernel refuses to do either twice. */
	assert_int_equal(ifr->ifr_flags, f->attached[i] ? IFF_DETACH_QUEUE : IFF_ATTACH_QUEUE);
	f->attached[i] = !f->attached[i];
	return 0;
}

static int other_start(struct backend *backend, struct virtio_dev *dev)
{
	(void)dev;
	container_of(backend, struct other_backend, backend)->starts++;
	return 0;
}

static void other_stop(struct backend *backend, struct virtio_dev *dev)
{
	(void)backend;
	(void)dev;
}

static void other_destroy(struct backend *backend)
{
	struct other_backend *other = container_of(backend, struct other_backend, backend);

	assert_false(other->destroyed);
	other->destroyed = true;
}

static const struct backend_ops other_ops = { "other", other_start, other_stop, other_destroy };

static void make_device(struct fixture *f, bool in_kernel)
{
	struct tap taps[PAIRS];
	const struct virtio_net_options options = {
		.taps = taps, .pairs = PAIRS, .features = UINT64_MAX, .in_kernel = in_kernel
	};

	for (unsigned i = 0; i < PAIRS; i++) {
		int fds[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC,
					    0, fds),
				 0);
		taps[i] = (struct tap){ .sys = &f->env.fake.sys, .fd = fds[0], .name = "tap0" };
		f->taps[i] = fds[0];
		f->wires[i] = fds[1];
		f->attached[i] = true;
	}
	assert_int_equal(virtio_net_new(&f->dev, &f->env.virtio, 0, &options), 0);
	mock_transport_init(&f->transport, f->dev);
	fresh_rings(f);
}

static void init(struct fixture *f)
{
	mock_env_init(&f->env);
	f->env.fake.hook = tun_ioctl;
	f->env.fake.hook_data = f;
	f->refuse_after = UINT32_MAX;
	f->other.backend.ops = &other_ops;
	f->scratch = mock_alloc(&f->env, 4096, 4096);
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	init(f);
	make_device(f, false);
	assert_int_equal(local_backend_bind(f->dev, 0, f->dev->queue_count), 0);
	*state = f;
	return 0;
}

/* All pairs are run by another backend. */
static int setup_in_kernel(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	init(f);
	make_device(f, true);
	for (unsigned i = 0; i < NET_QUEUE_CONTROL(PAIRS); i++)
		f->dev->queues[i].backend = &f->other.backend;
	assert_int_equal(local_backend_bind(f->dev, NET_QUEUE_CONTROL(PAIRS), 1), 0);
	*state = f;
	return 0;
}

static void close_device(struct fixture *f)
{
	mock_driver_status(f->dev, 0);
	f->dev->model->destroy(f->dev);
	for (unsigned i = 0; i < PAIRS; i++)
		close_fd(&f->wires[i]);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->refuse_after = UINT32_MAX;
	close_device(f);
	mock_env_destroy(&f->env);
	test_free(f);
	return 0;
}

static void start(struct fixture *f, uint64_t features, unsigned queues)
{
	for (unsigned i = 0; i < queues; i++)
		mock_ring_bind(&f->rings[i], &f->dev->queues[i]);
	mock_driver_start(f->dev, &f->transport, features);
	assert_false(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	mock_env_dispatch(&f->env);
}

/* The driver asks for n pairs on queue `index`; the device's answer. */
static uint8_t set_pairs(struct fixture *f, unsigned index, uint16_t n)
{
	const uint8_t bytes[] = { VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET,
				  (uint8_t)n, (uint8_t)(n >> 8), 0xee };
	const struct mock_buf bufs[] = {
		{ .gpa = f->scratch, .len = 4 },
		{ .gpa = f->scratch + 4, .len = 1, .writable = true },
	};
	uint32_t written;
	uint16_t head;
	uint8_t answer;

	assert_int_equal(gmem_write(&f->env.mem, f->scratch, bytes, sizeof(bytes)), 0);
	mock_ring_add(&f->rings[index], bufs, 2);
	mock_ring_kick(&f->rings[index]);
	mock_env_dispatch(&f->env);
	assert_true(mock_ring_reap(&f->rings[index], &head, &written));
	assert_int_equal(gmem_read(&f->env.mem, f->scratch + 4, &answer, 1), 0);
	return answer;
}

static void expect_attached(const struct fixture *f, unsigned n)
{
	for (unsigned i = 0; i < PAIRS; i++)
		assert_int_equal(f->attached[i], i < n);
}

static void expect_pair_carries_frames(struct fixture *f, unsigned pair)
{
	struct mock_ring *rx = &f->rings[NET_QUEUE_RX(pair)], *tx = &f->rings[NET_QUEUE_TX(pair)];
	uint64_t gpa = mock_alloc(&f->env, 4096, 4096);
	const struct mock_buf in = { .gpa = gpa, .len = 2048, .writable = true };
	const struct mock_buf out = { .gpa = gpa + 2048, .len = FRAME };
	uint8_t frame[FRAME] = { 0 }, got[FRAME + 1];
	uint32_t written;
	uint16_t head;

	frame[FRAME - 1] = (uint8_t)(pair + 1);
	mock_ring_add(rx, &in, 1);
	mock_ring_kick(rx);
	mock_env_dispatch(&f->env);
	assert_int_equal(send(f->wires[pair], frame, FRAME, 0), FRAME);
	mock_env_dispatch(&f->env);
	assert_true(mock_ring_reap(rx, &head, &written));
	assert_int_equal(written, FRAME);
	assert_int_equal(gmem_read(&f->env.mem, gpa, got, FRAME), 0);
	assert_int_equal(got[FRAME - 1], pair + 1);

	assert_int_equal(gmem_write(&f->env.mem, gpa + 2048, frame, FRAME), 0);
	mock_ring_add(tx, &out, 1);
	mock_ring_kick(tx);
	mock_env_dispatch(&f->env);
	assert_int_equal(recv(f->wires[pair], got, sizeof(got), 0), FRAME);
	assert_memory_equal(got, frame, FRAME);
}

static void test_offer(void **state)
{
	struct fixture *f = *state;
	uint8_t pairs[2];

	assert_true(virtio_offered(f->dev) & BIT(VIRTIO_NET_F_MQ));
	virtio_config_read(f->dev, offsetof(struct virtio_net_config, max_virtqueue_pairs), pairs,
			   2);
	assert_int_equal(get_le16(pairs), PAIRS);
	/* No frame may wait in a queue that the driver does not use. */
	expect_attached(f, 1);
}

static void test_each_pair_has_its_tap_queue(void **state)
{
	struct fixture *f = *state;

	start(f, MQ, NET_QUEUES(PAIRS));
	assert_int_equal(set_pairs(f, NET_QUEUE_CONTROL(PAIRS), PAIRS), VIRTIO_NET_OK);
	expect_attached(f, PAIRS);
	for (unsigned i = 0; i < PAIRS; i++)
		expect_pair_carries_frames(f, i);
}

static void test_pairs_come_and_go(void **state)
{
	static const uint16_t steps[] = { 3, 3, 1, 2, 1, 3, 2 };
	struct fixture *f = *state;

	start(f, MQ, NET_QUEUES(PAIRS));
	expect_attached(f, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
		assert_int_equal(set_pairs(f, NET_QUEUE_CONTROL(PAIRS), steps[i]), VIRTIO_NET_OK);
		expect_attached(f, steps[i]);
		expect_pair_carries_frames(f, steps[i] - 1U);
	}
}

static void test_number_of_pairs_out_of_range(void **state)
{
	static const uint16_t bad[] = { 0, PAIRS + 1, 0x8000, 0xffff };
	struct fixture *f = *state;

	start(f, MQ, NET_QUEUES(PAIRS));
	assert_int_equal(set_pairs(f, NET_QUEUE_CONTROL(PAIRS), 2), VIRTIO_NET_OK);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(set_pairs(f, NET_QUEUE_CONTROL(PAIRS), bad[i]), VIRTIO_NET_ERR);
		expect_attached(f, 2);
	}
}

static void test_reset_leaves_one_pair(void **state)
{
	struct fixture *f = *state;

	start(f, MQ, NET_QUEUES(PAIRS));
	assert_int_equal(set_pairs(f, NET_QUEUE_CONTROL(PAIRS), PAIRS), VIRTIO_NET_OK);
	mock_driver_status(f->dev, 0);
	expect_attached(f, 1);
}

/* Another device, on other tap queues, goes on with what this one has saved. */
static void restore(struct fixture *f)
{
	struct mock_ring rings[NET_QUEUES(PAIRS)];
	struct saved saved;

	memcpy(rings, f->rings, sizeof(rings));
	virtio_freeze(f->dev);
	device_save(&saved, f->dev);
	close_device(f);
	make_device(f, false);
	assert_int_equal(local_backend_bind(f->dev, 0, f->dev->queue_count), 0);
	assert_int_equal(device_load(&saved, f->dev), 0);
	/* Guest RAM is not what this is about: fresh rings, in the same places. */
	for (unsigned i = 0; i < NET_QUEUES(PAIRS); i++) {
		struct virtq_state *q = &f->dev->queues[i].state;

		q->last_avail = q->used_index = 0;
		assert_int_equal(f->rings[i].desc, rings[i].desc);
		f->rings[i].q = &f->dev->queues[i];
	}
	virtio_thaw(f->dev);
	assert_false(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	saved_free(&saved);
}

static void test_pairs_survive_a_restore(void **state)
{
	struct fixture *f = *state;

	start(f, MQ, NET_QUEUES(PAIRS));
	assert_int_equal(set_pairs(f, NET_QUEUE_CONTROL(PAIRS), 2), VIRTIO_NET_OK);
	restore(f);
	expect_attached(f, 2);
	for (unsigned i = 0; i < 2; i++)
		expect_pair_carries_frames(f, i);
	assert_int_equal(set_pairs(f, NET_QUEUE_CONTROL(PAIRS), PAIRS), VIRTIO_NET_OK);
	expect_attached(f, PAIRS);
}

/* The control queue is still the third. */
static void test_driver_of_one_pair_survives_a_restore(void **state)
{
	struct fixture *f = *state;

	start(f, CONTROL, 3);
	restore(f);
	expect_attached(f, 1);
	assert_int_equal(set_pairs(f, 2, 1), VIRTIO_NET_ERR);
	expect_pair_carries_frames(f, 0);
}

/* The second switch is refused: the first is taken back. */
static void test_tap_that_refuses(void **state)
{
	struct fixture *f = *state;

	start(f, MQ, NET_QUEUES(PAIRS));
	f->refuse_after = f->switches + 1;
	assert_int_equal(set_pairs(f, NET_QUEUE_CONTROL(PAIRS), PAIRS), VIRTIO_NET_ERR);
	f->refuse_after = UINT32_MAX;
	assert_int_equal(set_pairs(f, NET_QUEUE_CONTROL(PAIRS), 1), VIRTIO_NET_OK);
	expect_attached(f, 1);
	expect_pair_carries_frames(f, 0);
}

/* §5.1.2: without MQ there is one pair, and the third queue is the control queue. */
static void test_driver_of_one_pair(void **state)
{
	struct fixture *f = *state;

	start(f, CONTROL, 3);
	/* It answers, but not to this command. */
	assert_int_equal(set_pairs(f, 2, 1), VIRTIO_NET_ERR);
	expect_pair_carries_frames(f, 0);
}

/* It has no other queues, whatever it enables: no frame is sent, and nothing else happens. */
static void test_driver_of_one_pair_that_enables_all(void **state)
{
	struct fixture *f = *state;

	start(f, CONTROL, NET_QUEUES(PAIRS));
	for (unsigned i = 3; i < NET_QUEUES(PAIRS); i++) {
		const struct mock_buf buf = { .gpa = f->scratch, .len = FRAME };
		uint32_t written;
		uint16_t head;

		mock_ring_add(&f->rings[i], &buf, 1);
		mock_ring_kick(&f->rings[i]);
		mock_env_dispatch(&f->env);
		assert_false(mock_ring_reap(&f->rings[i], &head, &written));
	}
	assert_false(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(set_pairs(f, 2, 1), VIRTIO_NET_ERR);
}

static void test_third_queue_has_the_backend_of_its_part(void **state)
{
	struct fixture *f = *state;
	struct virtq *third = &f->dev->queues[2];

	for (unsigned i = 0; i < 3; i++) {
		start(f, CONTROL, 3);
		assert_ptr_equal(third->backend,
				 f->dev->queues[NET_QUEUE_CONTROL(PAIRS)].backend);
		assert_int_equal(set_pairs(f, 2, 1), VIRTIO_NET_ERR);
		mock_driver_status(f->dev, 0);
		fresh_rings(f);

		start(f, MQ, NET_QUEUES(PAIRS));
		assert_ptr_equal(third->backend, &f->other.backend);
		assert_false(third->running);
		assert_int_equal(set_pairs(f, NET_QUEUE_CONTROL(PAIRS), 2), VIRTIO_NET_OK);
		mock_driver_status(f->dev, 0);
		fresh_rings(f);
	}
	assert_int_equal(f->other.starts, 6);
}

/* The loop does not handle frames then. */
static void test_in_kernel_tap_is_not_polled(void **state)
{
	struct fixture *f = *state;
	struct virtio_net_stats stats;
	uint8_t frame[FRAME] = { 0 };

	/* The device does not filter them either, although a driver may set filters. */
	assert_true(virtio_offered(f->dev) & BIT(VIRTIO_NET_F_CTRL_RX));
	assert_true(virtio_offered(f->dev) & BIT(VIRTIO_NET_F_CTRL_VLAN));
	start(f, MQ, NET_QUEUES(PAIRS));
	assert_int_equal(send(f->wires[0], frame, FRAME, 0), FRAME);
	assert_false(mock_env_wait(&f->env, 0));
	assert_false(virtio_net_get_stats(f->dev, &stats));
	assert_int_equal(f->dev->model->get_stats(f->dev, NULL), 0);
	assert_int_equal(virtio_net_tap_fd(f->dev, 1), f->taps[1]);
}

/* A driver resets first of all: fd 0 must not be used. */
static void test_reset_before_the_first_start(void **state)
{
	struct fixture *f = *state;
	int saved = dup(STDIN_FILENO), efd = eventfd(0, EFD_CLOEXEC);
	struct loop_event stdin_event = { .fd = STDIN_FILENO };

	assert_int_equal(dup2(efd, STDIN_FILENO), STDIN_FILENO);
	assert_int_equal(loop_add(&f->env.loop, &stdin_event, EPOLLIN), 0);
	mock_driver_status(f->dev, 0);
	assert_int_equal(loop_add(&f->env.loop, &stdin_event, EPOLLIN), -EEXIST);
	loop_remove(&f->env.loop, &stdin_event);
	close(efd);
	if (saved >= 0)
		assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
	close(saved);
}

static void test_features_that_the_backend_lacks(void **state)
{
	struct fixture *f = *state;
	struct tap tap = { .sys = &f->env.fake.sys, .fd = -1, .name = "tap0" };
	const struct virtio_net_options options = {
		.taps = &tap, .pairs = 1, .features = ~BIT(VIRTIO_NET_F_MRG_RXBUF)
	};
	struct virtio_dev *dev;

	assert_int_equal(virtio_net_new(&dev, &f->env.virtio, 1, &options), 0);
	assert_false(virtio_offered(dev) & BIT(VIRTIO_NET_F_MRG_RXBUF));
	assert_false(virtio_offered(dev) & BIT(VIRTIO_NET_F_MQ));
	assert_true(virtio_offered(dev) & BIT(VIRTIO_NET_F_MAC));
	dev->model->destroy(dev);
}

#define TEST_IN_KERNEL(name) cmocka_unit_test_setup_teardown(name, setup_in_kernel, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_offer),
		TEST(test_each_pair_has_its_tap_queue),
		TEST(test_pairs_come_and_go),
		TEST(test_number_of_pairs_out_of_range),
		TEST(test_reset_leaves_one_pair),
		TEST(test_pairs_survive_a_restore),
		TEST(test_driver_of_one_pair_survives_a_restore),
		TEST(test_tap_that_refuses),
		TEST(test_driver_of_one_pair),
		TEST(test_driver_of_one_pair_that_enables_all),
		TEST_IN_KERNEL(test_driver_of_one_pair_that_enables_all),
		TEST_IN_KERNEL(test_third_queue_has_the_backend_of_its_part),
		TEST_IN_KERNEL(test_in_kernel_tap_is_not_polled),
		TEST_IN_KERNEL(test_reset_before_the_first_start),
		TEST(test_features_that_the_backend_lacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
