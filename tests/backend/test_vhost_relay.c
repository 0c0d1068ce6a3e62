/* SPDX-License-Identifier: Apache-2.0 */
/* Rings that are passed on while writes are logged, on a fake vhost whose worker logs no data. */
#include "unit.h"
#include "vhost_rig.h"

#include <linux/vhost.h>

static const uint64_t OFFERED = BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_RING_F_INDIRECT_DESC);

static int setup(void **state)
{
	*state = vhost_rig_new(OFFERED, 0, false);
	return 0;
}

static int teardown(void **state)
{
	(void)vhost_rig_free(*state);
	return 0;
}

static void log_on(struct vhost_rig *f)
{
	assert_int_equal(dirty_log_start(&f->log, &f->memslots, &f->env.mem), 0);
}

static void add(struct vhost_rig *f, unsigned ring, uint64_t gpa, uint32_t len)
{
	const struct mock_buf bufs[] = { { f->out, len, false }, { gpa, len, true } };

	mock_ring_add_indirect(&f->rings[ring], bufs, 2);
	mock_ring_kick(&f->rings[ring]);
}

/* The driver has it back, and was told. */
static void expect_done(struct vhost_rig *f, unsigned ring, uint64_t gpa, uint32_t len)
{
	uint32_t written;
	uint16_t head;

	assert_true(mock_ring_reap(&f->rings[ring], &head, &written));
	assert_int_equal(written, len);
	assert_memory_equal(gmem_ptr(&f->env.mem, gpa, len), gmem_ptr(&f->env.mem, f->out, len),
			    len);
}

static bool saw(const struct vhost_rig *f, uint64_t gpa)
{
	for (unsigned i = 0; i < f->seen_count; i++)
		if (f->seen[i] == page_of(gpa))
			return true;
	return false;
}

static void test_buffers_are_in_the_log(void **state)
{
	struct vhost_rig *f = *state;
	uint64_t in = mock_alloc(&f->env, 4 * PAGE, PAGE);

	vhost_rig_start(f);
	add(f, 0, in, 16);
	mock_env_dispatch(&f->env);
	expect_done(f, 0, in, 16);
	log_on(f);
	assert_int_equal(fake_vhost_running(&f->kernel), RINGS);
	assert_false(f->kernel.features & BIT(VIRTIO_RING_F_EVENT_IDX));
	mock_env_dispatch(&f->env);
	vhost_rig_read_log(f);
	for (unsigned i = 0; i < 3 * SIZE; i++) {
		mock_ring_set_used_event(&f->rings[1], (uint16_t)i);
		add(f, 1, in + PAGE - 8, 16);
		mock_env_dispatch(&f->env);
		expect_done(f, 1, in + PAGE - 8, 16);
		assert_true(mock_irq_taken(&f->dev.queues[1].irq));
		vhost_rig_read_log(f);
		assert_true(saw(f, in) && saw(f, in + PAGE) && saw(f, f->rings[1].used));
		assert_false(saw(f, in + 2 * PAGE) || saw(f, f->out));
		vhost_rig_read_log(f);
		assert_int_equal(f->seen_count, 0);
	}
	dirty_log_stop(&f->log);
	assert_true(f->kernel.features & BIT(VIRTIO_RING_F_EVENT_IDX));
	add(f, 1, in, 16);
	mock_env_dispatch(&f->env);
	expect_done(f, 1, in, 16);
}

/* Chains of before the change, and those that the kernel has not taken, are not lost. */
static void test_on_and_off_at_any_moment(void **state)
{
	struct vhost_rig *f = *state;
	uint64_t in = mock_alloc(&f->env, SIZE * PAGE, PAGE);

	vhost_rig_start(f);
	for (unsigned i = 0; i < 1000; i++) {
		unsigned steps = i % 7;

		for (unsigned n = 0; n <= i % 3; n++)
			add(f, 0, in + n * PAGE, 32);
		while (steps-- && mock_env_wait(&f->env, 0))
			;
		if (i & 1)
			dirty_log_stop(&f->log);
		else
			log_on(f);
		virtio_freeze(&f->dev);
		assert_int_equal(f->dev.queues[0].state.last_avail,
				 f->dev.queues[0].state.used_index);
		virtio_thaw(&f->dev);
		mock_env_dispatch(&f->env);
		for (unsigned n = 0; n <= i % 3; n++)
			expect_done(f, 0, in + n * PAGE, 32);
		assert_false(f->dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
	}
}

static void test_reset_meanwhile(void **state)
{
	struct vhost_rig *f = *state;
	uint64_t in = mock_alloc(&f->env, PAGE, PAGE);

	log_on(f);
	for (unsigned i = 0; i < 3; i++) {
		vhost_rig_start(f);
		add(f, 0, in, 32);
		mock_driver_status(&f->dev, 0);
		assert_int_equal(fake_vhost_running(&f->kernel), 0);
	}
	mock_env_dispatch(&f->env);
}

/* The guest's ring is checked here, too. */
static void test_damaged_ring(void **state)
{
	struct vhost_rig *f = *state;

	log_on(f);
	vhost_rig_start(f);
	mock_ring_offer(&f->rings[0], SIZE);
	eventfd_signal(f->dev.queues[0].kick_fd);
	mock_env_dispatch(&f->env);
	assert_true(f->dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
	mock_driver_status(&f->dev, 0);
	f->rings[0].avail_index = f->rings[0].last_used = 0;
}

/* As if its fd were closed: of a kernel that could not be stopped. */
static void end_kernel(struct vhost_rig *f)
{
	for (unsigned i = 0; i < RINGS; i++) {
		struct vhost_vring_file none = { i, -1 };

		assert_int_equal(fake_vhost_ioctl(&f->kernel, VHOST_NET_SET_BACKEND, &none), 0);
	}
}

/* Whatever fails: the device is broken, or works. */
static void test_nth_failure(void **state)
{
	struct vhost_rig *f = *state;
	unsigned done = 0;

	for (unsigned n = 1; !done; n++) {
		vhost_rig_start(f);
		f->env.fake.fail_at = f->env.fake.calls + n;
		if (!dirty_log_start(&f->log, &f->memslots, &f->env.mem))
			done = !(f->dev.status & VIRTIO_CONFIG_S_NEEDS_RESET) &&
			       f->env.fake.calls < f->env.fake.fail_at;
		f->env.fake.fail_at = 0;
		dirty_log_stop(&f->log);
		mock_env_dispatch(&f->env);
		mock_driver_status(&f->dev, 0);
		end_kernel(f);
		assert_true(n < 200);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_buffers_are_in_the_log, setup, teardown),
		cmocka_unit_test_setup_teardown(test_on_and_off_at_any_moment, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reset_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_ring, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nth_failure, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
