/* SPDX-License-Identifier: Apache-2.0 */
/* vhost-vsock: the CID, and the switch that starts and stops the packet queues. */
#include "backend/local.h"
#include "devices/vhost_vsock.h"
#include "capture.h"
#include "saved.h"
#include "mock_ring.h"
#include "devices/vsock.h"
#include "unit.h"

#include <linux/vhost.h>
#include <linux/virtio_vsock.h>
#include <string.h>

enum { CID = 77, BASE = 5 };

static const uint64_t FEATURES = 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_EVENT_IDX |
				 1ULL << VIRTIO_VSOCK_F_SEQPACKET | 1ULL << VHOST_F_LOG_ALL;

/* The state of the kernel's vhost-vsock. */
struct kernel {
	uint64_t cid;
	bool cid_busy;
	int running;
	bool kicked[2]; /* the ring has a kick */
	uint64_t features;
};

struct fixture {
	struct mock_env env;
	struct mock_transport transport;
	struct mock_ring rings[VSOCK_QUEUES];
	struct kernel kernel;
};

static int vhost_hook(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct kernel *kernel = fake->hook_data;

	(void)fd;
	switch (request) {
	case VHOST_GET_FEATURES:
		*(uint64_t *)arg = FEATURES;
		return 0;
	case VHOST_SET_FEATURES:
		kernel->features = *(uint64_t *)arg;
		return 0;
	case VHOST_VSOCK_SET_GUEST_CID:
		if (kernel->cid_busy)
			return -EADDRINUSE;
		kernel->cid = *(uint64_t *)arg;
		return 0;
	case VHOST_SET_VRING_KICK: {
		const struct vhost_vring_file *file = arg;

		kernel->kicked[file->index] = file->fd >= 0;
		return 0;
	}
	case VHOST_VSOCK_SET_RUNNING:
		kernel->running = *(int *)arg;
		/* The rings are whole when it starts. */
		assert_true(!kernel->running || (kernel->kicked[0] && kernel->kicked[1]));
		return 0;
	case VHOST_GET_VRING_BASE:
		assert_false(kernel->running);
		((struct vhost_vring_state *)arg)->num = BASE;
		return 0;
	default:
		return FAKE_PASS;
	}
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	mock_env_init(&f->env);
	f->env.fake.hook = vhost_hook;
	f->env.fake.hook_data = &f->kernel;
	f->env.fake.request_count = 0;
	f->env.fake.calls = 0;
	*state = f;
	return 0;
}

/* As the machine does. 0 or the error. */
static int make(struct fixture *f)
{
	struct vhost *vhost;
	int ret;

	ret = vhost_vsock_open(&vhost, &f->env.fake.sys, CID);
	if (ret)
		return ret;
	assert_int_equal(virtio_vsock_new(&f->env.dev, &f->env.virtio, 0, CID,
					  vhost->features),
			 0);
	assert_int_equal(vhost_bind(vhost, f->env.dev, VSOCK_QUEUE_RX, VSOCK_QUEUE_EVENT), 0);
	assert_int_equal(local_backend_bind(f->env.dev, VSOCK_QUEUE_EVENT, 1), 0);
	return 0;
}

static uint8_t start(struct fixture *f)
{
	for (unsigned i = 0; i < VSOCK_QUEUES; i++) {
		mock_ring_init(&f->rings[i], &f->env, 8);
		mock_ring_bind(&f->rings[i], &f->env.dev->queues[i]);
	}
	return mock_driver_start(f->env.dev, &f->transport, f->env.dev->offered);
}

static void assert_stopped(const struct kernel *kernel)
{
	assert_int_equal(kernel->running, 0);
	assert_false(kernel->kicked[0]);
	assert_false(kernel->kicked[1]);
}

static void quiet_make(struct fixture *f, int expected, const char *line)
{
	struct capture capture;
	int ret;

	capture_stderr_begin(&capture);
	ret = make(f);
	capture_expect_all(&capture, line);
	assert_int_equal(ret, expected);
}

static void test_cid_is_taken_at_creation(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(make(f), 0);
	assert_int_equal(f->kernel.cid, CID);
	assert_int_equal(f->env.fake.requests[0], VHOST_SET_OWNER);
	assert_int_equal(fake_sys_count(&f->env.fake, VHOST_VSOCK_SET_RUNNING), 0);
}

static void test_cid_in_use_is_one_line(void **state)
{
	struct fixture *f = *state;

	f->kernel.cid_busy = true;
	quiet_make(f, -EADDRINUSE,
		   "kinglet: vhost-vsock: CID 77 is in use by another guest; give another one\n");
}

static void test_missing_module_is_one_line(void **state)
{
	struct fixture *f = *state;

	f->env.fake.fail_at = 1;
	f->env.fake.fail_errno = ENOENT;
	quiet_make(f, -ENOENT,
		   "kinglet: vhost-vsock: /dev/vhost-vsock: No such file or directory "
		   "(modprobe vhost_vsock)\n");
}

static void test_vhost_own_bits_stay_hidden(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(make(f), 0);
	assert_int_equal(f->env.dev->offered, FEATURES & ~(1ULL << VHOST_F_LOG_ALL));
	start(f);
	assert_int_equal(f->kernel.features, f->env.dev->offered);
}

static void test_driver_ok_runs_packets_in_the_kernel_and_events_here(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(make(f), 0);
	assert_true(start(f) & VIRTIO_CONFIG_S_DRIVER_OK);
	assert_int_equal(f->kernel.running, 1);
	assert_ptr_equal(f->env.dev->queues[VSOCK_QUEUE_RX].backend,
			 f->env.dev->queues[VSOCK_QUEUE_TX].backend);
	assert_string_equal(f->env.dev->queues[VSOCK_QUEUE_EVENT].backend->ops->name, "local");
	for (unsigned i = 0; i < VSOCK_QUEUES; i++)
		assert_true(f->env.dev->queues[i].running);
}

/* The hook refuses a base that is asked for while the kernel still runs the rings. */
static void test_reset_stops_and_the_cid_stays(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(make(f), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
		assert_int_equal(f->kernel.running, 1);
		mock_driver_status(f->env.dev, 0);
		assert_stopped(&f->kernel);
	}
	assert_int_equal(fake_sys_count(&f->env.fake, VHOST_VSOCK_SET_GUEST_CID), 1);
	assert_int_equal(fake_sys_count(&f->env.fake, VHOST_GET_VRING_BASE), 6);
}

/* The kernel logs no packet that it writes: none may come meanwhile. */
/* The kernel logs no packet that it writes: test_vhost_relay.c. */
static void test_passes_its_rings_on_while_writes_are_logged(void **state)
{
	const uint64_t event_idx = 1ULL << VIRTIO_RING_F_EVENT_IDX;
	struct fixture *f = *state;
	struct gmem_listener *listener;

	assert_int_equal(make(f), 0);
	start(f);
	listener = f->env.mem.listeners;
	assert_int_equal(listener->log(listener, true), 0);
	assert_int_equal(f->kernel.running, 1);
	assert_int_equal(f->kernel.features, f->env.dev->acked & ~event_idx);
	assert_int_equal(listener->log(listener, false), 0);
	assert_int_equal(f->kernel.running, 1);
	assert_int_equal(f->kernel.features, f->env.dev->acked);
}

static void test_stop_reads_the_base_back(void **state)
{
	struct fixture *f = *state;
	struct backend *backend;

	assert_int_equal(make(f), 0);
	start(f);
	backend = f->env.dev->queues[VSOCK_QUEUE_RX].backend;
	backend->ops->stop(backend, f->env.dev);
	assert_int_equal(f->env.dev->queues[VSOCK_QUEUE_RX].state.last_avail, BASE);
	assert_int_equal(f->env.dev->queues[VSOCK_QUEUE_TX].state.last_avail, BASE);
	/* Idempotent: no second ioctl. */
	backend->ops->stop(backend, f->env.dev);
	assert_int_equal(fake_sys_count(&f->env.fake, VHOST_GET_VRING_BASE), 2);
}

/* open, SET_OWNER, GET_FEATURES, SET_GUEST_CID: the teardown counts the fds. */
static void test_nth_call_of_the_creation_fails(void **state)
{
	struct fixture *f = *state;
	struct capture capture;
	char said[200];

	for (unsigned n = 1; n <= 4; n++) {
		f->env.fake.calls = 0;
		f->env.fake.fail_at = n;
		capture_stderr_begin(&capture);
		assert_int_equal(make(f), -EIO);
		capture_stderr_end(&capture, said, sizeof(said));
		assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1);
		assert_int_equal(fake_open_fds(), f->env.fds);
	}
}

/*
 * A start that fails at any call leaves the device broken and the kernel stopped, and the next
 * start works.
 */
static void test_nth_call_of_the_start_fails(void **state)
{
	struct fixture *f = *state;
	unsigned calls, failures = 0;

	assert_int_equal(make(f), 0);
	calls = f->env.fake.calls;
	start(f);
	calls = f->env.fake.calls - calls;
	mock_driver_status(f->env.dev, 0);
	for (unsigned n = 1; n <= calls; n++) {
		struct capture capture;
		char said[200];

		f->env.fake.calls = 0;
		f->env.fake.fail_at = n;
		capture_stderr_begin(&capture);
		failures += start(f) & VIRTIO_CONFIG_S_NEEDS_RESET ? 1 : 0;
		capture_stderr_end(&capture, said, sizeof(said));
		assert_stopped(&f->kernel);
		f->env.fake.fail_at = 0;
		mock_driver_status(f->env.dev, 0);
		assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
		mock_driver_status(f->env.dev, 0);
	}
	assert_int_equal(failures, calls);
}

/* A snapshot: the kernel goes on where it was; connections stay, so there is no event. */
static void test_freeze_and_thaw(void **state)
{
	struct fixture *f = *state;
	uint32_t written;
	uint16_t head;

	assert_int_equal(make(f), 0);
	start(f);
	mock_ring_add(&f->rings[VSOCK_QUEUE_EVENT],
		      &(struct mock_buf){ mock_alloc(&f->env, 64, 8), 4, true }, 1);
	mock_env_dispatch(&f->env);
	virtio_freeze(f->env.dev);
	assert_stopped(&f->kernel);
	assert_int_equal(f->env.dev->queues[VSOCK_QUEUE_TX].state.last_avail, BASE);
	virtio_thaw(f->env.dev);
	assert_int_equal(f->kernel.running, 1);
	assert_int_equal(f->kernel.cid, CID);
	mock_env_dispatch(&f->env);
	assert_false(mock_ring_reap(&f->rings[VSOCK_QUEUE_EVENT], &head, &written));
	/* After a restore they are gone: the event comes from this process. */
	device_restored(f->env.dev);
	assert_true(mock_ring_reap(&f->rings[VSOCK_QUEUE_EVENT], &head, &written));
	assert_false(f->env.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* Whatever is wrong, it is the host's: -EIO. */
static void test_the_kind_leaves_events_to_this_process(void **state)
{
	struct fixture *f = *state;
	const struct vsock_config config = { .cid = CID };
	struct virtio_env env = f->env.virtio;
	struct capture capture;
	struct virtq *queues;

	env.sys = &f->env.fake.sys;
	f->kernel.cid_busy = true;
	capture_stderr_begin(&capture);
	assert_int_equal(vsock_kind.create(&f->env.dev, &env, 0, &config), -EIO);
	capture_expect_all(&capture, "kinglet: vhost-vsock: CID 77 is in use by another guest; "
				     "give another one\n");
	f->kernel.cid_busy = false;
	assert_int_equal(vsock_kind.create(&f->env.dev, &env, 0, &config), 0);
	queues = f->env.dev->queues;
	assert_non_null(queues[VSOCK_QUEUE_RX].backend);
	assert_ptr_equal(queues[VSOCK_QUEUE_RX].backend, queues[VSOCK_QUEUE_TX].backend);
	assert_null(queues[VSOCK_QUEUE_EVENT].backend);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DEVICE_TEST(test_cid_is_taken_at_creation),
		DEVICE_TEST(test_cid_in_use_is_one_line),
		DEVICE_TEST(test_missing_module_is_one_line),
		DEVICE_TEST(test_vhost_own_bits_stay_hidden),
		DEVICE_TEST(test_driver_ok_runs_packets_in_the_kernel_and_events_here),
		DEVICE_TEST(test_reset_stops_and_the_cid_stays),
		DEVICE_TEST(test_passes_its_rings_on_while_writes_are_logged),
		DEVICE_TEST(test_stop_reads_the_base_back),
		DEVICE_TEST(test_nth_call_of_the_creation_fails),
		DEVICE_TEST(test_the_kind_leaves_events_to_this_process),
		DEVICE_TEST(test_nth_call_of_the_start_fails),
		DEVICE_TEST(test_freeze_and_thaw),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
