/* SPDX-License-Identifier: Apache-2.0 */
/* vhost's ioctls and their order, on a fake kernel; vhost-net stands for all kinds. */
#include "devices/vhost_net.h"
#include "capture.h"
#include "fake_vhost.h"
#include "mock_ring.h"
#include "unit.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { QUEUES = 3, RX = 0, TX = 1, OTHER = 2, SIZE = 8, TAP_FD = 1234 };

#define BIT(n) (1ULL << (n))

static const uint64_t RING_BITS =
	BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX);
static const uint64_t KERNEL_FEATURES =
	BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX) |
	BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_F_NOTIFY_ON_EMPTY) | BIT(VHOST_F_LOG_ALL) |
	BIT(VHOST_NET_F_VIRTIO_NET_HDR) | BIT(VIRTIO_F_ACCESS_PLATFORM);
static const uint64_t OFFERED = BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_CSUM) |
				BIT(VIRTIO_NET_F_MRG_RXBUF) | VIRTQ_FEATURES;

struct fixture {
	struct mock_env env;
	struct mock_transport transport;
	struct virtio_dev dev;
	struct mock_ring rings[QUEUES];
	struct vhost *vhost;
	struct fake_vhost kernel;
	bool tap_gone;
	unsigned long refused; /* fails with EIO */
};

static int vhost_hook(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct fixture *f = fake->hook_data;

	if (request == f->refused)
		return -EIO;
	if (request == TUNGETIFF)
		return f->tap_gone && fd == TAP_FD ? -EBADFD : 0;
	/* vhost_poll_start() */
	if (request == VHOST_NET_SET_BACKEND && f->tap_gone &&
	    ((struct vhost_vring_file *)arg)->fd >= 0)
		return -EINVAL;
	return fake_vhost_ioctl(&f->kernel, request, arg);
}

/* The queue that vhost does not run; never started by these tests. */
static void serve(struct virtio_dev *dev, struct virtq *q)
{
	(void)dev;
	(void)q;
}

static const struct virtio_model model = { .name = "virtio-net", .id = 1, .serve = serve };

/* Opened and bound; nothing enabled. */
static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	mock_env_init(&f->env);
	/* Without a worker: the rings are checked as they were set up. */
	fake_vhost_init(&f->kernel, NULL, KERNEL_FEATURES);
	f->env.fake.hook = vhost_hook;
	f->env.fake.hook_data = f;
	assert_int_equal(virtio_dev_init(&f->dev, &model, &f->env.virtio, 0, OFFERED, 0, QUEUES,
					 SIZE),
			 0);
	assert_int_equal(vhost_net_open(&f->vhost, &f->env.fake.sys, -1, false), 0);
	assert_int_equal(vhost_net_bind(f->vhost, &f->dev, RX, TAP_FD), 0);
	for (unsigned i = 0; i < QUEUES; i++)
		mock_ring_init(&f->rings[i], &f->env, SIZE);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->env.fake.fail_at = 0;
	mock_driver_status(&f->dev, 0);
	virtio_dev_destroy(&f->dev);
	/* It would disown vhost with a ring half set up. */
	assert_int_equal(fake_sys_count(&f->env.fake, VHOST_RESET_OWNER), 0);
	mock_env_destroy(&f->env);
	test_free(f);
	return 0;
}

static uint8_t start(struct fixture *f)
{
	mock_ring_bind(&f->rings[RX], &f->dev.queues[RX]);
	mock_ring_bind(&f->rings[TX], &f->dev.queues[TX]);
	return mock_driver_start(&f->dev, &f->transport, OFFERED);
}

static void forget_requests(struct fixture *f)
{
	f->env.fake.request_count = 0;
}

static void expect_requests(const struct fixture *f, const unsigned long *expected, unsigned count)
{
	assert_int_equal(f->env.fake.request_count, count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(f->env.fake.requests[i], expected[i]);
}

static bool in_loop(struct fixture *f, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (epoll_ctl(f->env.loop.epoll_fd, EPOLL_CTL_ADD, fd, &event))
		return true;
	epoll_ctl(f->env.loop.epoll_fd, EPOLL_CTL_DEL, fd, &event);
	return false;
}

/* Nothing runs, and none of our eventfds is in the kernel or in the loop. */
static void expect_stopped(struct fixture *f)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct fake_vring *ring = &f->kernel.rings[i];

		assert_int_equal(ring->backend, -1);
		assert_int_equal(ring->kick, -1);
		assert_int_equal(ring->call, -1);
		assert_int_equal(ring->err, -1);
		assert_false(f->dev.queues[i].running);
		assert_false(in_loop(f, f->vhost->rings[i].error.fd));
	}
	assert_false(f->vhost->started);
}

/* --- Start ------------------------------------------------------------------------------------ */

static void test_nothing_but_the_owner_before_driver_ok(void **state)
{
	static const unsigned long expected[] = { VHOST_SET_OWNER, VHOST_GET_FEATURES };
	struct fixture *f = *state;
	unsigned seen = 0;

	mock_ring_bind(&f->rings[RX], &f->dev.queues[RX]);
	mock_transport_init(&f->transport, &f->dev);
	mock_driver_status(&f->dev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	mock_driver_status(&f->dev, VIRTIO_CONFIG_S_DRIVER);
	f->dev.acked = OFFERED | BIT(VIRTIO_F_VERSION_1);
	mock_driver_status(&f->dev, VIRTIO_CONFIG_S_FEATURES_OK);
	assert_true(f->dev.status & VIRTIO_CONFIG_S_FEATURES_OK);
	for (unsigned i = 0; i < f->env.fake.request_count; i++) {
		if (_IOC_TYPE(f->env.fake.requests[i]) != VHOST_VIRTIO)
			continue;
		if (seen < ARRAY_SIZE(expected))
			assert_int_equal(f->env.fake.requests[i], expected[seen]);
		seen++;
	}
	assert_int_equal(seen, ARRAY_SIZE(expected));
}

#define RING_START                                                                                 \
	VHOST_SET_VRING_NUM, VHOST_SET_VRING_BASE, VHOST_SET_VRING_ADDR, VHOST_SET_VRING_ERR,      \
		VHOST_SET_VRING_CALL, VHOST_SET_VRING_KICK
#define RING_STOP                                                                                  \
	VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR, VHOST_GET_VRING_BASE

static void test_start_order(void **state)
{
	static const unsigned long expected[] = {
		VHOST_SET_FEATURES, VHOST_SET_MEM_TABLE,   RING_START,
		RING_START,	    VHOST_NET_SET_BACKEND, VHOST_NET_SET_BACKEND,
	};
	struct fixture *f = *state;

	forget_requests(f);
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	expect_requests(f, expected, ARRAY_SIZE(expected));
}

static void test_polls_where_asked(void **state)
{
	static const unsigned long expected[] = {
		VHOST_SET_FEATURES,    VHOST_SET_MEM_TABLE,
		RING_START,	       RING_START,
		VHOST_SET_VRING_BUSYLOOP_TIMEOUT, VHOST_NET_SET_BACKEND,
		VHOST_SET_VRING_BUSYLOOP_TIMEOUT, VHOST_NET_SET_BACKEND,
	};
	struct fixture *f = *state;

	vhost_net_poll(f->vhost, 50);
	forget_requests(f);
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	expect_requests(f, expected, ARRAY_SIZE(expected));
	assert_int_equal(f->kernel.rings[0].poll_us, 50);
	assert_int_equal(f->kernel.rings[1].poll_us, 50);
}

/* vhost refuses unknown bits; it must not use what the driver did not ack. */
static void test_features_are_the_acked_ones_that_vhost_knows(void **state)
{
	struct fixture *f = *state;

	start(f);
	assert_int_equal(f->kernel.features, RING_BITS | BIT(VIRTIO_NET_F_MRG_RXBUF));
	mock_driver_status(&f->dev, 0);

	mock_ring_bind(&f->rings[RX], &f->dev.queues[RX]);
	mock_driver_start(&f->dev, &f->transport, BIT(VIRTIO_NET_F_CSUM));
	assert_int_equal(f->kernel.features, BIT(VIRTIO_F_VERSION_1));
}

static void test_rings_as_the_driver_made_them(void **state)
{
	struct fixture *f = *state;

	f->dev.queues[TX].state.last_avail = 65535;
	start(f);
	for (unsigned i = 0; i < 2; i++) {
		const struct fake_vring *ring = &f->kernel.rings[i];
		const struct virtq *q = &f->dev.queues[i];
		const struct mock_ring *mock = &f->rings[i];

		assert_int_equal(ring->num, SIZE);
		assert_int_equal(ring->addr.flags, 0);
		assert_ptr_equal(ring->addr.desc_user_addr,
				 gmem_ptr(&f->env.mem, mock->desc, 16));
		assert_ptr_equal(ring->addr.avail_user_addr,
				 gmem_ptr(&f->env.mem, mock->avail, 4));
		assert_ptr_equal(ring->addr.used_user_addr, gmem_ptr(&f->env.mem, mock->used, 4));
		assert_int_equal(ring->kick, q->kick_fd);
		assert_int_equal(ring->call, q->irq.fd);
		assert_int_equal(ring->err, f->vhost->rings[i].error.fd);
		assert_int_equal(ring->backend, TAP_FD);
		assert_true(q->running);
	}
	assert_int_equal(f->kernel.rings[RX].base, 0);
	assert_int_equal(f->kernel.rings[TX].base, 65535);
	assert_false(f->dev.queues[OTHER].running);
}

/* vhost cannot poll it, but the card starts, without a message. */
static void test_tap_that_is_gone(void **state)
{
	struct fixture *f = *state;
	struct capture capture;

	f->tap_gone = true;
	capture_stderr_begin(&capture);
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	mock_driver_status(&f->dev, 0);
	capture_expect_all(&capture, "");
	expect_stopped(f);
}

static void test_queue_not_enabled_is_left_alone(void **state)
{
	static const unsigned long expected[] = {
		VHOST_SET_FEATURES, VHOST_SET_MEM_TABLE, RING_START, VHOST_NET_SET_BACKEND,
	};
	static const unsigned long stop[] = { VHOST_NET_SET_BACKEND, RING_STOP };
	struct fixture *f = *state;

	mock_ring_bind(&f->rings[TX], &f->dev.queues[TX]);
	forget_requests(f);
	mock_driver_start(&f->dev, &f->transport, OFFERED);
	expect_requests(f, expected, ARRAY_SIZE(expected));
	assert_int_equal(f->kernel.rings[RX].kick, -1);
	assert_false(f->dev.queues[RX].running);
	forget_requests(f);
	mock_driver_status(&f->dev, 0);
	expect_requests(f, stop, ARRAY_SIZE(stop));
}

/* The model bound the queue to another backend, which has started it. */
static void test_queue_bound_elsewhere_is_left_alone(void **state)
{
	static const struct backend_ops ops = { .name = "other" };
	struct backend other = { .ops = &ops };
	struct fixture *f = *state;

	mock_ring_bind(&f->rings[RX], &f->dev.queues[RX]);
	mock_ring_bind(&f->rings[TX], &f->dev.queues[TX]);
	f->dev.queues[TX].backend = &other;
	f->dev.queues[TX].running = true;
	assert_int_equal(vhost_start(&f->vhost->backend, &f->dev), 0);
	assert_true(f->dev.queues[RX].running);
	assert_int_equal(f->kernel.rings[TX].kick, -1);
	assert_int_equal(f->kernel.rings[TX].backend, -1);
	vhost_stop(&f->vhost->backend, &f->dev);
	assert_true(f->dev.queues[TX].running);
	f->dev.queues[TX].running = false;
	f->dev.queues[TX].backend = &f->vhost->backend;
	expect_stopped(f);
}

static void test_ring_outside_ram(void **state)
{
	struct fixture *f = *state;

	mock_ring_bind(&f->rings[RX], &f->dev.queues[RX]);
	f->dev.queues[RX].state.used = MOCK_HOLE - 8;
	forget_requests(f);
	assert_true(mock_driver_start(&f->dev, &f->transport, OFFERED) &
		    VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(fake_sys_count(&f->env.fake, VHOST_SET_VRING_ADDR), 0);
	expect_stopped(f);
}

/* --- Stop ------------------------------------------------------------------------------------- */

static void test_stop_order(void **state)
{
	static const unsigned long expected[] = {
		VHOST_NET_SET_BACKEND, VHOST_NET_SET_BACKEND, RING_STOP, RING_STOP,
	};
	struct fixture *f = *state;

	start(f);
	forget_requests(f);
	mock_driver_status(&f->dev, 0);
	expect_requests(f, expected, ARRAY_SIZE(expected));
	expect_stopped(f);
}

static void test_stop_is_idempotent(void **state)
{
	struct fixture *f = *state;

	forget_requests(f);
	vhost_stop(&f->vhost->backend, &f->dev);
	assert_int_equal(f->env.fake.request_count, 0);
	start(f);
	vhost_stop(&f->vhost->backend, &f->dev);
	forget_requests(f);
	vhost_stop(&f->vhost->backend, &f->dev);
	assert_int_equal(f->env.fake.request_count, 0);
}

static void test_position_in_the_ring_survives_stop_and_start(void **state)
{
	struct fixture *f = *state;

	start(f);
	f->kernel.rings[RX].base = 65534;
	f->kernel.rings[TX].base = 65533;
	vhost_stop(&f->vhost->backend, &f->dev);
	assert_int_equal(f->dev.queues[RX].state.last_avail, 65534);
	assert_int_equal(f->dev.queues[TX].state.used_index, 65533);
	assert_int_equal(vhost_start(&f->vhost->backend, &f->dev), 0);
	assert_int_equal(f->kernel.rings[RX].base, 65534);
	assert_int_equal(f->kernel.rings[TX].base, 65533);

	mock_driver_status(&f->dev, 0);
	start(f);
	assert_int_equal(f->kernel.rings[RX].base, 0);
}

static void test_freeze_and_thaw(void **state)
{
	struct fixture *f = *state;
	struct virtq *q = &f->dev.queues[TX];

	start(f);
	f->kernel.rings[TX].base = 7;
	eventfd_drain(q->kick_fd);
	virtio_freeze(&f->dev);
	expect_stopped(f);
	assert_int_equal(q->state.last_avail, 7);
	virtio_thaw(&f->dev);
	assert_int_equal(f->kernel.rings[TX].base, 7);
	assert_int_equal(f->kernel.rings[TX].backend, TAP_FD);
	/* For what arrived meanwhile. */
	assert_true(eventfd_drain(q->kick_fd));
}

/* Started again from an old position it would use the driver's buffers twice. */
static void test_freeze_without_a_position_breaks_the_device(void **state)
{
	struct fixture *f = *state;

	start(f);
	f->refused = VHOST_GET_VRING_BASE;
	virtio_freeze(&f->dev);
	expect_stopped(f);
	assert_true(f->dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
	virtio_thaw(&f->dev);
	expect_stopped(f);
}

static void test_restart_many_times(void **state)
{
	struct fixture *f = *state;
	unsigned fds = fake_open_fds();

	for (unsigned i = 0; i < 5; i++) {
		assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
		mock_driver_status(&f->dev, 0);
		expect_stopped(f);
	}
	assert_int_equal(fake_open_fds(), fds);
}

/* --- Memory table ----------------------------------------------------------------------------- */

static void expect_table(const struct fixture *f, unsigned count)
{
	assert_int_equal(f->kernel.memory.nregions, count);
	assert_int_equal(f->kernel.memory.padding, 0);
	for (unsigned i = 0; i < count; i++) {
		const struct vhost_memory_region *region = &f->kernel.regions[i];
		const struct gmem_slot *slot = &f->env.mem.slots[i];

		assert_int_equal(region->guest_phys_addr, slot->gpa);
		assert_int_equal(region->memory_size, slot->len);
		assert_int_equal(region->userspace_addr, (uintptr_t)slot->hva);
		assert_int_equal(region->flags_padding, 0);
	}
}

static const struct gmem_slot new_slot = { .gpa = 1ULL << 32, .len = 4096, .hva = (uint8_t *)4096 };

static void test_memory_table_is_guest_ram(void **state)
{
	struct fixture *f = *state;

	start(f);
	expect_table(f, 3);
}

static void test_memory_changes_while_running(void **state)
{
	struct fixture *f = *state;
	struct gmem_listener *listener = &f->vhost->listener;

	start(f);
	assert_int_equal(listener->add(listener, &new_slot), 0);
	assert_int_equal(f->kernel.memory.nregions, 4);
	assert_int_equal(f->kernel.regions[3].guest_phys_addr, new_slot.gpa);
	assert_int_equal(f->kernel.regions[3].userspace_addr, 4096);
	listener->remove(listener, &new_slot);
	expect_table(f, 3);
	listener->remove(listener, &f->env.mem.slots[0]);
	assert_int_equal(f->kernel.memory.nregions, 2);
	for (unsigned i = 0; i < 2; i++)
		assert_int_not_equal(f->kernel.regions[i].guest_phys_addr, 0);
}

static void test_memory_changes_while_stopped(void **state)
{
	struct fixture *f = *state;
	struct gmem_listener *listener = &f->vhost->listener;

	forget_requests(f);
	assert_int_equal(listener->add(listener, &new_slot), 0);
	assert_int_equal(f->env.fake.request_count, 0);
	start(f);
	assert_int_equal(f->kernel.memory.nregions, 4);
	mock_driver_status(&f->dev, 0);
	listener->remove(listener, &new_slot);
	start(f);
	expect_table(f, 3);
}

static void test_refused_memory_is_not_added(void **state)
{
	struct fixture *f = *state;
	struct gmem_listener *listener = &f->vhost->listener;

	start(f);
	f->env.fake.fail_at = f->env.fake.calls + 1;
	assert_int_equal(listener->add(listener, &new_slot), -EIO);
	mock_driver_status(&f->dev, 0);
	start(f);
	expect_table(f, 3);
	for (unsigned i = 3; i < GMEM_MAX_SLOTS; i++)
		assert_int_equal(listener->add(listener, &new_slot), 0);
	assert_int_equal(listener->add(listener, &new_slot), -ENOSPC);
}

/* vhost would continue to write to memory that may be reused. */
static void test_memory_that_vhost_keeps_breaks_the_device(void **state)
{
	struct fixture *f = *state;
	struct gmem_listener *listener = &f->vhost->listener;

	start(f);
	f->env.fake.fail_at = f->env.fake.calls + 1;
	listener->remove(listener, &f->env.mem.slots[2]);
	assert_true(f->dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
	expect_stopped(f);
}

/* --- Errors ----------------------------------------------------------------------------------- */

static void test_ring_error_needs_reset(void **state)
{
	struct fixture *f = *state;

	start(f);
	eventfd_signal(f->dev.queues[TX].kick_fd);
	mock_env_dispatch(&f->env);
	assert_false(f->dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(f->dev.loop_wakeups, 0);
	eventfd_signal(f->kernel.rings[TX].err);
	mock_env_dispatch(&f->env);
	assert_int_equal(f->dev.loop_wakeups, 1);
	assert_true(f->dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(f->transport.config_changes, 1);
	expect_stopped(f);
	mock_driver_status(&f->dev, 0);
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* The loop had the error in its batch already when the device was reset. */
static void test_late_ring_error_after_reset(void **state)
{
	struct fixture *f = *state;
	struct epoll_event event;
	struct loop_event *error;

	start(f);
	eventfd_signal(f->kernel.rings[RX].err);
	assert_int_equal(epoll_wait(f->env.loop.epoll_fd, &event, 1, 0), 1);
	mock_driver_status(&f->dev, 0);
	start(f);
	error = event.data.ptr;
	error->fn(error, event.events);
	assert_false(f->dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void test_nth_failure_at_start(void **state)
{
	struct fixture *f = *state;
	unsigned fds = fake_open_fds();

	for (unsigned n = 1; n <= 2 + 2 * 6 + 2; n++) {
		f->env.fake.fail_at = f->env.fake.calls + n;
		assert_true(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
		expect_stopped(f);
		assert_false(f->dev.started);
		assert_int_equal(fake_open_fds(), fds);
		f->env.fake.fail_at = 0;
		mock_driver_status(&f->dev, 0);
	}
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* The error cannot be handled, but our side is stopped as usual, and the rest is unbound. */
static void test_nth_failure_at_stop(void **state)
{
	struct fixture *f = *state;

	for (unsigned n = 1; n <= 2 + 2 * 4; n++) {
		unsigned held = 0;

		assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
		f->env.fake.fail_at = f->env.fake.calls + n;
		mock_driver_status(&f->dev, 0);
		for (unsigned i = 0; i < 2; i++) {
			struct fake_vring *ring = &f->kernel.rings[i];

			held += (ring->backend >= 0) + (ring->kick >= 0) + (ring->call >= 0) +
				(ring->err >= 0);
			assert_false(f->dev.queues[i].running);
			assert_false(in_loop(f, f->vhost->rings[i].error.fd));
			ring->backend = -1;
		}
		assert_true(held <= 1);
	}
}

static void test_nth_failure_at_open(void **state)
{
	struct fixture *f = *state;
	unsigned fds = fake_open_fds();
	struct vhost *vhost;

	for (unsigned n = 1; n <= 3; n++) {
		f->env.fake.fail_at = f->env.fake.calls + n;
		assert_int_equal(vhost_net_open(&vhost, &f->env.fake.sys, -1, false), -EIO);
		assert_int_equal(fake_open_fds(), fds);
	}
	f->env.fake.fail_at = 0;
	assert_int_equal(vhost_net_open(&vhost, &f->env.fake.sys, -1, false), 0);
	vhost_free(vhost);
	assert_int_equal(fake_open_fds(), fds);
}

static void expect_open_line(struct fixture *f, int error, bool optional, const char *line)
{
	struct capture capture;
	struct vhost *vhost;
	int ret;

	f->env.fake.fail_at = f->env.fake.calls + 1;
	f->env.fake.fail_errno = error;
	capture_stderr_begin(&capture);
	ret = vhost_net_open(&vhost, &f->env.fake.sys, -1, optional);
	capture_expect_all(&capture, line);
	assert_int_equal(ret, -error);
}

static void test_open_says_what_is_missing(void **state)
{
	struct fixture *f = *state;

	expect_open_line(f, ENOENT, false,
			 "kinglet: vhost-net: /dev/vhost-net: No such file or directory "
			 "(modprobe vhost_net)\n");
	expect_open_line(f, ENODEV, false,
			 "kinglet: vhost-net: /dev/vhost-net: No such device "
			 "(modprobe vhost_net)\n");
	expect_open_line(f, EACCES, false,
			 "kinglet: vhost-net: /dev/vhost-net: Permission denied "
			 "(needs read and write permission on it)\n");
	expect_open_line(f, EMFILE, false,
			 "kinglet: vhost-net: /dev/vhost-net: Too many open files\n");
	expect_open_line(f, ENOENT, true,
			 "kinglet: warning: vhost-net: /dev/vhost-net: No such file or directory "
			 "(modprobe vhost_net): Kinglet serves the queues itself\n");
	f->env.fake.has_sysfs = true;
	expect_open_line(f, ENOENT, false,
			 "kinglet: vhost-net: /dev/vhost-net: No such file or directory "
			 "(the module is loaded, but this /dev has no node of it)\n");
}

static void expect_adopt_line(struct fixture *f, int fd, int error, const char *line)
{
	struct capture capture;
	struct vhost *vhost;
	int ret;

	capture_stderr_begin(&capture);
	ret = vhost_net_open(&vhost, &f->env.fake.sys, fd, false);
	capture_expect_all(&capture, line);
	assert_int_equal(ret, error);
}

static void test_inherited_fd(void **state)
{
	struct fixture *f = *state;
	unsigned fds = fake_open_fds();
	int fd = open("/dev/null", O_RDWR); /* NOLINT(android-cloexec-open): as inherited */
	struct vhost *vhost;

	assert_int_equal(vhost_net_open(&vhost, &f->env.fake.sys, fd, false), 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	expect_adopt_line(f, 1000, -EBADF,
			  "kinglet: vhost-net: fd 1000: not inherited; open /dev/vhost-net on "
			  "this number before\n");
	vhost_free(vhost);
	assert_int_equal(fake_open_fds(), fds);
}

static void test_inherited_fd_of_something_else(void **state)
{
	static const struct {
		int error;
		const char *why;
	} cases[] = {
		{ EBUSY, "Device or resource busy (another process uses it)" },
		{ ENOTTY, "Inappropriate ioctl for device (not of this device)" },
	};
	struct fixture *f = *state;
	unsigned fds = fake_open_fds();

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		int fd = open("/dev/null", O_RDWR); /* NOLINT(android-cloexec-open) */
		char line[128];

		f->env.fake.fail_at = f->env.fake.calls + 1;
		f->env.fake.fail_errno = cases[i].error;
		snprintf(line, sizeof(line), "kinglet: vhost-net: fd %d: VHOST_SET_OWNER: %s\n",
			 fd, cases[i].why);
		expect_adopt_line(f, fd, -cases[i].error, line);
		assert_int_equal(fake_open_fds(), fds);
	}
}

/* Each is two lines: the ioctl, and what it means for the device. */
static void test_failures_fill_no_log(void **state)
{
	struct fixture *f = *state;
	struct capture capture;
	unsigned lines = 0;
	char text[8192];

	capture_stderr_begin(&capture);
	for (unsigned i = 0; i < 100; i++) {
		f->env.fake.fail_at = f->env.fake.calls + 1;
		start(f);
		mock_driver_status(&f->dev, 0);
	}
	capture_stderr_end(&capture, text, sizeof(text));
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, 2 * VIRTIO_COMPLAINTS_MAX);
}

static void test_failed_ioctl_is_named(void **state)
{
	struct fixture *f = *state;
	struct capture capture;

	f->env.fake.fail_at = f->env.fake.calls + 5;
	capture_stderr_begin(&capture);
	start(f);
	capture_expect(&capture, "virtio-net 0: VHOST_SET_VRING_ADDR: Input/output error\n");
}

/* --- vhost-net -------------------------------------------------------------------------------- */

/* Features that the kernel implements must be offered by it; those of tap and VMM pass. */
static void test_net_features(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(vhost_net_features(f->vhost) & OFFERED, OFFERED);
	f->vhost->features &= ~BIT(VIRTIO_NET_F_MRG_RXBUF) & ~BIT(VIRTIO_RING_F_EVENT_IDX);
	assert_int_equal(vhost_net_features(f->vhost) & OFFERED,
			 BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_CSUM) |
				 BIT(VIRTIO_RING_F_INDIRECT_DESC));
}

static void test_failed_binding_is_logged(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit, none;
	struct capture capture;
	struct vhost *vhost;
	char text[200];
	int ret;

	assert_int_equal(vhost_net_open(&vhost, &f->env.fake.sys, -1, false), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = STDERR_FILENO + 1;
	capture_stderr_begin(&capture);
	setrlimit(RLIMIT_NOFILE, &none);
	ret = vhost_net_bind(vhost, &f->dev, RX, TAP_FD);
	setrlimit(RLIMIT_NOFILE, &limit);
	capture_stderr_end(&capture, text, sizeof(text));
	assert_int_equal(ret, -EMFILE);
	assert_non_null(strstr(text, f->dev.name));
	assert_non_null(strstr(text, "vhost-net: Too many open files"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_but_the_owner_before_driver_ok),
		TEST(test_start_order),
		TEST(test_polls_where_asked),
		TEST(test_features_are_the_acked_ones_that_vhost_knows),
		TEST(test_rings_as_the_driver_made_them),
		TEST(test_tap_that_is_gone),
		TEST(test_queue_not_enabled_is_left_alone),
		TEST(test_queue_bound_elsewhere_is_left_alone),
		TEST(test_ring_outside_ram),
		TEST(test_stop_order),
		TEST(test_stop_is_idempotent),
		TEST(test_position_in_the_ring_survives_stop_and_start),
		TEST(test_freeze_and_thaw),
		TEST(test_freeze_without_a_position_breaks_the_device),
		TEST(test_restart_many_times),
		TEST(test_memory_table_is_guest_ram),
		TEST(test_memory_changes_while_running),
		TEST(test_memory_changes_while_stopped),
		TEST(test_refused_memory_is_not_added),
		TEST(test_memory_that_vhost_keeps_breaks_the_device),
		TEST(test_ring_error_needs_reset),
		TEST(test_late_ring_error_after_reset),
		TEST(test_nth_failure_at_start),
		TEST(test_nth_failure_at_stop),
		TEST(test_nth_failure_at_open),
		TEST(test_open_says_what_is_missing),
		TEST(test_inherited_fd),
		TEST(test_inherited_fd_of_something_else),
		TEST(test_failures_fill_no_log),
		TEST(test_failed_ioctl_is_named),
		TEST(test_failed_binding_is_logged),
		TEST(test_net_features),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
