/* SPDX-License-Identifier: Apache-2.0 */
/* A device that a vhost-user daemon is: an honest one, one that dies, and hostile ones. */
#include "../../devices/backend/vhost_user_internal.h"
#include "backend/vhost_user_device.h"
#include "core/dirty.h"
#include "capture.h"
#include "fake_daemon.h"
#include "mock_ring.h"
#include "unit.h"

#include <linux/virtio_blk.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

enum { QUEUES = 2, SIZE = 8, CONFIG_LEN = 60, PATIENCE_NS = 2000000000 };

#define BIT(n) (1ULL << (n))

/* As the document has them. */
enum {
	GET_FEATURES = 1, SET_FEATURES = 2, SET_OWNER = 3, SET_MEM_TABLE = 5, SET_LOG_BASE = 6,
	SET_NUM = 8, SET_ADDR = 9, SET_BASE = 10, GET_BASE = 11, SET_KICK = 12, SET_CALL = 13,
	SET_ERR = 14, GET_PROTOCOL = 15, SET_PROTOCOL = 16, GET_QUEUE_NUM = 17, ENABLE = 18,
	SET_REQ_FD = 21, GET_CONFIG = 24, SET_CONFIG = 25, GET_INFLIGHT = 31, SET_INFLIGHT = 32,
	RESET_DEVICE = 34, GET_SLOTS = 36, ADD_REGION = 37, REMOVE_REGION = 38,
	SET_STATUS = 39, GET_STATUS = 40,
};
enum { MQ = 0, LOG_SHMFD = 1, REPLY_ACK = 3, BACKEND_REQ = 5, CONFIG = 9, INFLIGHT = 12, RESET = 13,
       SLOTS = 15, STATUS = 16 };

static const uint64_t RING_BITS =
	BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX);
static const uint64_t FEATURES = RING_BITS | BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_MQ) |
				 BIT(VIRTIO_F_NOTIFY_ON_EMPTY) | BIT(VHOST_F_LOG_ALL) | BIT(30) |
				 BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(VIRTIO_F_RING_PACKED);
static const uint64_t OFFERED = RING_BITS | BIT(VIRTIO_BLK_F_FLUSH) | BIT(VIRTIO_BLK_F_MQ);
static const uint64_t PROTOCOL = BIT(MQ) | BIT(LOG_SHMFD) | BIT(REPLY_ACK) | BIT(BACKEND_REQ) |
				 BIT(CONFIG) | BIT(INFLIGHT) | BIT(RESET) | BIT(17);

struct fixture {
	struct mock_env env;
	struct mock_transport transport;
	struct mock_ring rings[QUEUES];
	struct fake_daemon daemon;
	struct virtio_dev *dev;
	struct vhost_user_device_options options;
};

/* A daemon runs, and no device yet. */
static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	mock_env_init_with(&f->env, &(struct gmem_options){ .shared = true });
	fake_daemon_init(&f->daemon, &f->env.loop, FEATURES, PROTOCOL);
	f->daemon.config_len = CONFIG_LEN;
	for (unsigned i = 0; i < CONFIG_LEN; i++)
		f->daemon.config[i] = (uint8_t)(i + 1);
	f->daemon.config[34] = QUEUES;
	f->daemon.config[35] = 0;
	fake_daemon_start(&f->daemon);
	f->options = (struct vhost_user_device_options){
		.model = "virtio-blk", .id = VIRTIO_ID_BLOCK, .path = f->daemon.address.sun_path,
		.queue_size = SIZE, .config_len = CONFIG_LEN, .queues_at = 34, .queues_feature = VIRTIO_BLK_F_MQ,
		.patience_ns = PATIENCE_NS,
	};
	for (unsigned i = 0; i < QUEUES; i++)
		mock_ring_init(&f->rings[i], &f->env, SIZE);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	unsigned refusals = f->daemon.vhost.refusals, errors = f->daemon.errors;

	if (f->dev) {
		mock_driver_status(f->dev, 0);
		f->dev->model->destroy(f->dev);
	}
	fake_daemon_destroy(&f->daemon);
	assert_int_equal(fake_open_fds(), f->env.fds);
	mock_env_destroy(&f->env);
	test_free(f);
	assert_int_equal(refusals, 0);
	assert_int_equal(errors, 0);
	return 0;
}

static void open_device(struct fixture *f)
{
	assert_int_equal(vhost_user_device_new(&f->dev, &f->env.virtio, 0, &f->options), 0);
}

static uint8_t start(struct fixture *f)
{
	for (unsigned i = 0; i < QUEUES; i++)
		mock_ring_bind(&f->rings[i], &f->dev->queues[i]);
	return mock_driver_start(f->dev, &f->transport, OFFERED);
}

static void open_and_start(struct fixture *f)
{
	open_device(f);
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static struct vhost_user *user_of_device(const struct fixture *f)
{
	return container_of(f->dev->queues[0].backend, struct vhost_user, vhost.backend);
}

static bool broken(const struct fixture *f)
{
	return f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static void expect_requests(const struct fixture *f, const uint32_t *expected, unsigned count)
{
	for (unsigned i = 0; i < count && i < f->daemon.logged; i++)
		assert_int_equal(f->daemon.log[i], expected[i]);
	assert_int_equal(f->daemon.logged, count);
}

/* A request of four bytes, which the daemon echoes. */
static void add_request(struct fixture *f, unsigned queue)
{
	struct mock_buf bufs[] = { { mock_alloc(&f->env, 4, 8), 4, false },
				   { mock_alloc(&f->env, 4, 8), 4, true } };

	assert_int_equal(gmem_write(&f->env.mem, bufs[0].gpa, "echo", 4), 0);
	mock_ring_add(&f->rings[queue], bufs, 2);
	mock_ring_kick(&f->rings[queue]);
}

static bool take_answer(struct fixture *f, unsigned queue)
{
	uint16_t head;
	uint32_t written;

	return mock_ring_reap(&f->rings[queue], &head, &written) && written == 4;
}

static void expect_echo(struct fixture *f, unsigned queue)
{
	add_request(f, queue);
	mock_env_dispatch(&f->env);
	assert_true(take_answer(f, queue));
}

/* Serves the loop until the daemon has been met `connections` times, or 5 s have passed. */
static void await_connection(struct fixture *f, unsigned connections)
{
	for (unsigned i = 0; i < 50 && f->daemon.connections < connections; i++)
		mock_env_wait(&f->env, 100);
	assert_int_equal(f->daemon.connections, connections);
}

/* --- An honest daemon ------------------------------------------------------------------------- */

static void test_meeting(void **state)
{
	static const uint32_t expected[] = { GET_FEATURES, GET_PROTOCOL, SET_PROTOCOL,
					     GET_QUEUE_NUM, SET_OWNER, GET_CONFIG, SET_REQ_FD };
	struct fixture *f = *state;
	uint8_t config[CONFIG_LEN];

	open_device(f);
	expect_requests(f, expected, ARRAY_SIZE(expected));
	assert_int_equal(virtio_offered(f->dev), OFFERED);
	assert_int_equal(f->dev->queue_count, QUEUES);
	virtio_config_read(f->dev, 0, config, sizeof(config));
	assert_memory_equal(config, f->daemon.config, sizeof(config));
}

#define RING(n) SET_NUM, SET_BASE, SET_ADDR, SET_ERR, SET_CALL, SET_KICK

static void test_start(void **state)
{
	static const uint32_t expected[] = { GET_INFLIGHT,  SET_INFLIGHT, SET_FEATURES,
					     SET_MEM_TABLE, RING(0),	  RING(1),
					     ENABLE,	    ENABLE };
	struct fixture *f = *state;

	open_device(f);
	fake_daemon_forget(&f->daemon);
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	expect_requests(f, expected, ARRAY_SIZE(expected));
	assert_int_equal(f->daemon.accepted, OFFERED | BIT(30));
	assert_int_equal(f->daemon.enabled, 3);
	for (unsigned i = 0; i < QUEUES; i++) {
		const struct fake_vring *ring = &f->daemon.vhost.rings[i];

		assert_int_equal(ring->num, SIZE);
		assert_int_equal(ring->base, 0);
		assert_ptr_equal(ring->addr.used_user_addr,
				 gmem_ptr(&f->env.mem, f->rings[i].used, 4));
	}
}

static void test_memory_is_that_of_the_guest(void **state)
{
	struct fixture *f = *state;
	struct stat ram, theirs;

	open_and_start(f);
	assert_int_equal(f->daemon.regions, f->env.mem.count);
	assert_int_equal(fstat(f->env.mem.fd, &ram), 0);
	for (unsigned i = 0; i < f->daemon.regions; i++) {
		assert_int_equal(fstat(f->daemon.region_fds[i], &theirs), 0);
		assert_int_equal(theirs.st_ino, ram.st_ino);
		assert_int_equal(f->daemon.region_offsets[i], f->env.mem.slots[i].offset);
		assert_int_equal(f->daemon.vhost.regions[i].guest_phys_addr,
				 f->env.mem.slots[i].gpa);
	}
}

static void with_protocol(struct fixture *f, uint64_t protocol)
{
	fake_daemon_kill(&f->daemon);
	f->daemon.protocol = protocol;
	fake_daemon_start(&f->daemon);
}

static struct gmem_slot slot_at(const struct fixture *f, uint64_t gpa)
{
	const struct gmem_slot *first = &f->env.mem.slots[0];

	return (struct gmem_slot){ .gpa = gpa, .len = 4096, .hva = first->hva, .fd = first->fd,
				   .offset = first->offset };
}

/* What stays is told once, not at each start and change. */
static void test_memory_region_by_region(void **state)
{
	struct fixture *f = *state;
	struct gmem_listener *listener;
	struct gmem_slot slot = slot_at(f, 1ULL << 40);

	with_protocol(f, PROTOCOL | BIT(SLOTS));
	open_and_start(f);
	assert_int_equal(fake_daemon_count(&f->daemon, SET_MEM_TABLE), 0);
	assert_int_equal(fake_daemon_count(&f->daemon, ADD_REGION), f->env.mem.count);
	expect_echo(f, 0);
	listener = f->env.mem.listeners;
	assert_int_equal(listener->add(listener, &slot), 0);
	assert_int_equal(f->daemon.regions, f->env.mem.count + 1);
	listener->remove(listener, &slot);
	assert_int_equal(f->daemon.regions, f->env.mem.count);
	assert_int_equal(fake_daemon_count(&f->daemon, REMOVE_REGION), 1);
	virtio_freeze(f->dev);
	virtio_thaw(f->dev);
	assert_int_equal(fake_daemon_count(&f->daemon, ADD_REGION), f->env.mem.count + 1);
	expect_echo(f, 0);
	/* The next one knows nothing of it. */
	fake_daemon_kill(&f->daemon);
	mock_env_dispatch(&f->env);
	fake_daemon_start(&f->daemon);
	await_connection(f, 2);
	mock_env_dispatch(&f->env);
	assert_int_equal(fake_daemon_count(&f->daemon, ADD_REGION), f->env.mem.count);
	expect_echo(f, 0);
}

static void test_fewer_slots_than_regions(void **state)
{
	struct fixture *f = *state;

	f->daemon.slots = f->env.mem.count - 1;
	with_protocol(f, PROTOCOL | BIT(SLOTS));
	open_device(f);
	assert_true(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void test_requests_pass(void **state)
{
	struct fixture *f = *state;

	open_and_start(f);
	for (unsigned i = 0; i < 3 * SIZE; i++)
		expect_echo(f, i % QUEUES);
}

static void test_stop_and_start(void **state)
{
	static const uint32_t expected[] = { GET_BASE, GET_BASE };
	struct fixture *f = *state;

	open_and_start(f);
	expect_echo(f, 1);
	fake_daemon_forget(&f->daemon);
	virtio_freeze(f->dev);
	expect_requests(f, expected, ARRAY_SIZE(expected));
	assert_int_equal(f->dev->queues[1].state.last_avail, 1);
	assert_int_equal(f->daemon.vhost.rings[1].kick, -1);
	add_request(f, 1);
	virtio_thaw(f->dev);
	assert_int_equal(f->daemon.vhost.rings[1].base, 1);
	mock_env_dispatch(&f->env);
	assert_true(take_answer(f, 1));
	/* The region of the rings that go on is the same one. */
	assert_int_equal(f->daemon.made_inflights, 1);
}

static void test_reset(void **state)
{
	static const uint32_t expected[] = { GET_BASE, GET_BASE, RESET_DEVICE };
	struct fixture *f = *state;

	open_and_start(f);
	for (unsigned round = 1; round <= 5; round++) {
		expect_echo(f, 0);
		fake_daemon_forget(&f->daemon);
		mock_driver_status(f->dev, 0);
		expect_requests(f, expected, ARRAY_SIZE(expected));
		for (unsigned i = 0; i < QUEUES; i++)
			mock_ring_init(&f->rings[i], &f->env, SIZE);
		assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
		assert_int_equal(f->daemon.made_inflights, round + 1);
	}
}

/* Live, paused and reset: a pause is not the driver's. */
static void test_status(void **state)
{
	struct fixture *f = *state;

	with_protocol(f, PROTOCOL | BIT(STATUS));
	open_device(f);
	assert_int_equal(f->daemon.status, 0);
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(f->daemon.status, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
						   VIRTIO_CONFIG_S_FEATURES_OK |
						   VIRTIO_CONFIG_S_DRIVER_OK);
	expect_echo(f, 0);
	virtio_freeze(f->dev);
	assert_true(f->daemon.status & VIRTIO_CONFIG_S_DRIVER_OK);
	virtio_thaw(f->dev);
	mock_driver_status(f->dev, 0);
	assert_int_equal(f->daemon.status, 0);
	assert_int_equal(fake_daemon_count(&f->daemon, RESET_DEVICE), 0);
}

static void test_status_of_a_daemon_that_does_not_agree(void **state)
{
	struct fixture *f = *state;

	f->daemon.disagrees = VIRTIO_CONFIG_S_FEATURES_OK;
	with_protocol(f, PROTOCOL | BIT(STATUS));
	open_device(f);
	assert_true(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(f->daemon.vhost.rings[0].kick, -1);
}

static void test_daemon_without_extensions(void **state)
{
	static const uint32_t expected[] = { GET_FEATURES, SET_OWNER, SET_FEATURES, SET_MEM_TABLE,
					     RING(0), RING(1), GET_BASE, GET_BASE };
	struct fixture *f = *state;

	fake_daemon_kill(&f->daemon);
	f->daemon.features &= ~BIT(30);
	fake_daemon_start(&f->daemon);
	f->options.config = f->daemon.config;
	f->options.queues = QUEUES;
	open_and_start(f);
	/* An answer to GET_VRING_BASE comes after all that was sent before. */
	virtio_freeze(f->dev);
	expect_requests(f, expected, ARRAY_SIZE(expected));
	assert_int_equal(f->daemon.accepted, OFFERED);
}

static void test_configuration_space(void **state)
{
	struct fixture *f = *state;
	uint8_t value = 77;

	open_and_start(f);
	virtio_config_write(f->dev, 32, &value, 1);
	assert_int_equal(f->daemon.config[32], 77);
	virtio_config_read(f->dev, 32, &value, 1);
	assert_int_equal(value, 77);

	/* It grows, and the driver is told. */
	f->daemon.config[0] = 200;
	fake_daemon_ask(&f->daemon, 2, 1 | 8, 0);
	while (!f->transport.config_changes)
		assert_true(mock_env_wait(&f->env, 5000));
	virtio_config_read(f->dev, 0, &value, 1);
	assert_int_equal(value, 200);
	/* The same again is no change. */
	fake_daemon_ask(&f->daemon, 2, 1, 0);
	mock_env_wait(&f->env, 50);
	assert_int_equal(f->transport.config_changes, 1);
}

/* The loop may have an event in hand that was of the last daemon's socket. */
static void test_nothing_is_asked(void **state)
{
	struct fixture *f = *state;
	struct vhost_user *user;

	open_and_start(f);
	user = user_of_device(f);
	user->requests.fn(&user->requests, EPOLLIN);
	assert_true(user->requests.fd >= 0);
	f->daemon.config[0] = 200;
	fake_daemon_ask(&f->daemon, 2, 1, 0);
	while (!f->transport.config_changes)
		assert_true(mock_env_wait(&f->env, 5000));
}

static void test_write_log(void **state)
{
	struct fixture *f = *state;
	uint64_t words[MOCK_SLOT_LEN / 4096 / 64] = { 0 };
	struct gmem_listener *listener;

	open_and_start(f);
	listener = f->env.mem.listeners;
	assert_int_equal(listener->log(listener, true), 0);
	expect_echo(f, 0);
	listener->take(listener, &f->env.mem.slots[0], words);
	assert_true(words[f->rings[0].used / 4096 / 64] >> f->rings[0].used / 4096 % 64 & 1);
	assert_int_equal(listener->log(listener, false), 0);
	assert_false(f->daemon.accepted & BIT(VHOST_F_LOG_ALL));
}

/* The time that a daemon had for the start is over, but not that for what comes later. */
static void test_changes_have_time_of_their_own(void **state)
{
	struct fixture *f = *state;
	struct gmem_listener *listener;
	uint8_t value = 78;

	open_and_start(f);
	user_of_device(f)->peer.deadline = 0;
	virtio_config_write(f->dev, 32, &value, 1);
	assert_int_equal(f->daemon.config[32], 78);
	listener = f->env.mem.listeners;
	for (unsigned on = 2; on--;) {
		user_of_device(f)->peer.deadline = 0;
		assert_int_equal(listener->log(listener, on), 0);
	}
	assert_int_equal(f->daemon.connections, 1);
	expect_echo(f, 0);
}

static void test_daemon_that_cannot_log(void **state)
{
	struct fixture *f = *state;
	struct gmem_listener *listener;
	struct capture capture;

	fake_daemon_kill(&f->daemon);
	f->daemon.protocol &= ~BIT(LOG_SHMFD);
	fake_daemon_start(&f->daemon);
	open_and_start(f);
	listener = f->env.mem.listeners;
	capture_stderr_begin(&capture);
	assert_int_equal(listener->log(listener, true), -EOPNOTSUPP);
	capture_expect_all(&capture, "kinglet: virtio-blk 0: its vhost-user has no write log\n");
}

/* --- A daemon that dies ----------------------------------------------------------------------- */

static void test_new_daemon_goes_on(void **state)
{
	struct fixture *f = *state;

	open_and_start(f);
	for (unsigned round = 1; round <= 3; round++) {
		expect_echo(f, 0);
		fake_daemon_kill(&f->daemon);
		mock_env_dispatch(&f->env);
		assert_false(broken(f));
		/* KVM goes on collecting kicks. */
		assert_true(f->dev->queues[0].running);
		add_request(f, 0);
		add_request(f, 1);
		fake_daemon_start(&f->daemon);
		await_connection(f, round + 1);
		while (!take_answer(f, 0))
			assert_true(mock_env_wait(&f->env, 5000));
		mock_env_dispatch(&f->env);
		assert_true(take_answer(f, 1));
		assert_int_equal(f->daemon.vhost.rings[0].base, 2 * round);
	}
	/* One region for all of them. */
	assert_int_equal(f->daemon.made_inflights, 1);
	assert_int_equal(fake_daemon_count(&f->daemon, SET_INFLIGHT), 1);
}

static void test_reconnect(void **state)
{
	struct fixture *f = *state;
	struct itimerspec next;

	f->options.reconnect = 3000;
	open_and_start(f);
	fake_daemon_kill(&f->daemon);
	mock_env_dispatch(&f->env);
	assert_int_equal(timerfd_gettime(user_of_device(f)->retry.event.fd, &next), 0);
	assert_in_range(next.it_value.tv_sec, 2000, 3000);
}

/* It used a request and died before it told. */
static void test_interrupt_of_a_dead_daemon(void **state)
{
	struct fixture *f = *state;

	open_and_start(f);
	fake_daemon_kill(&f->daemon);
	mock_env_dispatch(&f->env);
	eventfd_drain(f->dev->queues[1].irq.fd);
	fake_daemon_start(&f->daemon);
	await_connection(f, 2);
	mock_env_dispatch(&f->env);
	assert_true(eventfd_drain(f->dev->queues[1].irq.fd));
}

static void without_inflight(struct fixture *f)
{
	fake_daemon_kill(&f->daemon);
	f->daemon.protocol &= ~BIT(INFLIGHT);
	fake_daemon_start(&f->daemon);
}

static void test_without_a_record_a_ring_at_rest_goes_on(void **state)
{
	struct fixture *f = *state;

	without_inflight(f);
	open_and_start(f);
	expect_echo(f, 0);
	fake_daemon_kill(&f->daemon);
	mock_env_dispatch(&f->env);
	assert_false(broken(f));
	fake_daemon_start(&f->daemon);
	await_connection(f, 2);
	mock_env_dispatch(&f->env);
	expect_echo(f, 0);
}

/* Which of them it had taken is unknown: to repeat or lose one would damage data. */
static void test_without_a_record_requests_in_flight_break_it(void **state)
{
	struct fixture *f = *state;
	struct capture capture;

	/* It serves nothing. */
	f->daemon.loop = NULL;
	without_inflight(f);
	open_and_start(f);
	add_request(f, 0);
	capture_stderr_begin(&capture);
	fake_daemon_kill(&f->daemon);
	mock_env_dispatch(&f->env);
	assert_true(broken(f));
	capture_expect_all(&capture, "kinglet: virtio-blk 0: its vhost-user daemon ended with "
				     "requests in flight, and keeps no record of them "
				     "(INFLIGHT_SHMFD) (needs a reset)\n");
	/* A reset makes it whole. */
	mock_driver_status(f->dev, 0);
	f->daemon.loop = &f->env.loop;
	fake_daemon_start(&f->daemon);
	for (unsigned i = 0; i < QUEUES; i++)
		mock_ring_init(&f->rings[i], &f->env, SIZE);
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	expect_echo(f, 0);
}

static void count(void *owner)
{
	++*(unsigned *)owner;
}

/* Kinglet's own: there is no other after it, even if one listens at its path. */
static void test_a_daemon_of_kinglets_own(void **state)
{
	struct fixture *f = *state;
	struct capture capture;
	unsigned gone = 0;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&f->daemon.address,
				 sizeof(f->daemon.address)), 0);
	f->options.path = "its own";
	f->options.final = "it has ended";
	f->options.fd = fd;
	f->options.gone = count;
	f->options.owner = &gone;
	open_device(f);
	close(fd);
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	expect_echo(f, 0);
	capture_stderr_begin(&capture);
	fake_daemon_kill(&f->daemon);
	mock_env_dispatch(&f->env);
	capture_expect_all(&capture, "kinglet: virtio-blk 0: it has ended (needs a reset)\n");
	assert_true(broken(f));
	fake_daemon_start(&f->daemon);
	mock_driver_status(f->dev, 0);
	for (unsigned i = 0; i < QUEUES; i++)
		mock_ring_init(&f->rings[i], &f->env, SIZE);
	assert_true(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	mock_driver_status(f->dev, 0);
	assert_int_equal(gone, 0);
	f->dev->model->destroy(f->dev);
	f->dev = NULL;
	assert_int_equal(gone, 1);
}

static void test_reset_while_the_daemon_is_away(void **state)
{
	struct fixture *f = *state;

	open_and_start(f);
	fake_daemon_kill(&f->daemon);
	mock_env_dispatch(&f->env);
	mock_driver_status(f->dev, 0);
	for (unsigned i = 0; i < QUEUES; i++)
		mock_ring_init(&f->rings[i], &f->env, SIZE);
	/* Its requests wait, too. */
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	add_request(f, 0);
	fake_daemon_start(&f->daemon);
	await_connection(f, 2);
	while (!take_answer(f, 0))
		assert_true(mock_env_wait(&f->env, 5000));
}

static int save(struct fixture *f)
{
	struct state *state;
	int ret = state_new(&state);

	if (!ret)
		ret = f->dev->model->state(f->dev, state);
	state_free(state);
	return ret;
}

static void test_freeze_while_the_daemon_is_away(void **state)
{
	struct fixture *f = *state;
	struct capture capture;

	open_and_start(f);
	fake_daemon_kill(&f->daemon);
	mock_env_dispatch(&f->env);
	/* Nothing is in flight: it may even be saved. */
	virtio_freeze(f->dev);
	assert_int_equal(save(f), 0);
	virtio_thaw(f->dev);
	add_request(f, 0);
	virtio_freeze(f->dev);
	capture_stderr_begin(&capture);
	assert_int_equal(save(f), -EBUSY);
	capture_expect_all(&capture, "kinglet: virtio-blk 0: its daemon is away, with requests in "
				     "flight; try again when it is back\n");
	virtio_thaw(f->dev);
	fake_daemon_start(&f->daemon);
	await_connection(f, 2);
	while (!take_answer(f, 0))
		assert_true(mock_env_wait(&f->env, 5000));
}

static void test_another_device_comes_back(void **state)
{
	struct fixture *f = *state;

	open_and_start(f);
	fake_daemon_kill(&f->daemon);
	mock_env_dispatch(&f->env);
	f->daemon.features &= ~BIT(VIRTIO_BLK_F_FLUSH);
	fake_daemon_start(&f->daemon);
	for (unsigned i = 0; i < 50 && !broken(f); i++)
		mock_env_wait(&f->env, 100);
	assert_true(broken(f));

	/* After a reset the right one begins with a record of its own. */
	mock_driver_status(f->dev, 0);
	fake_daemon_kill(&f->daemon);
	f->daemon.features |= BIT(VIRTIO_BLK_F_FLUSH);
	fake_daemon_start(&f->daemon);
	for (unsigned i = 0; i < QUEUES; i++)
		mock_ring_init(&f->rings[i], &f->env, SIZE);
	assert_false(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(f->daemon.made_inflights, 2);
	expect_echo(f, 0);
}

static void test_it_grew_while_it_was_away(void **state)
{
	struct fixture *f = *state;

	open_and_start(f);
	fake_daemon_kill(&f->daemon);
	mock_env_dispatch(&f->env);
	f->daemon.config[1]++;
	fake_daemon_start(&f->daemon);
	await_connection(f, 2);
	mock_env_dispatch(&f->env);
	assert_int_equal(f->transport.config_changes, 1);
}

static void test_a_loss_that_a_request_notices(void **state)
{
	struct fixture *f = *state;

	open_and_start(f);
	fake_daemon_kill(&f->daemon);
	/* Before the loop does. */
	virtio_freeze(f->dev);
	assert_false(broken(f));
	virtio_thaw(f->dev);
	assert_false(broken(f));
	fake_daemon_start(&f->daemon);
	await_connection(f, 2);
	mock_env_dispatch(&f->env);
	expect_echo(f, 0);
}

/* --- Hostile daemons -------------------------------------------------------------------------- */

static void restart_as(struct fixture *f, enum fake_mischief mischief, uint32_t at)
{
	fake_daemon_kill(&f->daemon);
	f->daemon.mischief = mischief;
	f->daemon.at = at;
	fake_daemon_start(&f->daemon);
}

static uint64_t run_for_ns(struct fixture *f, int (*fn)(struct fixture *f))
{
	uint64_t begin = sys_now_ns();

	(void)fn(f);
	return sys_now_ns() - begin;
}

static int try_open(struct fixture *f)
{
	return vhost_user_device_new(&f->dev, &f->env.virtio, 0, &f->options);
}

static int live(struct fixture *f)
{
	int ret = try_open(f);

	if (ret) {
		f->dev = NULL;
		return ret;
	}
	start(f);
	mock_env_dispatch(&f->env);
	if (!broken(f) && f->dev->queues[0].running)
		add_request(f, 0);
	mock_env_dispatch(&f->env);
	virtio_freeze(f->dev);
	virtio_thaw(f->dev);
	mock_driver_status(f->dev, 0);
	f->dev->model->destroy(f->dev);
	f->dev = NULL;
	return 0;
}

/* Every mischief at every request: nothing hangs, leaks or crashes. */
static void test_mischief(void **state)
{
	static const uint32_t requests[] = {
		GET_FEATURES, GET_PROTOCOL, SET_PROTOCOL, GET_QUEUE_NUM, SET_OWNER, GET_CONFIG,
		SET_REQ_FD, GET_INFLIGHT, SET_INFLIGHT, SET_FEATURES, SET_MEM_TABLE, SET_NUM,
		SET_BASE, SET_ADDR, SET_ERR, SET_CALL, SET_KICK, ENABLE, GET_BASE, RESET_DEVICE,
		GET_SLOTS, ADD_REGION, SET_STATUS, GET_STATUS,
	};
	struct fixture *f = *state;

	char said[64];

	f->options.patience_ns = 20000000;
	for (unsigned m = FAKE_HONEST + 1; m < FAKE_MISCHIEFS; m++)
		for (unsigned r = 0; r < ARRAY_SIZE(requests); r++) {
			struct capture capture;

			for (unsigned i = 0; i < QUEUES; i++)
				mock_ring_init(&f->rings[i], &f->env, SIZE);
			capture_stderr_begin(&capture);
			fake_daemon_kill(&f->daemon);
			f->daemon.protocol = PROTOCOL |
					     (requests[r] > RESET_DEVICE ? BIT(SLOTS) | BIT(STATUS) : 0);
			restart_as(f, (enum fake_mischief)m, requests[r]);
			assert_true(run_for_ns(f, live) < 5000000000);
			capture_stderr_end(&capture, said, sizeof(said));
			fake_daemon_kill(&f->daemon);
			assert_int_equal(fake_open_fds(), f->env.fds);
			f->env.next = 64 << 10;
		}
}

static void expect_open_line(struct fixture *f, int expected, const char *what)
{
	struct capture capture;
	char line[300];
	int ret;

	snprintf(line, sizeof(line), "kinglet: virtio-blk: vhost-user daemon at %s: %s\n",
		 f->options.path, what);
	capture_stderr_begin(&capture);
	ret = try_open(f);
	capture_expect_all(&capture, line);
	assert_int_equal(ret, expected);
	f->dev = NULL;
}

static void test_open_says_what_is_wrong(void **state)
{
	struct fixture *f = *state;

	restart_as(f, FAKE_SILENT, GET_FEATURES);
	expect_open_line(f, -ETIMEDOUT, "it does not answer: another client may have it");
	f->options.patience_ns = 60 * UINT64_C(1000000000); /* the others answer, however late */
	restart_as(f, FAKE_SHORT, GET_FEATURES);
	expect_open_line(f, -EPROTO, "its answers are not those of vhost-user");
	fake_daemon_kill(&f->daemon);
	f->daemon.mischief = FAKE_HONEST;
	f->daemon.protocol &= ~BIT(CONFIG);
	fake_daemon_start(&f->daemon);
	expect_open_line(f, -EOPNOTSUPP, "does not give a configuration space "
					 "(VHOST_USER_PROTOCOL_F_CONFIG)");
	fake_daemon_kill(&f->daemon);
	expect_open_line(f, -ECONNREFUSED, "no daemon listens there; start it first");
	f->options.path = "/nonexistent/socket";
	expect_open_line(f, -ENOENT, "there is no such socket; start the daemon first");
	fake_daemon_start(&f->daemon);
}

static void test_number_of_queues_is_the_daemons(void **state)
{
	struct fixture *f = *state;

	fake_daemon_kill(&f->daemon);
	/* More in its space than it serves. */
	f->daemon.config[34] = 3;
	fake_daemon_start(&f->daemon);
	assert_int_equal(try_open(f), -EINVAL);
	f->dev = NULL;
}

/* A late one is not asked again: it would cost the deadline each time. */
static void test_silent_daemon_breaks_the_device_once(void **state)
{
	struct fixture *f = *state;

	restart_as(f, FAKE_SILENT, SET_MEM_TABLE);
	open_device(f);
	assert_true(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(f->daemon.connections, 1);
	assert_false(mock_env_wait(&f->env, 100));
	assert_int_equal(f->daemon.connections, 1);
}

/* The loss shows in a write of the driver, and so not in the loop. */
static void test_daemon_that_hangs_up_at_a_write(void **state)
{
	struct fixture *f = *state;
	uint8_t value = 77;

	restart_as(f, FAKE_HANGS_UP, SET_CONFIG);
	open_and_start(f);
	virtio_config_write(f->dev, 32, &value, 1);
	await_connection(f, 2);
	expect_echo(f, 0);
}

static void test_refusal_breaks_the_device(void **state)
{
	struct fixture *f = *state;

	restart_as(f, FAKE_REFUSES, SET_ADDR);
	open_device(f);
	assert_true(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* What a daemon asks of us is served a hundred times a second at most, and only if it is right. */
static void test_flood_of_requests(void **state)
{
	struct fixture *f = *state;
	uint64_t until;

	open_and_start(f);
	for (unsigned i = 0; i < 200; i++)
		fake_daemon_ask(&f->daemon, 2, 1, 0);
	fake_daemon_forget(&f->daemon);
	for (until = sys_now_ns() + 100000000; sys_now_ns() < until;)
		mock_env_wait(&f->env, 10);
	assert_true(fake_daemon_count(&f->daemon, GET_CONFIG) <= 15);
	expect_echo(f, 0);
}

static void test_request_of_a_liar(void **state)
{
	struct fixture *f = *state;
	unsigned wakeups;

	open_and_start(f);
	fake_daemon_ask(&f->daemon, 99, 1 | 8, 0xffffff);
	mock_env_wait(&f->env, 1000);
	mock_env_wait(&f->env, 100);
	wakeups = (unsigned)f->dev->loop_wakeups;
	fake_daemon_ask(&f->daemon, 2, 1, 0);
	mock_env_wait(&f->env, 50);
	assert_int_equal(f->dev->loop_wakeups, wakeups);
	expect_echo(f, 0);
}

static void test_private_ram(void **state)
{
	struct fixture *f = *state;

	/* The machine sees to it that this does not happen. */
	for (unsigned i = 0; i < f->env.mem.count; i++)
		f->env.mem.slots[i].fd = -1;
	open_device(f);
	assert_true(start(f) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_meeting),
		TEST(test_start),
		TEST(test_memory_is_that_of_the_guest),
		TEST(test_memory_region_by_region),
		TEST(test_fewer_slots_than_regions),
		TEST(test_requests_pass),
		TEST(test_stop_and_start),
		TEST(test_reset),
		TEST(test_status),
		TEST(test_status_of_a_daemon_that_does_not_agree),
		TEST(test_daemon_without_extensions),
		TEST(test_configuration_space),
		TEST(test_nothing_is_asked),
		TEST(test_write_log),
		TEST(test_changes_have_time_of_their_own),
		TEST(test_daemon_that_cannot_log),
		TEST(test_new_daemon_goes_on),
		TEST(test_daemon_that_hangs_up_at_a_write),
		TEST(test_reconnect),
		TEST(test_interrupt_of_a_dead_daemon),
		TEST(test_without_a_record_a_ring_at_rest_goes_on),
		TEST(test_without_a_record_requests_in_flight_break_it),
		TEST(test_a_daemon_of_kinglets_own),
		TEST(test_reset_while_the_daemon_is_away),
		TEST(test_freeze_while_the_daemon_is_away),
		TEST(test_another_device_comes_back),
		TEST(test_it_grew_while_it_was_away),
		TEST(test_a_loss_that_a_request_notices),
		TEST(test_mischief),
		TEST(test_open_says_what_is_wrong),
		TEST(test_number_of_queues_is_the_daemons),
		TEST(test_silent_daemon_breaks_the_device_once),
		TEST(test_refusal_breaks_the_device),
		TEST(test_flood_of_requests),
		TEST(test_request_of_a_liar),
		TEST(test_private_ram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
