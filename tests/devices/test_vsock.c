/* SPDX-License-Identifier: Apache-2.0 */
/* The vsock device without its packet queues, virtio 1.2 §5.10. */
#include "backend/local.h"
#include "base/le.h"
#include "capture.h"
#include "saved.h"
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

/* --- Save and restore, §5.10.6.7 --- */

static void start(struct fixture *f)
{
	mock_driver_start(f->env.dev, &f->transport, VIRTQ_FEATURES);
	mock_env_dispatch(&f->env);
}

/* A buffer for an event; its GPA. */
static uint64_t give(struct fixture *f, uint32_t len)
{
	const struct mock_buf buf = { mock_alloc(&f->env, 64, 8), len, true };

	assert_int_equal(gmem_write(&f->env.mem, buf.gpa, "\xff\xff\xff\xff", 4), 0);
	mock_ring_add(&f->ring, &buf, 1);
	mock_ring_kick(&f->ring);
	mock_env_dispatch(&f->env);
	return buf.gpa;
}

/* The machine is restored with another CID. */
static void restore(struct fixture *f, uint32_t cid)
{
	struct saved saved;
	uint8_t bytes[8];

	virtio_freeze(f->env.dev);
	device_save(&saved, f->env.dev);
	mock_driver_status(f->env.dev, 0);
	f->env.dev->model->destroy(f->env.dev);
	assert_int_equal(virtio_vsock_new(&f->env.dev, &f->env.virtio, 0, cid, UINT64_MAX), 0);
	assert_int_equal(local_backend_bind(f->env.dev, VSOCK_QUEUE_EVENT, 1), 0);
	mock_transport_init(&f->transport, f->env.dev);
	f->ring.q = &f->env.dev->queues[VSOCK_QUEUE_EVENT];
	assert_int_equal(device_load(&saved, f->env.dev), 0);
	if (cid == CID)
		device_expect_same(&saved, f->env.dev);
	saved_free(&saved);
	virtio_thaw(f->env.dev);
	device_restored(f->env.dev);
	mock_env_dispatch(&f->env);
	virtio_config_read(f->env.dev, 0, bytes, sizeof(bytes));
	assert_int_equal(get_le64(bytes), cid);
}

static void expect_event(struct fixture *f, uint64_t gpa)
{
	uint32_t written, id;
	uint16_t head;

	assert_true(mock_ring_reap(&f->ring, &head, &written));
	assert_int_equal(written, 4);
	assert_int_equal(gmem_read(&f->env.mem, gpa, &id, sizeof(id)), 0);
	assert_int_equal(id, VIRTIO_VSOCK_EVENT_TRANSPORT_RESET);
	assert_true(mock_irq_taken(&f->env.dev->queues[VSOCK_QUEUE_EVENT].irq));
	assert_false(mock_ring_reap(&f->ring, &head, &written));
}

static void expect_no_event(struct fixture *f)
{
	uint32_t written;
	uint16_t head;

	assert_false(mock_ring_reap(&f->ring, &head, &written));
	assert_false(f->env.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void test_restore_resets_the_transport(void **state)
{
	struct fixture *f = *state;
	uint64_t first, second;

	start(f);
	first = give(f, 4);
	second = give(f, 4);
	virtio_freeze(f->env.dev);
	virtio_thaw(f->env.dev);
	mock_env_dispatch(&f->env);
	expect_no_event(f);
	restore(f, 5);
	expect_event(f, first);
	assert_int_equal(f->transport.config_changes, 1);
	restore(f, 6);
	expect_event(f, second);
}

/* It waits for a buffer, over a save as well, and comes once. */
static void test_event_waits_for_a_buffer(void **state)
{
	struct fixture *f = *state;
	uint64_t gpa;

	start(f);
	restore(f, CID);
	restore(f, CID);
	expect_no_event(f);
	gpa = give(f, 4);
	expect_event(f, gpa);
	give(f, 4);
	expect_no_event(f);
}

static void test_event_for_a_driver_that_is_being_set_up(void **state)
{
	struct fixture *f = *state;
	uint64_t gpa;

	mock_driver_status(f->env.dev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	restore(f, 5);
	assert_int_equal(f->transport.config_changes, 0);
	start(f);
	gpa = give(f, 4);
	expect_event(f, gpa);
}

static void test_no_event_without_a_driver(void **state)
{
	struct fixture *f = *state;

	mock_driver_status(f->env.dev, 0);
	mock_ring_bind(&f->ring, &f->env.dev->queues[VSOCK_QUEUE_EVENT]);
	restore(f, 5);
	start(f);
	give(f, 4);
	expect_no_event(f);
}

static void test_reset_forgets_the_event(void **state)
{
	struct fixture *f = *state;
	struct saved saved;

	mock_driver_status(f->env.dev, 0);
	device_save(&saved, f->env.dev);
	mock_driver_status(f->env.dev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	device_restored(f->env.dev);
	mock_driver_status(f->env.dev, 0);
	f->env.dev->config_generation = 0;
	device_expect_same(&saved, f->env.dev);
	device_set(&saved, f->env.dev, virtio_vsock_state_tables[0], "reset_owed", 0, 2);
	device_expect_refused(&saved, f->env.dev, "reset_owed is 2, more than 1");
	saved_free(&saved);
}

static void test_event_buffer_that_is_too_small(void **state)
{
	struct fixture *f = *state;
	struct capture capture;

	start(f);
	give(f, 3);
	capture_stderr_begin(&capture);
	device_restored(f->env.dev);
	capture_expect(&capture, "event queue: broken ring or buffer");
	assert_true(f->env.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
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
		DEVICE_TEST(test_restore_resets_the_transport),
		DEVICE_TEST(test_event_waits_for_a_buffer),
		DEVICE_TEST(test_event_for_a_driver_that_is_being_set_up),
		DEVICE_TEST(test_no_event_without_a_driver),
		DEVICE_TEST(test_reset_forgets_the_event),
		DEVICE_TEST(test_event_buffer_that_is_too_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
