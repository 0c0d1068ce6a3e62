/* SPDX-License-Identifier: Apache-2.0 */
/* vhost-vdpa: its requests, their order, and what it says of a device that cannot be used. */
#include "backend/vhost_vdpa.h"
#include "capture.h"
#include "fake_vdpa.h"
#include "mock_ring.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { QUEUES = 2, SIZE = 8 };

#define BIT(n) (1ULL << (n))
#define NODE "/dev/vhost-vdpa-7"

static const uint64_t FEATURES = BIT(VIRTIO_F_VERSION_1) | BIT(5) | VIRTQ_FEATURES;

struct fixture {
	struct mock_env env;
	struct mock_transport transport;
	struct virtio_dev dev;
	struct mock_ring rings[QUEUES];
	struct fake_vdpa vdpa;
	struct vhost *vhost;
	bool has_dev;
	int open_errno;
	unsigned long seen[64]; /* what changes something: requests, messages as their types */
	unsigned seen_count;
};

static bool changes(unsigned long request)
{
	return request == FAKE_WRITE || _IOC_DIR(request) != _IOC_READ;
}

static int hook(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct fixture *f = fake->hook_data;

	(void)fd;
	if (f->seen_count < ARRAY_SIZE(f->seen) && changes(request))
		f->seen[f->seen_count++] =
			request == FAKE_WRITE ? ((struct vhost_msg_v2 *)arg)->iotlb.type : request;
	if (f->open_errno && request == VHOST_SET_OWNER)
		return -f->open_errno;
	return fake_vdpa_ioctl(&f->vdpa, request, arg);
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	mock_env_init(&f->env);
	f->env.fake.hook = hook;
	f->env.fake.hook_data = f;
	fake_vdpa_init(&f->vdpa, &f->env.loop, FEATURES);
	for (unsigned i = 0; i < QUEUES; i++)
		mock_ring_init(&f->rings[i], &f->env, SIZE);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	f->env.fake.fail_at = 0;
	if (f->has_dev) {
		mock_driver_status(&f->dev, 0);
		virtio_dev_destroy(&f->dev);
	}
	assert_int_equal(f->env.mem.pins, 0);
	assert_int_equal(fake_vhost_running(&f->vdpa.vhost), 0);
	mock_env_destroy(&f->env);
	test_free(f);
	return 0;
}

static const struct virtio_model model = { .name = "vdpa-test", .id = 42 };

static int bind_to(struct fixture *f)
{
	assert_int_equal(vhost_vdpa_open(&f->vhost, &f->env.fake.sys, NODE), 0);
	assert_int_equal(virtio_dev_init(&f->dev, &model, &f->env.virtio, 0, f->vhost->features, 0,
					 QUEUES, SIZE), 0);
	f->has_dev = true;
	return vhost_vdpa_bind(f->vhost, &f->dev, QUEUES);
}

static uint8_t start(struct fixture *f)
{
	for (unsigned i = 0; i < QUEUES; i++) {
		mock_ring_init(&f->rings[i], &f->env, SIZE);
		mock_ring_bind(&f->rings[i], &f->dev.queues[i]);
	}
	f->seen_count = 0;
	return mock_driver_start(&f->dev, &f->transport, FEATURES);
}

static void expect_seen(struct fixture *f, const unsigned long *expected, unsigned count)
{
	assert_int_equal(f->seen_count, count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(f->seen[i], expected[i]);
	f->seen_count = 0;
}

static bool echo_works(struct fixture *f)
{
	const struct mock_buf bufs[] = {
		{ mock_alloc(&f->env, 8, 8), 8, false }, { mock_alloc(&f->env, 8, 8), 8, true }
	};
	uint32_t written;
	uint16_t head;

	mock_ring_add(&f->rings[0], bufs, 2);
	mock_ring_kick(&f->rings[0]);
	mock_env_dispatch(&f->env);
	return mock_ring_reap(&f->rings[0], &head, &written) && written == 8;
}

#define MAPS                                                                                       \
	VHOST_IOTLB_BATCH_BEGIN, VHOST_IOTLB_UPDATE, VHOST_IOTLB_UPDATE, VHOST_IOTLB_UPDATE,       \
		VHOST_IOTLB_BATCH_END
#define UNMAPS                                                                                     \
	VHOST_IOTLB_BATCH_BEGIN, VHOST_IOTLB_INVALIDATE, VHOST_IOTLB_INVALIDATE,                   \
		VHOST_IOTLB_INVALIDATE, VHOST_IOTLB_BATCH_END
#define RING_START                                                                                 \
	VHOST_SET_VRING_NUM, VHOST_SET_VRING_BASE, VHOST_SET_VRING_ADDR, VHOST_SET_VRING_ERR,      \
		VHOST_SET_VRING_CALL, VHOST_SET_VRING_KICK
#define RING_STOP                                                                                  \
	VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR, VHOST_GET_VRING_BASE

/* --- Order ------------------------------------------------------------------------------------ */

static void test_order(void **state)
{
	static const unsigned long open[] = {
		VHOST_SET_OWNER, VHOST_SET_BACKEND_FEATURES, VHOST_VDPA_SET_CONFIG_CALL, MAPS, UNMAPS,
	};
	static const unsigned long started[] = {
		VHOST_VDPA_SET_STATUS, VHOST_VDPA_SET_STATUS, VHOST_VDPA_SET_STATUS,
		VHOST_SET_FEATURES, VHOST_VDPA_SET_STATUS, MAPS, RING_START, RING_START,
		VHOST_VDPA_SET_VRING_ENABLE, VHOST_VDPA_SET_VRING_ENABLE, VHOST_VDPA_SET_STATUS,
	};
	static const unsigned long stopped[] = {
		VHOST_VDPA_SUSPEND, RING_STOP, RING_STOP, VHOST_VDPA_SET_STATUS, UNMAPS,
	};
	struct fixture *f = *state;

	f->vdpa.config_len = 0;
	assert_int_equal(bind_to(f), 0);
	expect_seen(f, open, ARRAY_SIZE(open));
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	expect_seen(f, started, ARRAY_SIZE(started));
	assert_true(echo_works(f));
	f->seen_count = 0;
	mock_driver_status(&f->dev, 0);
	expect_seen(f, stopped, ARRAY_SIZE(stopped));
	assert_int_equal(f->vdpa.vhost.refusals, 0);
}

/* A device such as VDUSE's of Linux 6.1: no SUSPEND, and each map by itself. */
static void test_device_that_can_do_less(void **state)
{
	static const unsigned long stopped[] = {
		VHOST_VDPA_SET_STATUS, VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL,
		VHOST_SET_VRING_ERR, VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL,
		VHOST_SET_VRING_ERR, VHOST_VDPA_SET_STATUS, VHOST_IOTLB_INVALIDATE,
		VHOST_IOTLB_INVALIDATE, VHOST_IOTLB_INVALIDATE,
	};
	struct fixture *f = *state;

	f->vdpa.backend_features = BIT(VHOST_BACKEND_F_IOTLB_MSG_V2);
	assert_int_equal(bind_to(f), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
		assert_true(echo_works(f));
		f->seen_count = 0;
		mock_driver_status(&f->dev, 0);
		expect_seen(f, stopped, ARRAY_SIZE(stopped));
	}
	assert_int_equal(f->vdpa.vhost.refusals, 0);
}

static void test_features(void **state)
{
	struct fixture *f = *state;

	f->vdpa.vhost.supported |= BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_ORDER_PLATFORM);
	assert_int_equal(bind_to(f), 0);
	/* ACCESS_PLATFORM is between Kinglet and the device. */
	assert_int_equal(f->vhost->features, FEATURES);
	start(f);
	assert_int_equal(f->vdpa.acked, FEATURES | BIT(VIRTIO_F_ACCESS_PLATFORM));
	assert_int_equal(f->vdpa.acked_backend, BIT(VHOST_BACKEND_F_IOTLB_MSG_V2) |
						BIT(VHOST_BACKEND_F_IOTLB_BATCH) |
						BIT(VHOST_BACKEND_F_SUSPEND));
}

static void test_rings_are_at_the_guests_addresses(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(bind_to(f), 0);
	start(f);
	assert_int_equal(f->vdpa.addr[1].desc_user_addr, f->rings[1].desc);
	assert_int_equal(f->vdpa.addr[1].avail_user_addr, f->rings[1].avail);
	assert_int_equal(f->vdpa.addr[1].used_user_addr, f->rings[1].used);
	assert_int_equal(f->vdpa.vhost.rings[1].kick, f->dev.queues[1].kick_fd);
	assert_int_equal(f->vdpa.vhost.rings[1].call, f->dev.queues[1].irq.fd);
}

/* The same rings go on: held by Kinglet, or after another kernel took the bus away. */
static void goes_on(struct fixture *f)
{
	assert_int_equal(bind_to(f), 0);
	start(f);
	assert_true(echo_works(f));
	virtio_freeze(&f->dev);
	assert_int_equal(f->dev.queues[0].state.last_avail, 1);
	assert_int_equal(f->vdpa.map_count, 0);
	virtio_thaw(&f->dev);
	assert_int_equal(f->vdpa.vhost.rings[0].base, 1);
	assert_true(echo_works(f));
	assert_false(f->dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void test_goes_on_after_a_suspend(void **state)
{
	goes_on(*state);
}

static void test_goes_on_without_suspend(void **state)
{
	struct fixture *f = *state;

	f->vdpa.backend_features &= ~BIT(VHOST_BACKEND_F_SUSPEND);
	goes_on(f);
}

/* Which request is in flight cannot be known. */
static void test_does_not_guess_what_is_in_flight(void **state)
{
	const struct mock_buf buf = { 4096, 8, true };
	struct fixture *f = *state;

	f->vdpa.backend_features &= ~BIT(VHOST_BACKEND_F_SUSPEND);
	assert_int_equal(bind_to(f), 0);
	start(f);
	mock_ring_add(&f->rings[0], &buf, 1);
	virtio_freeze(&f->dev);
	assert_true(f->dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* --- Memory ----------------------------------------------------------------------------------- */

static void test_memory_changes_while_running(void **state)
{
	static const struct gmem_slot slot = {
		.gpa = 1ULL << 32, .len = 65536, .hva = (uint8_t *)65536
	};
	struct fixture *f = *state;
	struct gmem_listener *listener;

	assert_int_equal(bind_to(f), 0);
	listener = &f->vhost->listener;
	start(f);
	assert_int_equal(f->vdpa.vhost.memory.nregions, 3);
	assert_int_equal(listener->add(listener, &slot), 0);
	assert_int_equal(f->vdpa.vhost.memory.nregions, 4);
	assert_int_equal(f->vdpa.vhost.regions[3].userspace_addr, 65536);
	listener->remove(listener, &slot);
	assert_int_equal(f->vdpa.vhost.memory.nregions, 3);
	assert_true(echo_works(f));
}

/* The balloon would give away pages that the device goes on using. */
static void test_pinned_memory_is_not_discarded(void **state)
{
	struct fixture *f = *state;
	struct gmem *mem = &f->env.mem;

	assert_int_equal(bind_to(f), 0);
	assert_int_equal(gmem_discard(mem, gmem_ptr(mem, 0, 65536), 65536), 65536);
	start(f);
	assert_int_equal(gmem_discard(mem, gmem_ptr(mem, 0, 65536), 65536), 0);
	mock_driver_status(&f->dev, 0);
	assert_int_equal(gmem_discard(mem, gmem_ptr(mem, 0, 65536), 65536), 65536);
}

static void refused(struct fixture *f, int errno_expected, const char *text)
{
	struct capture capture;

	capture_stderr_begin(&capture);
	assert_int_equal(bind_to(f), errno_expected);
	capture_expect_all(&capture, text);
	assert_int_equal(f->vdpa.map_count, 0);
}

static void test_out_of_reach(void **state)
{
	struct fixture *f = *state;

	f->vdpa.range = (struct vhost_vdpa_iova_range){ 4096, 0xffffff };
	refused(f, -ERANGE, "kinglet: vdpa-test 0: " NODE " reaches addresses from 0x1000 to "
			    "0xffffff, which is not all of the guest's RAM\n");
}

static void test_limit_of_pinned_memory(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, limit;

	getrlimit(RLIMIT_MEMLOCK, &before);
	limit = (struct rlimit){ 8 << 20, before.rlim_max < 8 << 20 ? before.rlim_max : 8 << 20 };
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
	f->vdpa.map_errno = ENOMEM;
	if (limit.rlim_max == 8 << 20)
		refused(f, -EFAULT,
			"kinglet: vdpa-test 0: " NODE " cannot map the guest's RAM: Bad address; it "
			"pins all 12 MiB of it, and this process may pin 8 MiB (ulimit -l, or "
			"LimitMEMLOCK= of systemd)\n");
	/* Then it is something else. */
	if (!setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY }))
		refused(f, -EFAULT,
			"kinglet: vdpa-test 0: " NODE " cannot map the guest's RAM: Bad address; is "
			"it in more than 2048 pieces on the host? (--hugepages, or "
			"max_iotlb_entries= of vhost_vdpa and of the device's module)\n");
}

/* A guest's RAM may have become too many pieces since the machine was made. One line says why. */
static void test_ram_that_is_not_mapped_at_a_start(void **state)
{
	struct fixture *f = *state;
	struct capture capture;
	char text[600];

	assert_int_equal(bind_to(f), 0);
	f->vdpa.map_errno = ENOMEM;
	capture_stderr_begin(&capture);
	assert_true(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	capture_stderr_end(&capture, text, sizeof(text));
	assert_non_null(strstr(text, "vdpa-test 0: " NODE " cannot map the guest's RAM: Bad address"));
	assert_null(strstr(text, "VHOST_SET_MEM_TABLE"));
	f->vdpa.map_errno = 0;
	mock_driver_status(&f->dev, 0);
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_true(echo_works(f));
}

/* --- Open ------------------------------------------------------------------------------------- */

static void not_opened(struct fixture *f, int errno_expected, const char *part)
{
	struct capture capture;
	char text[400];

	capture_stderr_begin(&capture);
	assert_int_equal(vhost_vdpa_open(&f->vhost, &f->env.fake.sys, NODE), errno_expected);
	capture_stderr_end(&capture, text, sizeof(text));
	if (!strstr(text, part))
		fail_msg("no '%s' in '%s'", part, text);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void test_no_node(void **state)
{
	struct fixture *f = *state;

	f->env.fake.fail_at = f->env.fake.calls + 1;
	f->env.fake.fail_errno = ENOENT;
	not_opened(f, -ENOENT, "vhost-vdpa: " NODE ": No such file or directory (modprobe vhost_vdpa");
}

static void test_taken(void **state)
{
	struct fixture *f = *state;

	f->env.fake.fail_at = f->env.fake.calls + 1;
	f->env.fake.fail_errno = EBUSY;
	not_opened(f, -EBUSY, NODE ": Device or resource busy (another process has it)");
}

static void test_not_a_vdpa_node(void **state)
{
	struct fixture *f = *state;

	f->open_errno = ENOTTY;
	not_opened(f, -ENOTTY, NODE ": VHOST_SET_OWNER: Inappropriate ioctl");
}

static void test_device_of_before_virtio_1(void **state)
{
	struct fixture *f = *state;

	f->vdpa.vhost.supported &= ~BIT(VIRTIO_F_VERSION_1);
	not_opened(f, -EOPNOTSUPP, NODE ": lacks VIRTIO_F_VERSION_1");
}

static void test_info(void **state)
{
	struct fixture *f = *state;
	const struct vhost_vdpa_info *info;

	f->vdpa.id = 2;
	f->vdpa.queues = 3;
	f->vdpa.queue_size = 300;
	memset(f->vdpa.config, 'c', sizeof(f->vdpa.config));
	assert_int_equal(vhost_vdpa_open(&f->vhost, &f->env.fake.sys, NODE), 0);
	info = vhost_vdpa_info(f->vhost);
	assert_int_equal(info->id, 2);
	assert_int_equal(info->queues, 3);
	assert_int_equal(info->queue_size, 256);
	assert_int_equal(info->config_len, FAKE_VDPA_CONFIG);
	assert_memory_equal(vhost_vdpa_config(f->vhost), f->vdpa.config, FAKE_VDPA_CONFIG);
	vhost_vdpa_close(f->vhost);
}

/* --- Failures --------------------------------------------------------------------------------- */

static void test_features_refused(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(bind_to(f), 0);
	f->vdpa.refuses_features = true;
	assert_true(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(f->vdpa.status, 0);
	assert_int_equal(f->vdpa.map_count, 0);
	f->vdpa.refuses_features = false;
	mock_driver_status(&f->dev, 0);
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_true(echo_works(f));
}

/* Each call of a start and a stop fails once; the start after it works. */
static void test_every_failing_call(void **state)
{
	struct fixture *f = *state;
	unsigned calls;

	assert_int_equal(bind_to(f), 0);
	calls = f->env.fake.calls;
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	mock_driver_status(&f->dev, 0);
	calls = f->env.fake.calls - calls;
	assert_true(calls > 30);
	for (unsigned n = 1; n <= calls; n++) {
		f->env.fake.fail_at = f->env.fake.calls + n;
		f->env.fake.fail_errno = EIO;
		start(f);
		mock_driver_status(&f->dev, 0);
		f->env.fake.fail_at = 0;
		assert_int_equal(fake_vhost_running(&f->vdpa.vhost), 0);
		assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
		assert_true(echo_works(f));
		mock_driver_status(&f->dev, 0);
		assert_int_equal(f->vdpa.map_count, 0);
	}
}

static void test_failing_open(void **state)
{
	struct fixture *f = *state;
	unsigned fds = fake_open_fds();
	int ret;

	for (unsigned n = 1;; n++) {
		f->env.fake.fail_at = f->env.fake.calls + n;
		ret = vhost_vdpa_open(&f->vhost, &f->env.fake.sys, NODE);
		if (!ret)
			break;
		assert_int_equal(fake_open_fds(), fds);
		assert_true(n < 20);
	}
	vhost_vdpa_close(f->vhost);
	assert_int_equal(fake_open_fds(), fds);
}

/* --- Configuration space ---------------------------------------------------------------------- */

static void test_config_change(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(bind_to(f), 0);
	start(f);
	f->vdpa.config[3] = 7;
	eventfd_signal(f->vdpa.changed);
	mock_env_dispatch(&f->env);
	assert_int_equal(f->transport.config_changes, 1);
	assert_int_equal(vhost_vdpa_config(f->vhost)[3], 7);
	vhost_vdpa_write_config(f->vhost, 8, "ab", 2);
	assert_memory_equal(f->vdpa.config + 8, "ab", 2);
	assert_memory_equal(vhost_vdpa_config(f->vhost) + 8, "ab", 2);
}

static void test_device_that_needs_a_reset(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(bind_to(f), 0);
	start(f);
	f->vdpa.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	eventfd_signal(f->vdpa.changed);
	mock_env_dispatch(&f->env);
	assert_true(f->dev.status & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(f->vdpa.status, 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_order),
		T(test_device_that_can_do_less),
		T(test_features),
		T(test_rings_are_at_the_guests_addresses),
		T(test_goes_on_after_a_suspend),
		T(test_goes_on_without_suspend),
		T(test_does_not_guess_what_is_in_flight),
		T(test_memory_changes_while_running),
		T(test_pinned_memory_is_not_discarded),
		T(test_out_of_reach),
		T(test_limit_of_pinned_memory),
		T(test_ram_that_is_not_mapped_at_a_start),
		T(test_no_node),
		T(test_taken),
		T(test_not_a_vdpa_node),
		T(test_device_of_before_virtio_1),
		T(test_info),
		T(test_features_refused),
		T(test_every_failing_call),
		T(test_failing_open),
		T(test_config_change),
		T(test_device_that_needs_a_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
