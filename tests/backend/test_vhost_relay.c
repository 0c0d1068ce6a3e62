/* SPDX-License-Identifier: Apache-2.0 */
/* Rings that are passed on while writes are logged, on a fake vhost whose worker logs no data. */
#include "core/dirty.h"
#include "devices/vhost_net.h"
#include "fake_vhost.h"
#include "mock_ring.h"
#include "unit.h"

#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <string.h>

enum { RINGS = 2, SIZE = 8, TAP_FD = 1234, PAGE = 4096, MAX_SEEN = 16 };

#define BIT(n) (1ULL << (n))

static const uint64_t OFFERED = BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_RING_F_INDIRECT_DESC);

struct fixture {
	struct mock_env env;
	struct mock_transport transport;
	struct virtio_dev dev;
	struct mock_ring rings[RINGS];
	struct vhost *vhost;
	struct vhost_kind kind;
	struct fake_vhost kernel;
	struct gmem_kvm memslots;
	struct dirty_log log;
	uint64_t out; /* GPA of the data that is echoed */
	uint64_t seen[MAX_SEEN];
	unsigned seen_count;
};

static int hook(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct fixture *f = fake->hook_data;

	(void)fd;
	/* vCPUs have written nothing. */
	if (request == TUNGETIFF || request == KVM_GET_DIRTY_LOG)
		return 0;
	return fake_vhost_ioctl(&f->kernel, request, arg);
}

static void serve(struct virtio_dev *dev, struct virtq *q)
{
	(void)dev;
	(void)q;
}

static const struct virtio_model model = { .name = "virtio-some", .id = 1, .serve = serve };

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	mock_env_init(&f->env);
	fake_vhost_init(&f->kernel, &f->env.loop, OFFERED | BIT(VIRTIO_F_VERSION_1));
	f->env.fake.hook = hook;
	f->env.fake.hook_data = f;
	assert_int_equal(gmem_kvm_attach(&f->memslots, &f->env.mem, &f->env.kvm), 0);
	assert_int_equal(virtio_dev_init(&f->dev, &model, &f->env.virtio, 0, OFFERED, 0, RINGS,
					 SIZE),
			 0);
	assert_int_equal(vhost_net_open(&f->vhost, &f->env.fake.sys, -1, false), 0);
	f->kind = *f->vhost->kind;
	f->kind.logs_data = false;
	f->vhost->kind = &f->kind;
	assert_int_equal(vhost_net_bind(f->vhost, &f->dev, 0, TAP_FD), 0);
	for (unsigned i = 0; i < RINGS; i++)
		mock_ring_init(&f->rings[i], &f->env, SIZE);
	f->out = mock_alloc(&f->env, 2 * PAGE, PAGE);
	memset(gmem_ptr(&f->env.mem, f->out, PAGE), 'x', PAGE);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->env.fake.fail_at = 0;
	dirty_log_stop(&f->log);
	mock_driver_status(&f->dev, 0);
	virtio_dev_destroy(&f->dev);
	mock_env_destroy(&f->env);
	test_free(f);
	return 0;
}

static void start(struct fixture *f)
{
	for (unsigned i = 0; i < RINGS; i++)
		mock_ring_bind(&f->rings[i], &f->dev.queues[i]);
	assert_false(mock_driver_start(&f->dev, &f->transport, OFFERED) &
		     VIRTIO_CONFIG_S_NEEDS_RESET);
	mock_env_dispatch(&f->env);
}

static void log_on(struct fixture *f)
{
	assert_int_equal(dirty_log_start(&f->log, &f->memslots, &f->env.mem), 0);
}

static void add(struct fixture *f, unsigned ring, uint64_t gpa, uint32_t len)
{
	const struct mock_buf bufs[] = { { f->out, len, false }, { gpa, len, true } };

	mock_ring_add_indirect(&f->rings[ring], bufs, 2);
	mock_ring_kick(&f->rings[ring]);
}

/* The driver has it back, and was told. */
static void expect_done(struct fixture *f, unsigned ring, uint64_t gpa, uint32_t len)
{
	uint32_t written;
	uint16_t head;

	assert_true(mock_ring_reap(&f->rings[ring], &head, &written));
	assert_int_equal(written, len);
	assert_memory_equal(gmem_ptr(&f->env.mem, gpa, len), gmem_ptr(&f->env.mem, f->out, len),
			    len);
}

static void see(void *owner, uint64_t gpa)
{
	struct fixture *f = owner;

	assert_true(f->seen_count < MAX_SEEN);
	f->seen[f->seen_count++] = gpa;
}

static bool saw(const struct fixture *f, uint64_t gpa)
{
	for (unsigned i = 0; i < f->seen_count; i++)
		if (f->seen[i] == (gpa & ~(uint64_t)(PAGE - 1)))
			return true;
	return false;
}

static void read_log(struct fixture *f)
{
	f->seen_count = 0;
	assert_int_equal(dirty_log_read(&f->log, see, f), 0);
}

static void test_buffers_are_in_the_log(void **state)
{
	struct fixture *f = *state;
	uint64_t in = mock_alloc(&f->env, 4 * PAGE, PAGE);

	start(f);
	add(f, 0, in, 16);
	mock_env_dispatch(&f->env);
	expect_done(f, 0, in, 16);
	log_on(f);
	assert_int_equal(fake_vhost_running(&f->kernel), RINGS);
	assert_false(f->kernel.features & BIT(VIRTIO_RING_F_EVENT_IDX));
	mock_env_dispatch(&f->env);
	read_log(f);
	for (unsigned i = 0; i < 3 * SIZE; i++) {
		mock_ring_set_used_event(&f->rings[1], (uint16_t)i);
		add(f, 1, in + PAGE - 8, 16);
		mock_env_dispatch(&f->env);
		expect_done(f, 1, in + PAGE - 8, 16);
		assert_true(mock_irq_taken(&f->dev.queues[1].irq));
		read_log(f);
		assert_true(saw(f, in) && saw(f, in + PAGE) && saw(f, f->rings[1].used));
		assert_false(saw(f, in + 2 * PAGE) || saw(f, f->out));
		read_log(f);
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
	struct fixture *f = *state;
	uint64_t in = mock_alloc(&f->env, SIZE * PAGE, PAGE);

	start(f);
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
	struct fixture *f = *state;
	uint64_t in = mock_alloc(&f->env, PAGE, PAGE);

	log_on(f);
	for (unsigned i = 0; i < 3; i++) {
		start(f);
		add(f, 0, in, 32);
		mock_driver_status(&f->dev, 0);
		assert_int_equal(fake_vhost_running(&f->kernel), 0);
	}
	mock_env_dispatch(&f->env);
}

/* The guest's ring is checked here, too. */
static void test_damaged_ring(void **state)
{
	struct fixture *f = *state;

	log_on(f);
	start(f);
	mock_ring_offer(&f->rings[0], SIZE);
	eventfd_signal(f->dev.queues[0].kick_fd);
	mock_env_dispatch(&f->env);
	assert_true(f->dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
	mock_driver_status(&f->dev, 0);
	f->rings[0].avail_index = f->rings[0].last_used = 0;
}

/* As if its fd were closed: of a kernel that could not be stopped. */
static void end_kernel(struct fixture *f)
{
	for (unsigned i = 0; i < RINGS; i++) {
		struct vhost_vring_file none = { i, -1 };

		assert_int_equal(fake_vhost_ioctl(&f->kernel, VHOST_NET_SET_BACKEND, &none), 0);
	}
}

/* Whatever fails: the device is broken, or works. */
static void test_nth_failure(void **state)
{
	struct fixture *f = *state;
	unsigned done = 0;

	for (unsigned n = 1; !done; n++) {
		start(f);
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
