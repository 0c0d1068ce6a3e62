/* SPDX-License-Identifier: Apache-2.0 */
/* The vsock device without its packet queues, virtio 1.2 §5.10. */
#include "backend/local.h"
#include "base/le.h"
#include "mock_ring.h"
#include "devices/vsock.h"
#include "unit.h"

#include <linux/virtio_vsock.h>

enum { CID = 0xfffffffe };

static const uint64_t SEQPACKET = 1ULL << VIRTIO_VSOCK_F_SEQPACKET;
static const uint64_t VERSION_1 = 1ULL << VIRTIO_F_VERSION_1;

struct fixture {
	struct mock_env env;
	struct mock_ring ring;
	struct mock_transport transport;
};

/* All feature bits that a vhost could have: the device offers those that it supports. */
static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	mock_env_init(&f->env);
	assert_int_equal(virtio_vsock_new(&f->env.dev, &f->env.virtio, 0, CID, UINT64_MAX), 0);
	assert_int_equal(local_backend_bind(f->env.dev, VSOCK_QUEUE_EVENT, 1), 0);
	mock_ring_init(&f->ring, &f->env, 8);
	mock_ring_bind(&f->ring, &f->env.dev->queues[VSOCK_QUEUE_EVENT]);
	*state = f;
	return 0;
}

static void test_5_10_has_three_queues_and_its_id(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->env.dev->model->id, 19);
	assert_int_equal(f->env.dev->queue_count, 3);
}

static void test_5_10_3_offers_what_it_knows(void **state)
{
	struct fixture *f = *state;
	struct virtio_dev *bare;

	assert_int_equal(f->env.dev->offered, SEQPACKET | VIRTQ_FEATURES | VERSION_1);
	assert_int_equal(virtio_vsock_new(&bare, &f->env.virtio, 1, CID,
					  1 << VIRTIO_RING_F_INDIRECT_DESC),
			 0);
	assert_int_equal(bare->offered, 1 << VIRTIO_RING_F_INDIRECT_DESC | VERSION_1);
	bare->model->destroy(bare);
}

static void test_5_10_4_guest_cid(void **state)
{
	struct fixture *f = *state;
	uint8_t cid[8], bytes[2];

	assert_int_equal(f->env.dev->config_len, sizeof(cid));
	virtio_config_read(f->env.dev, 0, cid, sizeof(cid));
	assert_int_equal(get_le64(cid), CID);
	virtio_config_read(f->env.dev, 3, bytes, sizeof(bytes));
	assert_int_equal(bytes[0], 0xff);
	assert_int_equal(bytes[1], 0);
}

/* Read-only for the driver. */
static void test_5_10_4_guest_cid_cannot_be_written(void **state)
{
	struct fixture *f = *state;
	const uint8_t other[8] = { 9 };
	uint8_t cid[8];

	virtio_config_write(f->env.dev, 0, other, sizeof(other));
	virtio_config_read(f->env.dev, 0, cid, sizeof(cid));
	assert_int_equal(get_le64(cid), CID);
}

static void fill(struct fixture *f)
{
	const struct mock_buf buf = { mock_alloc(&f->env, 64, 8), 4, true };

	for (unsigned i = 0; i < f->ring.size; i++)
		mock_ring_add(&f->ring, &buf, 1);
}

static void test_5_10_6_7_event_buffers_are_kept(void **state)
{
	struct fixture *f = *state;
	struct virtq *q = &f->env.dev->queues[VSOCK_QUEUE_EVENT];
	uint32_t written;
	uint16_t head;

	mock_driver_start(f->env.dev, &f->transport, 0);
	mock_env_dispatch(&f->env);
	fill(f);
	/* Kicks were disabled once. */
	assert_false(mock_ring_kick(&f->ring));
	eventfd_signal(q->kick_fd);
	mock_env_dispatch(&f->env);
	assert_false(mock_ring_reap(&f->ring, &head, &written));
	assert_false(mock_irq_taken(&q->irq));
	assert_false(f->env.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* Each driver finds the device in the same state. */
static void test_reset_gives_event_buffers_up(void **state)
{
	struct fixture *f = *state;

	mock_driver_start(f->env.dev, &f->transport, SEQPACKET | VIRTQ_FEATURES);
	fill(f);
	mock_env_dispatch(&f->env);
	mock_driver_status(f->env.dev, 0);
	assert_int_equal(f->env.dev->queues[VSOCK_QUEUE_EVENT].state.last_avail, 0);
	assert_false(f->env.dev->queues[VSOCK_QUEUE_EVENT].running);
	mock_ring_init(&f->ring, &f->env, 8);
	mock_ring_bind(&f->ring, &f->env.dev->queues[VSOCK_QUEUE_EVENT]);
	assert_true(mock_driver_start(f->env.dev, &f->transport, SEQPACKET) &
		    VIRTIO_CONFIG_S_DRIVER_OK);
	assert_true(f->env.dev->queues[VSOCK_QUEUE_EVENT].running);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DEVICE_TEST(test_5_10_has_three_queues_and_its_id),
		DEVICE_TEST(test_5_10_3_offers_what_it_knows),
		DEVICE_TEST(test_5_10_4_guest_cid),
		DEVICE_TEST(test_5_10_4_guest_cid_cannot_be_written),
		DEVICE_TEST(test_5_10_6_7_event_buffers_are_kept),
		DEVICE_TEST(test_reset_gives_event_buffers_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
