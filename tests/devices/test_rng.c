/* SPDX-License-Identifier: Apache-2.0 */
/* The entropy device, virtio 1.2 §5.4. */
#include "backend/local.h"
#include "saved.h"
#include "mock_ring.h"
#include "devices/rng.h"
#include "unit.h"

struct fixture {
	struct mock_env env;
	struct mock_ring ring;
	struct mock_transport transport;
	uint64_t data; /* GPA of 4 KiB */
};

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	mock_env_init(&f->env);
	assert_int_equal(virtio_rng_new(&f->env.dev, &f->env.virtio, 0), 0);
	assert_int_equal(local_backend_bind(f->env.dev, 0, 1), 0);
	mock_ring_init(&f->ring, &f->env, 16);
	mock_ring_bind(&f->ring, &f->env.dev->queues[0]);
	f->data = mock_alloc(&f->env, 4096, 4096);
	*state = f;
	return 0;
}

static void start(struct fixture *f, uint64_t features)
{
	assert_true(mock_driver_start(f->env.dev, &f->transport, features) &
		    VIRTIO_CONFIG_S_DRIVER_OK);
}

static bool all_zero(struct fixture *f, uint64_t gpa, unsigned len)
{
	const uint8_t *p = gmem_ptr(&f->env.mem, gpa, len);

	assert_non_null(p);
	for (unsigned i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

static void assert_broken(struct fixture *f)
{
	assert_true(f->env.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_false(f->env.dev->started);
	assert_int_equal(f->transport.config_changes, 1);
}

static void test_5_4_6_fills_the_buffer(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf buf = { f->data, 64, true };
	uint32_t written;
	uint16_t head, used;

	start(f, 0);
	mock_env_dispatch(&f->env);
	head = mock_ring_add(&f->ring, &buf, 1);
	assert_true(mock_ring_kick(&f->ring));
	mock_env_dispatch(&f->env);
	assert_true(mock_ring_reap(&f->ring, &used, &written));
	assert_int_equal(used, head);
	assert_int_equal(written, 64);
	assert_false(all_zero(f, f->data, 64));
	assert_true(all_zero(f, f->data + 64, 64));
	assert_true(mock_irq_taken(&f->env.dev->queues[0].irq));
}

/* A request of 4 GiB costs no more than any other. */
static void test_5_4_6_2_fills_at_most_256_bytes(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf bufs[] = { { f->data, 100, true }, { f->data + 1000, 2000, true } };
	uint32_t written;
	uint16_t head;

	start(f, VIRTQ_FEATURES);
	mock_ring_add_indirect(&f->ring, bufs, 2);
	mock_env_dispatch(&f->env);
	assert_true(mock_ring_reap(&f->ring, &head, &written));
	assert_int_equal(written, 256);
	assert_false(all_zero(f, f->data + 1000, 156));
	assert_true(all_zero(f, f->data + 1156, 1844));
}

/* The event index asks for the next kick: without it a driver would go silent after one request. */
static void test_2_7_10_every_request_is_kicked(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf buf = { f->data, 8, true };
	uint32_t written;
	uint16_t head;

	start(f, VIRTQ_FEATURES);
	mock_env_dispatch(&f->env);
	for (unsigned i = 0; i < 40; i++) {
		mock_ring_set_used_event(&f->ring, f->ring.last_used);
		mock_ring_add(&f->ring, &buf, 1);
		assert_true(mock_ring_kick(&f->ring));
		mock_env_dispatch(&f->env);
		assert_true(mock_ring_reap(&f->ring, &head, &written));
		assert_true(mock_irq_taken(&f->env.dev->queues[0].irq));
	}
}

static void test_5_4_6_1_readable_buffer_breaks_the_device(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf bufs[] = { { f->data, 64, false }, { f->data + 64, 64, true } };

	for (unsigned n = 1; n <= 2; n++) {
		start(f, 0);
		mock_ring_add(&f->ring, bufs, n);
		mock_env_dispatch(&f->env);
		assert_broken(f);
		assert_int_equal(mock_ring_used_index(&f->ring), 0);
		mock_driver_status(f->env.dev, 0);
		mock_ring_init(&f->ring, &f->env, 16);
		mock_ring_bind(&f->ring, &f->env.dev->queues[0]);
	}
}

static void test_2_7_damaged_ring_breaks_the_device(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	mock_ring_set_avail_index(&f->ring, 17);
	mock_env_dispatch(&f->env);
	assert_broken(f);
}

/* A full ring is served in several turns: the loop runs in between. */
static void test_serve_is_bounded_and_comes_back(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf buf = { f->data, 8, true };

	start(f, 0);
	for (unsigned i = 0; i < 16; i++)
		mock_ring_add(&f->ring, &buf, 1);
	assert_true(mock_env_wait(&f->env, 0));
	assert_int_equal(mock_ring_used_index(&f->ring), 16);
	assert_true(mock_env_wait(&f->env, 0));
	assert_false(mock_env_wait(&f->env, 0));
	assert_true(mock_ring_kick(&f->ring));
}

/* Each buffer is filled once, whether before or after, by this device or the one that follows. */
static void test_requests_survive_a_restore(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf buf = { f->data, 8, true };
	struct saved saved;

	start(f, 0);
	for (unsigned i = 0; i < 8; i++)
		mock_ring_add(&f->ring, &buf, 1);
	assert_true(mock_env_wait(&f->env, 0));
	assert_int_equal(mock_ring_used_index(&f->ring), 8);
	for (unsigned i = 0; i < 4; i++)
		mock_ring_add(&f->ring, &buf, 1);
	virtio_freeze(f->env.dev);
	device_save(&saved, f->env.dev);
	virtio_thaw(f->env.dev);
	virtio_freeze(f->env.dev);
	device_expect_same(&saved, f->env.dev);
	mock_driver_status(f->env.dev, 0);
	f->env.dev->model->destroy(f->env.dev);

	assert_int_equal(virtio_rng_new(&f->env.dev, &f->env.virtio, 0), 0);
	assert_int_equal(local_backend_bind(f->env.dev, 0, 1), 0);
	mock_transport_init(&f->transport, f->env.dev);
	assert_int_equal(device_load(&saved, f->env.dev), 0);
	device_expect_same(&saved, f->env.dev);
	saved_free(&saved);
	virtio_thaw(f->env.dev);
	mock_env_dispatch(&f->env);
	assert_int_equal(mock_ring_used_index(&f->ring), 12);
	assert_false(f->env.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DEVICE_TEST(test_5_4_6_fills_the_buffer),
		DEVICE_TEST(test_5_4_6_2_fills_at_most_256_bytes),
		DEVICE_TEST(test_2_7_10_every_request_is_kicked),
		DEVICE_TEST(test_5_4_6_1_readable_buffer_breaks_the_device),
		DEVICE_TEST(test_2_7_damaged_ring_breaks_the_device),
		DEVICE_TEST(test_serve_is_bounded_and_comes_back),
		DEVICE_TEST(test_requests_survive_a_restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
