/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The saved state of the virtio core and its queues: a device goes on as another one, which has the
 * same guest's memory.
 */
#include "backend/local.h"
#include "capture.h"
#include "mock_ring.h"
#include "saved.h"
#include "unit.h"

#include <string.h>

enum {
	READY = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK,
	LIVE = READY | VIRTIO_CONFIG_S_DRIVER_OK,
	NEEDS_RESET = VIRTIO_CONFIG_S_NEEDS_RESET,
};

enum { QUEUES = 2, CONFIG_LEN = 4, MAX_SIZE = 16 };

static const uint64_t OFFERED = 1ULL << 5 | VIRTQ_FEATURES;

/* It answers each request at once, with nothing. */
struct device {
	struct virtio_dev dev;
	struct mock_transport transport;
};

struct fixture {
	struct mock_env env;
	struct device old, new;
	struct mock_ring rings[QUEUES];
	uint64_t data;
};

static void serve(struct virtio_dev *dev, struct virtq *q)
{
	struct virtq_chain chain;
	int ret;

	(void)dev;
	virtq_disable_kicks(q);
	while ((ret = virtq_pop(q, &chain)) > 0)
		virtq_push(q, chain.head, 0);
	virtio_end_turn(q, ret, "bad ring");
}

static const struct virtio_model model = { .name = "virtio-test", .id = 42, .serve = serve };
static const struct virtio_model other_model = { .name = "virtio-test", .id = 43, .serve = serve };

static void device_init(struct fixture *f, struct device *d, const struct virtio_model *kind,
			uint64_t features, unsigned queues)
{
	assert_int_equal(virtio_dev_init(&d->dev, kind, &f->env.virtio, 0, features, CONFIG_LEN,
					 queues, MAX_SIZE), 0);
	assert_int_equal(local_backend_bind(&d->dev, 0, queues), 0);
	mock_transport_init(&d->transport, &d->dev);
}

static void device_destroy(struct device *d)
{
	virtio_reset(&d->dev);
	virtio_dev_destroy(&d->dev);
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	mock_env_init(&f->env);
	device_init(f, &f->old, &model, OFFERED, QUEUES);
	device_init(f, &f->new, &model, OFFERED, QUEUES);
	for (unsigned i = 0; i < QUEUES; i++)
		mock_ring_init(&f->rings[i], &f->env, 8);
	f->data = mock_alloc(&f->env, 4096, 4096);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	device_destroy(&f->old);
	device_destroy(&f->new);
	mock_env_destroy(&f->env);
	test_free(f);
	return 0;
}

static int dev_state(void *object, struct state *state)
{
	struct virtio_dev *dev = object;
	int ret;

	pthread_mutex_lock(&dev->lock);
	ret = virtio_state(dev, state);
	pthread_mutex_unlock(&dev->lock);
	return ret;
}

/* Only queue 0 is enabled. */
static void go_live(struct fixture *f)
{
	mock_ring_bind(&f->rings[0], &f->old.dev.queues[0]);
	assert_int_equal(mock_driver_start(&f->old.dev, &f->old.transport,
					   1 << VIRTIO_RING_F_EVENT_IDX), LIVE);
	mock_env_dispatch(&f->env);
}

static void add(struct fixture *f)
{
	const struct mock_buf buf = { f->data, 8, false };

	mock_ring_add(&f->rings[0], &buf, 1);
}

static bool answered(struct fixture *f)
{
	uint16_t head;
	uint32_t written;

	mock_env_dispatch(&f->env);
	return mock_ring_reap(&f->rings[0], &head, &written);
}

static void request(struct fixture *f)
{
	add(f);
	mock_ring_kick(&f->rings[0]);
	assert_true(answered(f));
}

/* The new device becomes the old one, up to the thaw. */
static void move(struct fixture *f)
{
	struct saved saved;

	virtio_freeze(&f->old.dev);
	saved = saved_take(dev_state, &f->old.dev);
	assert_int_equal(saved_load(&saved, dev_state, &f->new.dev), 0);
	saved_free(&saved);
	f->rings[0].q = &f->new.dev.queues[0];
}

static void expect_identity(struct fixture *f)
{
	virtio_freeze(&f->old.dev);
	saved_move(dev_state, &f->old.dev, &f->new.dev);
}

/* --- Identity in each status ------------------------------------------------------------------ */

static void test_identity_at_power_on(void **state)
{
	expect_identity(*state);
}

static void test_identity_half_set_up(void **state)
{
	struct fixture *f = *state;
	struct virtq *q = &f->old.dev.queues[1];

	mock_driver_status(&f->old.dev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	/* Not settled yet: it may be anything. */
	virtio_ack_features(&f->old.dev, 0, UINT32_MAX);
	q->state.size = 2;
	q->state.vector = 1;
	q->state.avail = UINT64_MAX;
	expect_identity(f);
	assert_int_equal(f->new.dev.queues[1].state.avail, UINT64_MAX);
}

static void test_identity_live(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	request(f);
	f->old.dev.config_generation = 200;
	irq_line_raise(&f->old.dev.config_irq);
	irq_line_raise(&f->old.dev.queues[1].irq);
	expect_identity(f);
	assert_true(mock_irq_taken(&f->new.dev.config_irq));
	assert_true(mock_irq_taken(&f->new.dev.queues[1].irq));
}

static void test_identity_broken(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	mock_ring_set_avail_index(&f->rings[0], 1000);
	eventfd_signal(f->old.dev.queues[0].kick_fd);
	mock_env_dispatch(&f->env);
	assert_int_equal(f->old.dev.status, LIVE | NEEDS_RESET);
	expect_identity(f);
	virtio_thaw(&f->new.dev);
	assert_int_equal(f->new.dev.status, LIVE | NEEDS_RESET);
	assert_false(f->new.dev.started);
}

static void test_reset_leaves_what_power_on_does(void **state)
{
	struct fixture *f = *state;
	struct saved fresh = saved_take(dev_state, &f->old.dev);

	go_live(f);
	request(f);
	mock_driver_status(&f->old.dev, 0);
	saved_expect_same(&fresh, dev_state, &f->old.dev);
	saved_free(&fresh);
}

/* --- Going on --------------------------------------------------------------------------------- */

static void test_goes_on_where_it_was(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	request(f);
	request(f);
	move(f);
	assert_int_equal(f->new.dev.status, LIVE);
	assert_int_equal(f->new.dev.queues[0].state.last_avail, 2);
	assert_false(f->new.dev.started);
	virtio_thaw(&f->new.dev);
	assert_true(f->new.dev.queues[0].running);
	assert_false(f->new.dev.queues[1].running);
	request(f);
	assert_int_equal(mock_ring_used_index(&f->rings[0]), 3);
}

static void test_kick_while_frozen_is_served(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	add(f);
	move(f);
	assert_false(answered(f));
	virtio_thaw(&f->new.dev);
	assert_true(answered(f));
}

static void test_kick_while_frozen_is_served_without_a_load(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	virtio_freeze(&f->old.dev);
	add(f);
	assert_false(answered(f));
	virtio_thaw(&f->old.dev);
	assert_true(answered(f));
}

/* It may have been on its way through the kernel when the machine was saved. */
static void test_interrupts_are_raised_after_a_load(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	request(f);
	mock_irq_taken(&f->old.dev.queues[0].irq);
	move(f);
	assert_false(mock_irq_taken(&f->new.dev.queues[0].irq));
	virtio_thaw(&f->new.dev);
	assert_true(mock_irq_taken(&f->new.dev.queues[0].irq));
	assert_false(mock_irq_taken(&f->new.dev.queues[1].irq));
	assert_false(mock_irq_taken(&f->new.dev.config_irq));
	virtio_freeze(&f->new.dev);
	virtio_thaw(&f->new.dev);
	assert_false(mock_irq_taken(&f->new.dev.queues[0].irq));
}

/* A driver that is told in vain says so: Linux, of a disk, "new size". */
static void test_a_change_is_raised_after_a_load_until_it_is_read(void **state)
{
	struct fixture *f = *state;
	uint32_t word;

	go_live(f);
	virtio_config_changed(&f->old.dev);
	assert_false(irq_line_raised(&f->old.dev.config_irq)); /* it was delivered */
	expect_identity(f);
	assert_true(mock_irq_taken(&f->new.dev.config_irq));
	virtio_reset(&f->new.dev);
	virtio_config_read(&f->old.dev, 0, &word, sizeof(word));
	move(f);
	virtio_thaw(&f->new.dev);
	assert_false(mock_irq_taken(&f->new.dev.config_irq));
}

/* --- What is refused -------------------------------------------------------------------------- */

/* Fields of the section "virtio" and of an object of "virtqueue". */
enum {
	ID = 0,
	OFFERED_AT = 2,
	QUEUE_COUNT = 14,
	ACKED = 18,
	STATUS = 26,
	QUEUE_LEN = 2 * 5 + 3 * 8 + 1,
	QUEUE_SIZE = 0,
	QUEUE_ENABLED = 4,
};

static void expect_refused(struct fixture *f, struct saved *saved, const char *why)
{
	saved_refused(saved, dev_state, &f->new.dev, why);
	assert_false(f->new.dev.started);
	saved_free(saved);
}

static void refuse_byte(struct fixture *f, const char *table, unsigned off, uint8_t value,
			const char *why)
{
	struct saved saved = saved_take(dev_state, &f->old.dev);
	size_t len;

	saved_section(&saved, table, f->old.dev.name, &len)[off] = value;
	assert_true(off < len);
	expect_refused(f, &saved, why);
}

static void test_refuses_what_no_driver_can_reach(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	virtio_freeze(&f->old.dev);
	refuse_byte(f, "virtio", STATUS, 0x20 | LIVE, "unknown bits");
	refuse_byte(f, "virtio", STATUS, LIVE & ~VIRTIO_CONFIG_S_DRIVER, "without a driver");
	refuse_byte(f, "virtio", STATUS, LIVE & ~VIRTIO_CONFIG_S_FEATURES_OK,
		    "DRIVER_OK without FEATURES_OK");
	refuse_byte(f, "virtio", ACKED, 0xff, "not offered");
	refuse_byte(f, "virtqueue", QUEUE_LEN + QUEUE_SIZE, 3, "not a power of two");
	refuse_byte(f, "virtqueue", QUEUE_LEN + QUEUE_SIZE, 2 * MAX_SIZE, "queue 1 has 32 entries");
	refuse_byte(f, "virtqueue", QUEUE_ENABLED, 2, "enabled is 2");
}

static void test_refuses_another_device(void **state)
{
	struct fixture *f = *state;

	refuse_byte(f, "virtio", ID, 41, "its kind is 0x29; that of this machine is 0x2a");
	refuse_byte(f, "virtio", OFFERED_AT, 0xff, "offered is 0x");
	refuse_byte(f, "virtio", QUEUE_COUNT, 3, "queue_count");
	device_destroy(&f->old);
	device_init(f, &f->old, &other_model, OFFERED, QUEUES);
	refuse_byte(f, "virtio", STATUS, 0, "its kind is 0x2b");
}

/* A later Kinglet, or another host: the driver does not know, and keeps what it has acked. */
static void test_a_device_may_offer_more(void **state)
{
	struct fixture *f = *state;
	struct saved saved;

	go_live(f);
	virtio_freeze(&f->old.dev);
	saved = saved_take(dev_state, &f->old.dev);
	device_destroy(&f->new);
	device_init(f, &f->new, &model, OFFERED | 1ULL << 7, QUEUES);
	assert_int_equal(saved_load(&saved, dev_state, &f->new.dev), 0);
	assert_int_equal(f->new.dev.acked, f->old.dev.acked);
	saved_free(&saved);
}

/* As from a guest: the start fails, and the device is broken. */
static void test_ring_outside_ram_breaks_the_device(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	f->old.dev.queues[0].state.used = MOCK_HOLE;
	move(f);
	virtio_thaw(&f->new.dev);
	assert_int_equal(f->new.dev.status, LIVE | NEEDS_RESET);
	assert_int_equal(f->new.transport.config_changes, 1);
}

/* No state makes it crash, and none makes it run that it does not also run when thawed. */
static void test_any_byte_changed(void **state)
{
	struct fixture *f = *state;
	struct saved saved;
	struct capture capture;
	uint8_t *at;
	char text[2048];

	go_live(f);
	request(f);
	virtio_freeze(&f->old.dev);
	saved = saved_take(dev_state, &f->old.dev);
	capture_stderr_begin(&capture);
	for (size_t i = 0; (at = saved_byte(&saved, i)); i++) {
		for (unsigned flip = 1; flip <= UINT8_MAX; flip++) {
			*at ^= (uint8_t)flip;
			if (!saved_load(&saved, dev_state, &f->new.dev))
				virtio_thaw(&f->new.dev);
			mock_env_dispatch(&f->env);
			*at ^= (uint8_t)flip;
			device_destroy(&f->new);
			device_init(f, &f->new, &model, OFFERED, QUEUES);
		}
	}
	capture_stderr_end(&capture, text, sizeof(text));
	saved_free(&saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_identity_at_power_on),
		TEST(test_identity_half_set_up),
		TEST(test_identity_live),
		TEST(test_identity_broken),
		TEST(test_reset_leaves_what_power_on_does),
		TEST(test_goes_on_where_it_was),
		TEST(test_kick_while_frozen_is_served),
		TEST(test_kick_while_frozen_is_served_without_a_load),
		TEST(test_interrupts_are_raised_after_a_load),
		TEST(test_a_change_is_raised_after_a_load_until_it_is_read),
		TEST(test_refuses_what_no_driver_can_reach),
		TEST(test_refuses_another_device),
		TEST(test_a_device_may_offer_more),
		TEST(test_ring_outside_ram_breaks_the_device),
		TEST(test_any_byte_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
