/* SPDX-License-Identifier: Apache-2.0 */
/* The local backend: kicks become calls of model->serve on the loop. */
#include "backend/local.h"
#include "mock_ring.h"
#include "unit.h"

enum { QUEUES = 3, SIZE = 8 };

struct fixture {
	struct mock_env env;
	struct mock_transport transport;
	struct virtio_dev dev;
	struct mock_ring rings[QUEUES];
	uint64_t data;
	struct virtq_chain chain;
	unsigned serves[QUEUES];
	unsigned quiesces;
	bool hold;	    /* serve pops one chain and keeps it, as asynchronous I/O does */
	bool broken;	    /* serve reports a broken device */
	uint16_t held_head; /* popped and not pushed */
	bool held;
};

static struct fixture *of_dev(struct virtio_dev *dev)
{
	return container_of(dev, struct fixture, dev);
}

static void serve(struct virtio_dev *dev, struct virtq *q)
{
	struct fixture *f = of_dev(dev);

	assert_true(q->running);
	/* Locked: a second lock would block. */
	assert_int_equal(pthread_mutex_trylock(&dev->lock), EBUSY);
	f->serves[q->index]++;
	if (f->broken)
		virtio_broken(dev, "test");
	if (f->hold && virtq_pop(q, &f->chain) == 1) {
		f->held = true;
		f->held_head = f->chain.head;
	}
}

static void quiesce(struct virtio_dev *dev)
{
	struct fixture *f = of_dev(dev);

	f->quiesces++;
	if (f->held)
		virtq_push(&dev->queues[0], f->held_head, 11);
	f->held = false;
}

static const struct virtio_model model = {
	.name = "virtio-test",
	.id = 42,
	.serve = serve,
	.quiesce = quiesce,
};

/* Queue 2 is not bound, as if another backend ran it. */
static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	mock_env_init(&f->env);
	assert_int_equal(virtio_dev_init(&f->dev, &model, &f->env.virtio, 0, VIRTQ_FEATURES, 0,
					 QUEUES, SIZE),
			 0);
	assert_int_equal(local_backend_bind(&f->dev, 0, 2), 0);
	for (unsigned i = 0; i < QUEUES; i++)
		mock_ring_init(&f->rings[i], &f->env, SIZE);
	f->data = mock_alloc(&f->env, 4096, 4096);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	mock_driver_status(&f->dev, 0);
	virtio_dev_destroy(&f->dev);
	mock_env_destroy(&f->env);
	test_free(f);
	return 0;
}

static void bind(struct fixture *f, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		mock_ring_bind(&f->rings[i], &f->dev.queues[i]);
}

static uint8_t start(struct fixture *f)
{
	return mock_driver_start(&f->dev, &f->transport, VIRTQ_FEATURES);
}

/* Buffers made available before DRIVER_OK were not kicked: each queue is served once. */
static void test_start_serves_each_enabled_queue_once(void **state)
{
	struct fixture *f = *state;

	bind(f, 1);
	start(f);
	assert_true(f->dev.queues[0].running);
	assert_false(f->dev.queues[1].running);
	/* On the loop, not on the vCPU's thread. */
	assert_int_equal(f->serves[0], 0);
	mock_env_dispatch(&f->env);
	assert_int_equal(f->serves[0], 1);
	assert_int_equal(f->serves[1], 0);
}

static void test_kick_serves_its_queue(void **state)
{
	struct fixture *f = *state;

	bind(f, 2);
	start(f);
	mock_env_dispatch(&f->env);
	eventfd_signal(f->dev.queues[1].kick_fd);
	eventfd_signal(f->dev.queues[1].kick_fd);
	mock_env_dispatch(&f->env);
	assert_int_equal(f->serves[0], 1);
	assert_int_equal(f->serves[1], 2);
	assert_int_equal(f->dev.loop_wakeups, 3);
}

static void test_unbound_queue_is_left_alone(void **state)
{
	struct fixture *f = *state;

	bind(f, 3);
	start(f);
	assert_false(f->dev.queues[2].running);
	eventfd_signal(f->dev.queues[2].kick_fd);
	mock_env_dispatch(&f->env);
	assert_int_equal(f->serves[2], 0);
}

static void test_kick_before_start_is_not_served(void **state)
{
	struct fixture *f = *state;

	bind(f, 2);
	eventfd_signal(f->dev.queues[0].kick_fd);
	mock_env_dispatch(&f->env);
	assert_int_equal(f->serves[0], 0);
}

/* A guest that kicks endlessly is served once per turn of the loop. */
static void test_kick_during_serve_comes_back(void **state)
{
	struct fixture *f = *state;

	bind(f, 1);
	start(f);
	assert_true(mock_env_wait(&f->env, 0));
	eventfd_signal(f->dev.queues[0].kick_fd);
	assert_true(mock_env_wait(&f->env, 0));
	assert_int_equal(f->serves[0], 2);
	assert_false(mock_env_wait(&f->env, 0));
}

/* §5: reset with I/O in flight. The chain is pushed into the ring that is still mapped. */
static void test_reset_quiesces_before_the_ring_goes(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf buf = { f->data, 64, true };
	uint32_t written;
	uint16_t head;

	f->hold = true;
	bind(f, 2);
	start(f);
	mock_ring_add(&f->rings[0], &buf, 1);
	mock_env_dispatch(&f->env);
	assert_true(f->held);
	mock_driver_status(&f->dev, 0);
	assert_int_equal(f->quiesces, 1);
	assert_true(mock_ring_reap(&f->rings[0], &head, &written));
	assert_int_equal(written, 11);
	assert_false(f->dev.queues[0].running);
	assert_null(f->dev.queues[0].in_flight);
}

static void test_stopped_queue_is_not_served(void **state)
{
	struct fixture *f = *state;

	bind(f, 1);
	start(f);
	mock_env_dispatch(&f->env);
	mock_driver_status(&f->dev, 0);
	eventfd_signal(f->dev.queues[0].kick_fd);
	mock_env_dispatch(&f->env);
	assert_int_equal(f->serves[0], 1);
}

/* The loop had the kick in its batch already when the device was reset. */
static void test_late_kick_after_reset(void **state)
{
	struct fixture *f = *state;
	struct epoll_event event;
	struct loop_event *kick;

	bind(f, 1);
	start(f);
	assert_int_equal(epoll_wait(f->env.loop.epoll_fd, &event, 1, 0), 1);
	mock_driver_status(&f->dev, 0);
	kick = event.data.ptr;
	kick->fn(kick, event.events);
	assert_int_equal(f->serves[0], 0);
}

static void test_stop_is_idempotent(void **state)
{
	struct fixture *f = *state;
	struct backend *backend = f->dev.queues[0].backend;

	backend->ops->stop(backend, &f->dev);
	assert_int_equal(f->quiesces, 0);
	bind(f, 2);
	start(f);
	backend->ops->stop(backend, &f->dev);
	backend->ops->stop(backend, &f->dev);
	assert_int_equal(f->quiesces, 1);
}

static void test_broken_inside_serve(void **state)
{
	struct fixture *f = *state;

	f->broken = true;
	bind(f, 2);
	start(f);
	mock_env_dispatch(&f->env);
	assert_true(f->dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(f->serves[0] + f->serves[1], 1);
	assert_false(f->dev.queues[1].running);
	eventfd_signal(f->dev.queues[1].kick_fd);
	mock_env_dispatch(&f->env);
	assert_int_equal(f->serves[0] + f->serves[1], 1);
}

/* The second queue's rings are not in RAM: the first is stopped again. */
static void test_start_error_leaves_nothing(void **state)
{
	struct fixture *f = *state;

	bind(f, 2);
	f->dev.queues[1].state.used = MOCK_HOLE;
	assert_true(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_false(f->dev.queues[0].running);
	assert_false(f->dev.started);
	mock_env_dispatch(&f->env);
	assert_int_equal(f->serves[0], 0);
}

static void test_restart_many_times(void **state)
{
	struct fixture *f = *state;
	unsigned fds = fake_open_fds();

	for (unsigned i = 0; i < 5; i++) {
		bind(f, 2);
		start(f);
		mock_env_dispatch(&f->env);
		assert_int_equal(f->serves[0], i + 1);
		assert_int_equal(f->serves[1], i + 1);
		mock_driver_status(&f->dev, 0);
	}
	assert_int_equal(fake_open_fds(), fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_start_serves_each_enabled_queue_once),
		TEST(test_kick_serves_its_queue),
		TEST(test_unbound_queue_is_left_alone),
		TEST(test_kick_before_start_is_not_served),
		TEST(test_kick_during_serve_comes_back),
		TEST(test_reset_quiesces_before_the_ring_goes),
		TEST(test_stopped_queue_is_not_served),
		TEST(test_late_kick_after_reset),
		TEST(test_stop_is_idempotent),
		TEST(test_broken_inside_serve),
		TEST(test_start_error_leaves_nothing),
		TEST(test_restart_many_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
