/* SPDX-License-Identifier: Apache-2.0 */
/* What vhost-scsi adds to test_vhost.c: the endpoint. */
#include "devices/vhost_scsi.h"
#include "backend/vhost_worker.h"
#include "capture.h"
#include "mock_ring.h"
#include "devices/scsi.h"
#include "unit.h"

#include <linux/virtio_scsi.h>
#include <string.h>

enum { QUEUES = 6, WORKERS_MAX = 3 };

#define WWPN "naa.5001405000000042"

static const uint64_t KERNEL_FEATURES =
	1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_INDIRECT_DESC |
	1ULL << VIRTIO_RING_F_EVENT_IDX | 1ULL << VIRTIO_F_NOTIFY_ON_EMPTY |
	1ULL << VIRTIO_F_ANY_LAYOUT | 1ULL << VHOST_F_LOG_ALL | 1ULL << VIRTIO_SCSI_F_HOTPLUG |
	1ULL << VIRTIO_SCSI_F_T10_PI;

struct fake_vhost {
	int abi;
	const char *wwpn; /* of the only target */
	int no_target;	  /* errno for a missing target */
	struct vhost_scsi_target endpoint;
	bool has_table, has_endpoint;
	uint64_t features;
	unsigned rings_with_kick; /* bit per ring */
	unsigned workers;	  /* made, of WORKERS_MAX; 0 is the one that all have */
	unsigned freed;		  /* the last one */
	bool has_workers;	  /* Linux 6.5 */
	unsigned ring_workers[QUEUES];
	unsigned long refused; /* fails with EIO */
};

struct fixture {
	struct mock_env env;
	struct mock_transport transport;
	struct mock_ring rings[QUEUES];
	struct fake_vhost kernel;
};

static int worker_ioctl(struct fake_vhost *kernel, unsigned long request, void *arg)
{
	const struct vhost_vring_state *ring = arg;
	unsigned *worker = arg;

	if (!kernel->has_workers)
		return -ENOTTY;
	if (request == VHOST_FREE_WORKER) {
		kernel->freed = *worker;
	} else if (request == VHOST_NEW_WORKER) {
		if (kernel->workers == WORKERS_MAX)
			return -ENOMEM;
		*worker = ++kernel->workers;
	} else {
		assert_true(ring->index < QUEUES && ring->num && ring->num <= kernel->workers);
		kernel->ring_workers[ring->index] = ring->num;
	}
	return 0;
}

static int vhost_hook(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct fake_vhost *kernel = fake->hook_data;
	const struct vhost_vring_file *file = arg;

	(void)fd;
	if (_IOC_TYPE(request) != VHOST_VIRTIO)
		return FAKE_PASS;
	if (request == kernel->refused)
		return -EIO;
	switch (request) {
	case VHOST_GET_FEATURES:
		*(uint64_t *)arg = KERNEL_FEATURES;
		return 0;
	case VHOST_SCSI_GET_ABI_VERSION:
		*(int *)arg = kernel->abi;
		return 0;
	case VHOST_SET_MEM_TABLE:
		kernel->has_table = true;
		return 0;
	case VHOST_SCSI_SET_ENDPOINT:
		if (!kernel->has_table)
			return -EFAULT;
		if (kernel->has_endpoint)
			return -EEXIST;
		kernel->endpoint = *(struct vhost_scsi_target *)arg;
		if (strcmp(kernel->endpoint.vhost_wwpn, kernel->wwpn) != 0)
			return kernel->no_target;
		kernel->has_endpoint = true;
		return 0;
	case VHOST_SCSI_CLEAR_ENDPOINT:
		kernel->has_endpoint = false;
		return 0;
	case VHOST_SET_VRING_KICK:
		assert_true(file->index < QUEUES);
		kernel->rings_with_kick &= ~(1U << file->index);
		kernel->rings_with_kick |= (file->fd >= 0) << file->index;
		return 0;
	case VHOST_GET_VRING_BASE:
		/* The rings are released only when no command is in flight. */
		assert_false(kernel->has_endpoint);
		((struct vhost_vring_state *)arg)->num = 0;
		return 0;
	case VHOST_SET_FEATURES:
		kernel->features = *(uint64_t *)arg;
		return 0;
	case VHOST_NEW_WORKER:
	case VHOST_FREE_WORKER:
	case VHOST_ATTACH_VRING_WORKER:
		return worker_ioctl(kernel, request, arg);
	default:
		return 0;
	}
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));
	struct virtio_scsi_options options = { .request_queues = QUEUES - 2, .max_target = 255 };
	struct vhost *vhost;

	mock_env_init(&f->env);
	f->kernel = (struct fake_vhost){ .abi = VHOST_SCSI_ABI_VERSION, .wwpn = WWPN,
					 .no_target = -ENODEV };
	f->env.fake.hook = vhost_hook;
	f->env.fake.hook_data = &f->kernel;
	assert_int_equal(vhost_scsi_open(&vhost, &f->env.fake.sys, WWPN, false), 0);
	options.features = vhost_scsi_features(vhost);
	assert_int_equal(virtio_scsi_new(&f->env.dev, &f->env.virtio, 0, &options), 0);
	assert_int_equal(vhost_bind(vhost, f->env.dev, 0, f->env.dev->queue_count), 0);
	for (unsigned i = 0; i < QUEUES; i++)
		mock_ring_init(&f->rings[i], &f->env, 16);
	mock_transport_init(&f->transport, f->env.dev);
	*state = f;
	return 0;
}

static uint8_t start(struct fixture *f)
{
	for (unsigned i = 0; i < QUEUES; i++)
		mock_ring_bind(&f->rings[i], &f->env.dev->queues[i]);
	f->env.fake.request_count = 0;
	return mock_driver_start(f->env.dev, &f->transport, virtio_offered(f->env.dev));
}

static void spread(struct fixture *f, unsigned workers, const char *line)
{
	struct vhost *vhost = container_of(f->env.dev->queues[0].backend, struct vhost, backend);
	struct capture capture;

	capture_stderr_begin(&capture);
	vhost_spread(vhost, 2, QUEUES, workers);
	capture_expect_all(&capture, line);
}

static unsigned position(const struct fixture *f, unsigned long request)
{
	for (unsigned i = 0; i < f->env.fake.request_count; i++)
		if (f->env.fake.requests[i] == request)
			return i;
	return UINT32_MAX;
}

/* Not offered to a guest: logging of guest memory, and data protection, which no backstore has. */
static void test_features(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(virtio_offered(f->env.dev),
			 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_RING_F_INDIRECT_DESC |
				 1ULL << VIRTIO_RING_F_EVENT_IDX | 1ULL << VIRTIO_SCSI_F_HOTPLUG);
}

/* Opening checks whether the target is available, and does not hold it until a driver starts. */
static void test_no_endpoint_before_driver_ok(void **state)
{
	struct fixture *f = *state;

	assert_false(f->kernel.has_endpoint);
	assert_int_equal(fake_sys_count(&f->env.fake, VHOST_SCSI_SET_ENDPOINT), 1);
	assert_int_equal(fake_sys_count(&f->env.fake, VHOST_SCSI_GET_ABI_VERSION), 1);
}

static void test_endpoint_comes_behind_the_rings(void **state)
{
	struct fixture *f = *state;

	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_true(f->kernel.has_endpoint);
	assert_string_equal(f->kernel.endpoint.vhost_wwpn, WWPN);
	assert_int_equal(f->kernel.endpoint.reserved, 0);
	assert_int_equal(f->kernel.rings_with_kick, (1U << QUEUES) - 1);
	assert_int_equal(position(f, VHOST_SCSI_SET_ENDPOINT), f->env.fake.request_count - 1);
	for (unsigned i = 0; i < QUEUES; i++)
		assert_true(f->env.dev->queues[i].running);
}

static void test_endpoint_goes_before_the_rings(void **state)
{
	struct fixture *f = *state;

	start(f);
	f->env.fake.request_count = 0;
	mock_driver_status(f->env.dev, 0);
	assert_int_equal(position(f, VHOST_SCSI_CLEAR_ENDPOINT), 0);
	assert_int_equal(fake_sys_count(&f->env.fake, VHOST_GET_VRING_BASE), QUEUES);
	assert_int_equal(f->kernel.rings_with_kick, 0);
}

static int turn_log(struct fixture *f, bool on)
{
	/* vhost's listener is the only one here. */
	return f->env.mem.listeners->log(f->env.mem.listeners, on);
}

/* The kernel logs none of the data that it reads from the disk: test_vhost_relay.c. */
static void test_passes_its_rings_on_while_writes_are_logged(void **state)
{
	struct fixture *f = *state;

	start(f);
	/* As when another part of the log could not be turned on. */
	assert_int_equal(turn_log(f, false), 0);
	assert_int_equal(fake_sys_count(&f->env.fake, VHOST_SCSI_SET_ENDPOINT), 1);
	assert_int_equal(turn_log(f, true), 0);
	assert_int_equal(fake_sys_count(&f->env.fake, VHOST_SCSI_SET_ENDPOINT), 2);
	assert_true(f->kernel.has_endpoint);
	assert_false(f->kernel.features & 1ULL << VIRTIO_RING_F_EVENT_IDX);
	mock_driver_status(f->env.dev, 0);
	assert_false(f->kernel.has_endpoint);
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_false(f->kernel.features & 1ULL << VIRTIO_RING_F_EVENT_IDX);
	assert_int_equal(turn_log(f, false), 0);
	assert_true(f->kernel.has_endpoint);
	assert_true(f->kernel.features & 1ULL << VIRTIO_RING_F_EVENT_IDX);
	assert_int_equal(fake_sys_count(&f->env.fake, VHOST_SET_LOG_BASE), 0);
}

/* A target that moves here is not asked for at the open; it is free, or not, later. */
static void test_target_of_another_machine(void **state)
{
	struct fixture *f = *state;
	struct vhost *vhost;

	f->kernel.no_target = -EEXIST;
	f->kernel.wwpn = "another";
	assert_int_equal(vhost_scsi_open(&vhost, &f->env.fake.sys, WWPN, true), 0);
	assert_int_equal(vhost_scsi_probe(vhost), -EBUSY);
	f->kernel.wwpn = WWPN;
	assert_int_equal(vhost_scsi_probe(vhost), 0);
	assert_false(f->kernel.has_endpoint);
	vhost_free(vhost);
}

static void test_restart_many_times(void **state)
{
	struct fixture *f = *state;
	unsigned fds = fake_open_fds();

	for (unsigned i = 0; i < 10; i++) {
		assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
		assert_true(f->kernel.has_endpoint);
		mock_driver_status(f->env.dev, 0);
		assert_false(f->kernel.has_endpoint);
	}
	assert_int_equal(fake_open_fds(), fds);
}

/* A driver may leave request queues unused; the kernel then ignores them. */
static void test_queue_not_enabled(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < QUEUES - 1; i++)
		mock_ring_bind(&f->rings[i], &f->env.dev->queues[i]);
	assert_false(mock_driver_start(f->env.dev, &f->transport, VIRTQ_FEATURES) &
		     VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_true(f->kernel.has_endpoint);
	assert_int_equal(f->kernel.rings_with_kick, (1U << (QUEUES - 1)) - 1);
}

static void test_target_is_gone_at_driver_ok(void **state)
{
	struct fixture *f = *state;
	struct capture capture;
	char text[512];

	f->kernel.wwpn = "naa.5001405000000043";
	capture_stderr_begin(&capture);
	assert_true(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	capture_stderr_end(&capture, text, sizeof(text));
	assert_non_null(strstr(text, "virtio-scsi 0: VHOST_SCSI_SET_ENDPOINT: No such device\n"));
	assert_non_null(strstr(text, "virtio-scsi 0: target " WWPN " does not exist"));
	assert_int_equal(f->kernel.rings_with_kick, 0);
	for (unsigned i = 0; i < QUEUES; i++)
		assert_false(f->env.dev->queues[i].running);

	f->kernel.wwpn = WWPN;
	mock_driver_status(f->env.dev, 0);
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* Whichever ioctl fails, the endpoint is not held, and a reset recovers. */
static void test_nth_failure_at_start(void **state)
{
	struct fixture *f = *state;

	/* Features, table, six a ring, endpoint. */
	for (unsigned n = 1; n <= 2 + 6 * QUEUES + 1; n++) {
		f->env.fake.fail_at = f->env.fake.calls + n;
		assert_true(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
		assert_false(f->kernel.has_endpoint);
		assert_int_equal(f->kernel.rings_with_kick, 0);
		f->env.fake.fail_at = 0;
		mock_driver_status(f->env.dev, 0);
	}
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void test_nth_failure_at_open(void **state)
{
	struct fixture *f = *state;
	unsigned fds = fake_open_fds();
	struct vhost *vhost;

	/* open, owner, features, ABI */
	for (unsigned n = 1; n <= 4; n++) {
		f->env.fake.fail_at = f->env.fake.calls + n;
		assert_int_equal(vhost_scsi_open(&vhost, &f->env.fake.sys, WWPN, false), -EIO);
		assert_int_equal(fake_open_fds(), fds);
	}
	/* Table, endpoint: -EIO does not say that another machine has the target. */
	for (unsigned n = 5; n <= 6; n++) {
		f->env.fake.fail_at = f->env.fake.calls + n;
		assert_int_equal(vhost_scsi_open(&vhost, &f->env.fake.sys, WWPN, false), 0);
		assert_false(f->kernel.has_endpoint);
		vhost_free(vhost);
		assert_int_equal(fake_open_fds(), fds);
	}
}

static void expect_workers(const struct fixture *f, const unsigned workers[QUEUES])
{
	for (unsigned i = 0; i < QUEUES; i++)
		assert_int_equal(f->kernel.ring_workers[i], workers[i]);
}

/* The control and the event queue, and the first request queue, keep the one that there is. */
static void test_workers(void **state)
{
	struct fixture *f = *state;

	f->kernel.has_workers = true;
	spread(f, 1, "");
	assert_int_equal(f->kernel.workers, 0);
	spread(f, 3, "");
	expect_workers(f, (const unsigned[QUEUES]){ 0, 0, 0, 1, 2, 0 });
	assert_int_equal(f->kernel.workers, 2);
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	/* They outlive the driver. */
	mock_driver_status(f->env.dev, 0);
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(fake_sys_count(&f->env.fake, VHOST_NEW_WORKER), 0);
}

static void test_kernel_without_workers(void **state)
{
	struct fixture *f = *state;

	spread(f, 4, "kinglet: warning: virtio-scsi 0: workers=4: Inappropriate ioctl for device: "
		     "the kernel runs its queues with 1 (more than one needs Linux 6.5)\n");
	assert_int_equal(fake_sys_count(&f->env.fake, VHOST_NEW_WORKER), 1);
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void test_kernel_with_few_workers(void **state)
{
	struct fixture *f = *state;

	f->kernel.has_workers = true;
	f->kernel.workers = WORKERS_MAX - 1;
	spread(f, 4, "kinglet: warning: virtio-scsi 0: workers=4: Cannot allocate memory: the "
		     "kernel runs its queues with 2 (more than one needs Linux 6.5)\n");
	expect_workers(f, (const unsigned[QUEUES]){ 0, 0, 0, WORKERS_MAX, 0, 0 });
	assert_int_equal(f->kernel.freed, 0);
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* One that no ring has is given back. */
static void test_worker_that_no_ring_takes(void **state)
{
	struct fixture *f = *state;

	f->kernel.has_workers = true;
	f->kernel.refused = VHOST_ATTACH_VRING_WORKER;
	spread(f, 2, "kinglet: warning: virtio-scsi 0: workers=2: Input/output error: the kernel runs its "
		     "queues with 1 (more than one needs Linux 6.5)\n");
	assert_int_equal(f->kernel.freed, 1);
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void expect_open_line(struct fixture *f, const char *line)
{
	struct capture capture;
	struct vhost *vhost;
	int ret;

	f->kernel.has_table = false;
	capture_stderr_begin(&capture);
	ret = vhost_scsi_open(&vhost, &f->env.fake.sys, WWPN, false);
	capture_expect_all(&capture, line);
	assert_true(ret < 0);
}

static void test_open_says_what_is_wrong(void **state)
{
	struct fixture *f = *state;

	f->kernel.abi = 2;
	expect_open_line(f, "kinglet: vhost-scsi: the kernel has version 2 of its interface, "
			    "Kinglet knows 1\n");
	f->kernel.abi = 0;
	expect_open_line(f, "kinglet: vhost-scsi: the kernel has version 0 of its interface, "
			    "Kinglet knows 1\n");
	f->env.fake.fail_at = f->env.fake.calls + 4;
	expect_open_line(f, "kinglet: vhost-scsi: VHOST_SCSI_GET_ABI_VERSION: "
			    "Input/output error\n");
	f->kernel.abi = VHOST_SCSI_ABI_VERSION;
	f->kernel.wwpn = "naa.5001405000000043";
	expect_open_line(f, "kinglet: vhost-scsi: target " WWPN " does not exist, has no nexus, or "
			    "another machine has it\n");
	f->kernel.no_target = -EEXIST;
	expect_open_line(f, "kinglet: vhost-scsi: target " WWPN " does not exist, has no nexus, or "
			    "another machine has it\n");
	f->env.fake.fail_at = f->env.fake.calls + 1;
	f->env.fake.fail_errno = ENOENT;
	expect_open_line(f, "kinglet: vhost-scsi: /dev/vhost-scsi: No such file or directory "
			    "(modprobe vhost_scsi)\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DEVICE_TEST(test_features),
		DEVICE_TEST(test_no_endpoint_before_driver_ok),
		DEVICE_TEST(test_endpoint_comes_behind_the_rings),
		DEVICE_TEST(test_endpoint_goes_before_the_rings),
		DEVICE_TEST(test_passes_its_rings_on_while_writes_are_logged),
		DEVICE_TEST(test_target_of_another_machine),
		DEVICE_TEST(test_restart_many_times),
		DEVICE_TEST(test_queue_not_enabled),
		DEVICE_TEST(test_target_is_gone_at_driver_ok),
		DEVICE_TEST(test_nth_failure_at_start),
		DEVICE_TEST(test_nth_failure_at_open),
		DEVICE_TEST(test_open_says_what_is_wrong),
		DEVICE_TEST(test_workers),
		DEVICE_TEST(test_kernel_without_workers),
		DEVICE_TEST(test_kernel_with_few_workers),
		DEVICE_TEST(test_worker_that_no_ring_takes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
