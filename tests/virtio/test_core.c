/* SPDX-License-Identifier: Apache-2.0 */
/* The device core: status machine, features, reset. Sections of virtio 1.2. */
#include "capture.h"
#include "mock_ring.h"
#include "unit.h"

#include <string.h>
#include <sys/resource.h>

enum {
	ACK = VIRTIO_CONFIG_S_ACKNOWLEDGE,
	DRIVER = VIRTIO_CONFIG_S_DRIVER,
	FEATURES_OK = VIRTIO_CONFIG_S_FEATURES_OK,
	DRIVER_OK = VIRTIO_CONFIG_S_DRIVER_OK,
	NEEDS_RESET = VIRTIO_CONFIG_S_NEEDS_RESET,
	FAILED = VIRTIO_CONFIG_S_FAILED,
	READY = ACK | DRIVER | FEATURES_OK,
	LIVE = READY | DRIVER_OK,
};

enum { QUEUES = 3, CONFIG_LEN = 12, MAX_SIZE = 64, OFFERED = 1 << 3 | 1 << 5 };

/* A backend that only records its calls. */
struct spy_backend {
	struct backend backend;
	struct fixture *f;
	char letter;
	int start_error;
	bool started, destroyed;
};

struct fixture {
	struct mock_env env;
	struct mock_transport transport;
	struct virtio_dev dev;
	struct spy_backend backends[2];
	char calls[64]; /* one letter for each call, in order */
	int activate_error;
	uint8_t config[CONFIG_LEN];
};

static struct fixture *of_dev(struct virtio_dev *dev)
{
	return container_of(dev, struct fixture, dev);
}

static void record(struct fixture *f, char letter)
{
	size_t n = strlen(f->calls);

	assert_true(n + 1 < sizeof(f->calls));
	f->calls[n] = letter;
}

static int spy_start(struct backend *backend, struct virtio_dev *dev)
{
	struct spy_backend *spy = container_of(backend, struct spy_backend, backend);

	(void)dev;
	record(spy->f, spy->letter);
	if (spy->start_error)
		return spy->start_error;
	assert_false(spy->started);
	spy->started = true;
	return 0;
}

static void spy_stop(struct backend *backend, struct virtio_dev *dev)
{
	struct spy_backend *spy = container_of(backend, struct spy_backend, backend);

	(void)dev;
	record(spy->f, (char)(spy->letter - 'A' + 'a'));
	spy->started = false;
}

static void spy_destroy(struct backend *backend)
{
	struct spy_backend *spy = container_of(backend, struct spy_backend, backend);

	assert_false(spy->destroyed);
	spy->destroyed = true;
}

static const struct backend_ops spy_ops = {
	.name = "spy",
	.start = spy_start,
	.stop = spy_stop,
	.destroy = spy_destroy,
};

static int model_activate(struct virtio_dev *dev)
{
	record(of_dev(dev), '+');
	return of_dev(dev)->activate_error;
}

static void model_reset(struct virtio_dev *dev)
{
	struct fixture *f = of_dev(dev);

	/* Backends are stopped, and what the driver negotiated can still be seen. */
	assert_false(f->backends[0].started || f->backends[1].started);
	record(f, '-');
}

static void model_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	memcpy(buf, of_dev(dev)->config + off, len);
}

static void model_config_write(struct virtio_dev *dev, unsigned off, const void *buf, unsigned len)
{
	memcpy(of_dev(dev)->config + off, buf, len);
}

static const struct virtio_model model = {
	.name = "virtio-spy",
	.id = 42,
	.config_read = model_config_read,
	.config_write = model_config_write,
	.activate = model_activate,
	.reset = model_reset,
};

/* Queues 0 and 2 belong to backend A, queue 1 to backend B. */
static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	mock_env_init(&f->env);
	assert_int_equal(virtio_dev_init(&f->dev, &model, &f->env.virtio, 7, OFFERED, CONFIG_LEN,
					 QUEUES, MAX_SIZE),
			 0);
	for (unsigned i = 0; i < ARRAY_SIZE(f->backends); i++)
		f->backends[i] = (struct spy_backend){
			.backend.ops = &spy_ops,
			.f = f,
			.letter = (char)('A' + i),
		};
	f->dev.queues[0].backend = f->dev.queues[2].backend = &f->backends[0].backend;
	f->dev.queues[1].backend = &f->backends[1].backend;
	mock_transport_init(&f->transport, &f->dev);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	virtio_reset(&f->dev);
	virtio_dev_destroy(&f->dev);
	assert_true(f->backends[0].destroyed && f->backends[1].destroyed);
	mock_env_destroy(&f->env);
	test_free(f);
	return 0;
}

static void ack(struct fixture *f, uint64_t features)
{
	virtio_ack_features(&f->dev, 0, (uint32_t)features);
	virtio_ack_features(&f->dev, 1, (uint32_t)(features >> 32));
}

static void ack_good(struct fixture *f)
{
	ack(f, 1ULL << VIRTIO_F_VERSION_1 | 1 << 3);
}

static void set(struct fixture *f, uint8_t status)
{
	virtio_set_status(&f->dev, status);
}

static void go_live(struct fixture *f)
{
	set(f, ACK);
	set(f, ACK | DRIVER);
	ack_good(f);
	set(f, READY);
	set(f, LIVE);
	assert_int_equal(f->dev.status, LIVE);
}

static void test_power_on(void **state)
{
	struct fixture *f = *state;

	assert_string_equal(f->dev.name, "virtio-spy 7");
	assert_int_equal(f->dev.status, 0);
	assert_true(virtio_offered(&f->dev) == (OFFERED | 1ULL << VIRTIO_F_VERSION_1));
	for (unsigned i = 0; i < QUEUES; i++) {
		assert_int_equal(f->dev.queues[i].index, i);
		assert_int_equal(f->dev.queues[i].state.size, MAX_SIZE);
		assert_int_equal(f->dev.queues[i].state.vector, VIRTQ_NO_VECTOR);
		assert_int_equal(f->dev.queues[i].state.enabled, 0);
	}
}

static void test_3_1_1_initialisation(void **state)
{
	struct fixture *f = *state;

	set(f, ACK);
	assert_int_equal(f->dev.status, ACK);
	set(f, ACK | DRIVER);
	ack_good(f);
	set(f, READY);
	assert_int_equal(f->dev.status, READY);
	/* §4: nothing starts before DRIVER_OK. */
	assert_string_equal(f->calls, "");
	set(f, LIVE);
	assert_int_equal(f->dev.status, LIVE);
	assert_string_equal(f->calls, "+AB");
	assert_int_equal(f->transport.attached, 1);
	/* Again: nothing to do. */
	set(f, LIVE);
	assert_string_equal(f->calls, "+AB");
}

static void test_3_1_1_features_ok_refused(void **state)
{
	struct fixture *f = *state;
	const uint64_t version_1 = 1ULL << VIRTIO_F_VERSION_1;
	const uint64_t bad[] = {
		version_1 | 1 << 4,	     /* never offered */
		version_1 | 1ULL << 63,	     /* never offered */
		version_1 | 1ULL << VIRTIO_F_RING_PACKED,
	};

	set(f, ACK | DRIVER);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		ack(f, bad[i]);
		set(f, READY);
		assert_int_equal(f->dev.status, ACK | DRIVER);
	}
	/* The driver may try again. */
	ack_good(f);
	set(f, READY);
	assert_int_equal(f->dev.status, READY);
}

/* As in QEMU, for drivers that accept no feature, as hostile-guest suites do. */
static void test_6_1_features_ok_without_version_1(void **state)
{
	const uint64_t few[] = { 0, 1 << 3 };
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(few); i++) {
		set(f, ACK | DRIVER);
		ack(f, few[i]);
		set(f, READY);
		assert_int_equal(f->dev.status, READY);
		set(f, LIVE);
		assert_int_equal(f->dev.status, LIVE);
		assert_true(f->dev.started);
		set(f, 0);
	}
}

static void test_3_1_1_features_ok_before_driver(void **state)
{
	struct fixture *f = *state;

	ack_good(f);
	set(f, FEATURES_OK);
	assert_int_equal(f->dev.status, 0);
	set(f, ACK | FEATURES_OK);
	assert_int_equal(f->dev.status, ACK);
	set(f, READY);
	assert_int_equal(f->dev.status, READY);
}

static void test_3_1_1_features_settled_by_features_ok(void **state)
{
	struct fixture *f = *state;
	uint64_t acked;

	set(f, ACK | DRIVER);
	ack_good(f);
	acked = f->dev.acked;
	set(f, READY);
	ack(f, 1ULL << VIRTIO_F_VERSION_1 | 1 << 5);
	assert_true(f->dev.acked == acked);
	assert_true(virtio_has(&f->dev, 3));
	assert_false(virtio_has(&f->dev, 5));
}

static void test_2_2_feature_words_beyond_64_bits(void **state)
{
	struct fixture *f = *state;

	ack_good(f);
	virtio_ack_features(&f->dev, 2, UINT32_MAX);
	virtio_ack_features(&f->dev, UINT32_MAX, UINT32_MAX);
	assert_true(f->dev.acked == (1ULL << VIRTIO_F_VERSION_1 | 1 << 3));
}

static void test_3_1_1_driver_ok_without_features_ok(void **state)
{
	struct fixture *f = *state;

	set(f, ACK | DRIVER);
	ack_good(f);
	set(f, ACK | DRIVER | DRIVER_OK);
	assert_string_equal(f->calls, "");
	assert_int_equal(f->dev.status, ACK | DRIVER | DRIVER_OK | NEEDS_RESET);
	assert_int_equal(f->transport.config_changes, 1);
	/* Nor later. */
	set(f, LIVE);
	assert_string_equal(f->calls, "");
}

static void test_3_1_1_refused_features_do_not_start(void **state)
{
	struct fixture *f = *state;

	set(f, ACK | DRIVER);
	ack(f, 1 << 4); /* never offered */
	set(f, LIVE);
	assert_string_equal(f->calls, "");
	assert_int_equal(f->dev.status, ACK | DRIVER | DRIVER_OK | NEEDS_RESET);
}

static void test_2_1_1_driver_cannot_clear_bits(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	set(f, ACK);
	assert_int_equal(f->dev.status, LIVE);
	set(f, FAILED);
	assert_int_equal(f->dev.status, LIVE | FAILED);
}

static void test_2_1_1_driver_cannot_set_needs_reset(void **state)
{
	struct fixture *f = *state;

	set(f, ACK | NEEDS_RESET | 0x30);
	assert_int_equal(f->dev.status, ACK);
}

static void test_2_1_2_broken(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	virtio_broken(&f->dev, "test");
	assert_int_equal(f->dev.status, LIVE | NEEDS_RESET);
	assert_int_equal(f->transport.config_changes, 1);
	assert_int_equal(f->transport.detached, 1);
	assert_string_equal(f->calls, "+ABba");
	virtio_broken(&f->dev, "test");
	assert_int_equal(f->transport.config_changes, 1);
	set(f, 0);
	assert_int_equal(f->dev.status, 0);
	go_live(f);
}

static void count_broken(void *owner, const struct virtio_dev *dev, const char *reason)
{
	(void)dev;
	assert_string_equal(reason, "test");
	++*(unsigned *)owner;
}

/* A guest that breaks its device in a loop gets a few lines of the host's log, not all of it. */
static void test_complaints_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct capture capture;
	char text[4096];
	unsigned lines = 0, told = 0;

	f->dev.watcher = (struct virtio_watcher){ count_broken, &told };
	capture_stderr_begin(&capture);
	for (unsigned i = 0; i < 12; i++) {
		virtio_broken(&f->dev, "test");
		set(f, 0);
	}
	capture_stderr_end(&capture, text, sizeof(text));
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		lines++;
	assert_int_equal(lines, 8);
	assert_int_equal(told, 8);
	assert_non_null(strstr(text, "last time"));
}

static void test_2_1_2_broken_before_driver_ok_is_silent(void **state)
{
	struct fixture *f = *state;

	set(f, ACK);
	virtio_broken(&f->dev, "test");
	assert_int_equal(f->dev.status, ACK | NEEDS_RESET);
	assert_int_equal(f->transport.config_changes, 0);
}

static void test_start_error_unwinds(void **state)
{
	struct fixture *f = *state;

	f->backends[1].start_error = -EFAULT;
	set(f, ACK | DRIVER);
	ack_good(f);
	set(f, LIVE);
	assert_string_equal(f->calls, "+ABa");
	assert_int_equal(f->dev.status, LIVE | NEEDS_RESET);
	assert_false(f->dev.started);
	assert_int_equal(f->transport.attached, 0);
	/* A reset has nothing to stop, and recovers the device. */
	set(f, 0);
	assert_string_equal(f->calls, "+ABa-");
	f->backends[1].start_error = 0;
	go_live(f);
}

static void test_activate_error(void **state)
{
	struct fixture *f = *state;

	f->activate_error = -EPERM;
	set(f, ACK | DRIVER);
	ack_good(f);
	set(f, LIVE);
	assert_string_equal(f->calls, "+");
	assert_int_equal(f->dev.status, LIVE | NEEDS_RESET);
}

static void test_2_4_reset(void **state)
{
	struct fixture *f = *state;
	struct virtq *q = &f->dev.queues[1];

	q->state = (struct virtq_state){
		16, 3, 1, 100, 99, 0x1000, 0x2000, 0x3000, false
	};
	go_live(f);
	eventfd_signal(q->kick_fd);
	irq_line_raise(&q->irq);
	irq_line_raise(&f->dev.config_irq);
	set(f, 0);
	assert_string_equal(f->calls, "+ABba-");
	assert_int_equal(f->transport.detached, 1);
	assert_int_equal(f->dev.status, 0);
	assert_true(f->dev.acked == 0);
	assert_int_equal(q->state.size, MAX_SIZE);
	assert_int_equal(q->state.vector, VIRTQ_NO_VECTOR);
	assert_int_equal(q->state.enabled, 0);
	assert_int_equal(q->state.last_avail, 0);
	assert_int_equal(q->state.used_index, 0);
	assert_int_equal(q->state.desc | q->state.avail | q->state.used, 0);
	assert_int_equal(eventfd_drain(q->kick_fd), 0);
	assert_false(mock_irq_taken(&q->irq));
	assert_false(mock_irq_taken(&f->dev.config_irq));
}

static void test_freeze_stops_and_thaw_starts(void **state)
{
	struct fixture *f = *state;

	virtio_thaw(&f->dev);
	virtio_freeze(&f->dev);
	virtio_thaw(&f->dev);
	assert_string_equal(f->calls, "");
	go_live(f);
	virtio_freeze(&f->dev);
	virtio_freeze(&f->dev);
	assert_string_equal(f->calls, "+ABba");
	assert_int_equal(f->transport.detached, 1);
	assert_int_equal(f->dev.status, LIVE);
	virtio_thaw(&f->dev);
	virtio_thaw(&f->dev);
	assert_string_equal(f->calls, "+ABba+AB");
	assert_int_equal(f->transport.attached, 2);
	/* Nothing has happened for the driver. */
	assert_int_equal(f->dev.status, LIVE);
	assert_int_equal(f->transport.config_changes, 0);
	assert_false(mock_irq_taken(&f->dev.queues[0].irq));
}

/* vCPUs may run: the driver resets the device and sets it up again. */
static void test_held_device_does_not_start(void **state)
{
	struct fixture *f = *state;

	virtio_hold(&f->dev, VIRTIO_HELD_SWITCHED);
	go_live(f);
	assert_string_equal(f->calls, "");
	set(f, 0);
	go_live(f);
	assert_string_equal(f->calls, "-");
	assert_int_equal(f->transport.attached, 0);
	virtio_release(&f->dev, VIRTIO_HELD_SWITCHED);
	assert_string_equal(f->calls, "-+AB");
	assert_int_equal(f->dev.status, LIVE);
}

/* Whichever is released first: a machine that has moved away must not write any more. */
static void test_device_is_held_until_no_reason_is_left(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	virtio_hold(&f->dev, VIRTIO_HELD_SWITCHED);
	virtio_freeze(&f->dev);
	virtio_release(&f->dev, VIRTIO_HELD_SWITCHED);
	assert_string_equal(f->calls, "+ABba");
	virtio_thaw(&f->dev);
	assert_string_equal(f->calls, "+ABba+AB");
	virtio_hold(&f->dev, VIRTIO_HELD_SWITCHED);
	virtio_freeze(&f->dev);
	virtio_thaw(&f->dev);
	assert_string_equal(f->calls, "+ABba+ABba");
	virtio_release(&f->dev, VIRTIO_HELD_SWITCHED);
	assert_string_equal(f->calls, "+ABba+ABba+AB");
}

static void test_thaw_that_fails_breaks_the_device(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	virtio_freeze(&f->dev);
	f->backends[1].start_error = -EIO;
	virtio_thaw(&f->dev);
	assert_int_equal(f->dev.status, LIVE | NEEDS_RESET);
	assert_int_equal(f->transport.config_changes, 1);
}

static void test_broken_device_stays_still(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	virtio_broken(&f->dev, "test");
	memset(f->calls, 0, sizeof(f->calls));
	virtio_freeze(&f->dev);
	virtio_thaw(&f->dev);
	assert_string_equal(f->calls, "");
}

static void test_freeze_that_loses_a_request_breaks_the_device(void **state)
{
	struct fixture *f = *state;
	struct capture capture;

	go_live(f);
	f->dev.queues[1].taken = 1;
	capture_stderr_begin(&capture);
	virtio_freeze(&f->dev);
	capture_expect(&capture, "a request was lost");
	assert_int_equal(f->dev.status, LIVE | NEEDS_RESET);
}

/* The next driver may not use that queue. */
static void test_request_dropped_by_a_reset_is_not_lost(void **state)
{
	struct fixture *f = *state;

	go_live(f);
	f->dev.queues[1].taken = 1;
	set(f, 0);
	go_live(f);
	virtio_freeze(&f->dev);
	assert_int_equal(f->dev.status, LIVE);
}

static void test_2_4_reset_many_times(void **state)
{
	struct fixture *f = *state;
	unsigned fds;

	go_live(f);
	fds = fake_open_fds();
	for (unsigned i = 0; i < 5; i++) {
		set(f, 0);
		memset(f->calls, 0, sizeof(f->calls));
		go_live(f);
	}
	assert_int_equal(fake_open_fds(), fds);
}

static void test_2_5_config_bounds(void **state)
{
	struct fixture *f = *state;
	const uint8_t zero[8] = { 0 };
	uint8_t buf[8];

	for (unsigned i = 0; i < CONFIG_LEN; i++)
		f->config[i] = (uint8_t)(i + 1);
	virtio_config_read(&f->dev, CONFIG_LEN - 4, buf, 4);
	assert_memory_equal(buf, f->config + CONFIG_LEN - 4, 4);
	virtio_config_read(&f->dev, CONFIG_LEN - 3, buf, 4);
	assert_memory_equal(buf, zero, 4);
	virtio_config_read(&f->dev, UINT32_MAX - 3, buf, 8);
	assert_memory_equal(buf, zero, 8);

	memset(buf, 0xee, sizeof(buf));
	virtio_config_write(&f->dev, CONFIG_LEN - 3, buf, 4);
	virtio_config_write(&f->dev, UINT32_MAX - 3, buf, 8);
	assert_int_equal(f->config[CONFIG_LEN - 1], CONFIG_LEN);
	virtio_config_write(&f->dev, CONFIG_LEN - 1, buf, 1);
	assert_int_equal(f->config[CONFIG_LEN - 1], 0xee);
}

static void test_2_5_2_config_generation(void **state)
{
	struct fixture *f = *state;
	uint8_t before = f->dev.config_generation;

	virtio_config_changed(&f->dev);
	assert_int_not_equal(f->dev.config_generation, before);
	/* §2.3: not before DRIVER_OK. */
	assert_int_equal(f->transport.config_changes, 0);
	go_live(f);
	virtio_config_changed(&f->dev);
	assert_int_equal(f->transport.config_changes, 1);
}

static void test_queue_writable(void **state)
{
	struct fixture *f = *state;
	struct virtq *q = &f->dev.queues[0];

	assert_true(virtio_queue_writable(&f->dev, q));
	q->state.enabled = 1;
	assert_false(virtio_queue_writable(&f->dev, q));
	q->state.enabled = 0;
	go_live(f);
	assert_false(virtio_queue_writable(&f->dev, q));
}

/* Each queue has two fds and the device one: fails at each of them. */
static void test_init_failures_leak_nothing(void **state)
{
	enum { LIMIT = 128, NEEDED = 1 + 2 * QUEUES };
	struct fixture *f = *state;
	struct rlimit before, limit;
	struct virtio_dev dev;
	int fillers[LIMIT];

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = (struct rlimit){ LIMIT, before.rlim_max };
	for (unsigned spare = 0; spare <= NEEDED; spare++) {
		unsigned count = 0, fds = fake_open_fds();
		int ret;

		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		while ((fillers[count] = dup(f->env.loop.stop_fd)) >= 0)
			count++;
		assert_true(count > NEEDED);
		for (unsigned i = 0; i < spare; i++)
			close_fd(&fillers[--count]);
		ret = virtio_dev_init(&dev, &model, &f->env.virtio, 0, 0, 0, QUEUES, MAX_SIZE);
		assert_int_equal(ret, spare < NEEDED ? -EMFILE : 0);
		if (!ret)
			virtio_dev_destroy(&dev);
		while (count)
			close_fd(&fillers[--count]);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		assert_int_equal(fake_open_fds(), fds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_power_on),
		TEST(test_3_1_1_initialisation),
		TEST(test_3_1_1_features_ok_refused),
		TEST(test_6_1_features_ok_without_version_1),
		TEST(test_3_1_1_features_ok_before_driver),
		TEST(test_3_1_1_features_settled_by_features_ok),
		TEST(test_2_2_feature_words_beyond_64_bits),
		TEST(test_3_1_1_driver_ok_without_features_ok),
		TEST(test_3_1_1_refused_features_do_not_start),
		TEST(test_2_1_1_driver_cannot_clear_bits),
		TEST(test_2_1_1_driver_cannot_set_needs_reset),
		TEST(test_2_1_2_broken),
		TEST(test_complaints_are_bounded),
		TEST(test_2_1_2_broken_before_driver_ok_is_silent),
		TEST(test_start_error_unwinds),
		TEST(test_activate_error),
		TEST(test_2_4_reset),
		TEST(test_freeze_stops_and_thaw_starts),
		TEST(test_held_device_does_not_start),
		TEST(test_device_is_held_until_no_reason_is_left),
		TEST(test_thaw_that_fails_breaks_the_device),
		TEST(test_broken_device_stays_still),
		TEST(test_freeze_that_loses_a_request_breaks_the_device),
		TEST(test_request_dropped_by_a_reset_is_not_lost),
		TEST(test_2_4_reset_many_times),
		TEST(test_2_5_config_bounds),
		TEST(test_2_5_2_config_generation),
		TEST(test_queue_writable),
		TEST(test_init_failures_leak_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
