/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-console, virtio 1.2 §5.3. */
#include "backend/local.h"
#include "base/le.h"
#include "capture.h"
#include "saved.h"
#include "mock_ring.h"
#include "devices/console.h"
#include "unit.h"

#include <linux/virtio_console.h>
#include <stdio.h>
#include <string.h>

enum { IN0, OUT0, CONTROL_IN, CONTROL_OUT, IN1, OUT1, IN2, OUT2, IN3, OUT3, QUEUES };
enum { STREAM = VIRTIO_CONSOLE_FIRST_STREAM, OTHER_STREAM, PORTS };
enum { RING = 32, SLOT = 4096, RINGS_AT = 2 << 20 };

static const uint64_t MULTIPORT = 1ULL << VIRTIO_CONSOLE_F_MULTIPORT;
static const uint64_t SIZE = 1ULL << VIRTIO_CONSOLE_F_SIZE;

struct fixture {
	struct mock_env env;
	struct mock_ring rings[QUEUES];
	struct mock_transport transport;
	uint64_t buffers[QUEUES]; /* GPA of RING slots of SLOT bytes, by head */
	char output[256];
	size_t output_len;
	uint64_t output_total;
	size_t output_room; /* bytes accepted before output is refused */
	unsigned wanted, drained;
	unsigned wanted_port, output_port; /* of the last call */
	int statuses[8];
	unsigned status_count;
};

static size_t got_output(void *owner, unsigned port, const uint8_t *data, size_t len)
{
	struct fixture *f = owner;
	size_t room = sizeof(f->output) - f->output_len;
	size_t taken = len < f->output_room ? len : f->output_room;
	size_t n = taken < room ? taken : room;

	memcpy(f->output + f->output_len, data, n);
	f->output_len += n;
	f->output_total += taken;
	f->output_room -= taken;
	f->output_port = port;
	return taken;
}

static void got_input_wanted(void *owner, unsigned port)
{
	struct fixture *f = owner;

	f->wanted++;
	f->wanted_port = port;
}

static void got_drained(void *owner)
{
	((struct fixture *)owner)->drained++;
}

static void got_status(void *owner, uint8_t status)
{
	struct fixture *f = owner;

	if (f->status_count < ARRAY_SIZE(f->statuses))
		f->statuses[f->status_count++] = status;
}

static const struct virtio_console_ops ops = {
	.output = got_output,
	.input_wanted = got_input_wanted,
	.status = got_status,
	.drained = got_drained,
};

/* Fresh rings, like those of a driver that binds again. */
static void bind_rings(struct fixture *f)
{
	f->env.next = RINGS_AT;
	memset(gmem_ptr(&f->env.mem, RINGS_AT, MOCK_SLOT_LEN - RINGS_AT), 0,
	       MOCK_SLOT_LEN - RINGS_AT);
	for (unsigned i = 0; i < QUEUES; i++) {
		mock_ring_init(&f->rings[i], &f->env, RING);
		mock_ring_bind(&f->rings[i], &f->env.dev->queues[i]);
	}
}

static void make_device(struct fixture *f)
{
	static const char *const streams[] = { "in", "out" };
	const struct virtio_console_options options = {
		.ops = &ops,
		.owner = f,
		.streams = streams,
		.stream_count = ARRAY_SIZE(streams),
	};

	assert_int_equal(virtio_console_new(&f->env.dev, &f->env.virtio, 0, &options), 0);
	assert_int_equal(f->env.dev->queue_count, QUEUES);
	assert_int_equal(local_backend_bind(f->env.dev, 0, QUEUES), 0);
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	mock_env_init(&f->env);
	f->output_room = SIZE_MAX;
	make_device(f);
	for (unsigned i = 0; i < QUEUES; i++)
		f->buffers[i] = mock_alloc(&f->env, RING * SLOT, SLOT);
	bind_rings(f);
	*state = f;
	return 0;
}

static size_t input(struct fixture *f, unsigned port, const void *data, size_t len)
{
	return virtio_console_input(f->env.dev, port, data, len);
}

static void run(struct fixture *f, unsigned ring)
{
	mock_ring_kick(&f->rings[ring]);
	mock_env_dispatch(&f->env);
}

/* Gives `n` buffers of `len` bytes to the device. Each is the slot of its (single) descriptor. */
static void give(struct fixture *f, unsigned ring, unsigned n, uint32_t len)
{
	while (n--) {
		struct mock_ring *r = &f->rings[ring];
		uint16_t head = 0;
		struct mock_buf buf = { .len = len, .writable = true };

		while (r->busy[head])
			head++;
		buf.gpa = f->buffers[ring] + head * SLOT;
		mock_ring_add(r, &buf, 1);
	}
}

/* Sends bytes as one chain, in two pieces. Not kicked. */
static void send(struct fixture *f, unsigned ring, const void *data, uint32_t len)
{
	uint64_t gpa = mock_alloc(&f->env, len, 1);
	struct mock_buf bufs[] = {
		{ .gpa = gpa, .len = len / 2 },
		{ .gpa = gpa + len / 2, .len = len - len / 2 },
	};

	assert_int_equal(gmem_write(&f->env.mem, gpa, data, len), 0);
	mock_ring_add(&f->rings[ring], bufs, 2);
}

static void print(struct fixture *f, unsigned ring, const char *text)
{
	uint16_t head;
	uint32_t written;

	send(f, ring, text, (uint32_t)strlen(text));
	run(f, ring);
	while (mock_ring_reap(&f->rings[ring], &head, &written))
		assert_int_equal(written, 0);
}

static void queue_control(struct fixture *f, uint32_t id, uint16_t event, uint16_t value)
{
	uint8_t message[8];

	put_le32(message, id);
	put_le16(message + 4, event);
	put_le16(message + 6, value);
	send(f, CONTROL_OUT, message, sizeof(message));
}

static void control(struct fixture *f, uint32_t id, uint16_t event, uint16_t value)
{
	uint16_t head;
	uint32_t written;

	queue_control(f, id, event, value);
	run(f, CONTROL_OUT);
	assert_true(mock_ring_reap(&f->rings[CONTROL_OUT], &head, &written));
}

/* The next control message from the device: its bytes in hexadecimal; "" when there is none. */
static const char *next_control(struct fixture *f)
{
	static char text[128];
	uint16_t head;
	uint32_t len;
	const uint8_t *p;

	text[0] = '\0';
	if (!mock_ring_reap(&f->rings[CONTROL_IN], &head, &len))
		return text;
	p = gmem_ptr(&f->env.mem, f->buffers[CONTROL_IN] + head * SLOT, SLOT);
	assert_true(len >= 8 && len < 40);
	for (uint32_t i = 0; i < len; i++)
		sprintf(text + 2 * i, "%02x", p[i]);
	return text;
}

static void expect_control(struct fixture *f, uint32_t id, uint16_t event, const char *more)
{
	char text[128];

	snprintf(text, sizeof(text), "%02x000000%02x000100%s", id, event, more);
	assert_string_equal(next_control(f), text);
}

/* What Linux does at probe, up to and without the opening of a port. */
static void probe(struct fixture *f)
{
	mock_driver_start(f->env.dev, &f->transport, MULTIPORT | SIZE);
	give(f, CONTROL_IN, RING, SLOT);
	run(f, CONTROL_IN);
	control(f, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	for (unsigned i = 0; i < PORTS; i++)
		control(f, i, VIRTIO_CONSOLE_PORT_READY, 1);
	while (next_control(f)[0])
		;
}

static void test_probe_announces_ports_in_order(void **state)
{
	struct fixture *f = *state;

	virtio_console_resize(f->env.dev, 80, 25);
	mock_driver_start(f->env.dev, &f->transport, MULTIPORT | SIZE);
	give(f, CONTROL_IN, RING, SLOT);
	run(f, CONTROL_IN);
	assert_string_equal(next_control(f), "");

	control(f, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	expect_control(f, 0, VIRTIO_CONSOLE_PORT_ADD, "");
	expect_control(f, 1, VIRTIO_CONSOLE_PORT_ADD, "");
	expect_control(f, STREAM, VIRTIO_CONSOLE_PORT_ADD, "");
	expect_control(f, OTHER_STREAM, VIRTIO_CONSOLE_PORT_ADD, "");
	assert_string_equal(next_control(f), "");

	control(f, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_control(f, 0, VIRTIO_CONSOLE_CONSOLE_PORT, "");
	expect_control(f, 0, VIRTIO_CONSOLE_RESIZE, "50001900");
	expect_control(f, 0, VIRTIO_CONSOLE_PORT_OPEN, "");
	assert_string_equal(next_control(f), "");

	control(f, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_control(f, 1, VIRTIO_CONSOLE_PORT_OPEN, "");
	expect_control(f, 1, VIRTIO_CONSOLE_PORT_NAME, "6b696e676c65742e737461747573");
	assert_string_equal(next_control(f), "");

	control(f, OTHER_STREAM, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_control(f, OTHER_STREAM, VIRTIO_CONSOLE_PORT_OPEN, "");
	expect_control(f, OTHER_STREAM, VIRTIO_CONSOLE_PORT_NAME, "6f7574");
	assert_string_equal(next_control(f), "");
	assert_true(mock_irq_taken(&f->env.dev->queues[CONTROL_IN].irq));
}

static void test_control_messages_wait_for_buffers(void **state)
{
	struct fixture *f = *state;

	mock_driver_start(f->env.dev, &f->transport, MULTIPORT | 1ULL << VIRTIO_RING_F_EVENT_IDX);
	mock_env_dispatch(&f->env);
	/* Requested many times and sent once. */
	for (unsigned i = 0; i < 100; i++)
		control(f, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	give(f, CONTROL_IN, 1, 8);
	run(f, CONTROL_IN);
	expect_control(f, 0, VIRTIO_CONSOLE_PORT_ADD, "");
	assert_string_equal(next_control(f), "");
	give(f, CONTROL_IN, 5, 8);
	run(f, CONTROL_IN);
	expect_control(f, 1, VIRTIO_CONSOLE_PORT_ADD, "");
	expect_control(f, STREAM, VIRTIO_CONSOLE_PORT_ADD, "");
	expect_control(f, OTHER_STREAM, VIRTIO_CONSOLE_PORT_ADD, "");
	assert_string_equal(next_control(f), "");
}

static void test_odd_control_messages_are_ignored(void **state)
{
	struct fixture *f = *state;

	probe(f);
	control(f, PORTS, VIRTIO_CONSOLE_PORT_READY, 1);
	control(f, 0x7fffffff, VIRTIO_CONSOLE_PORT_READY, 1);
	control(f, 0xffffffff, VIRTIO_CONSOLE_PORT_OPEN, 1);
	control(f, 0, 999, 1);
	send(f, CONTROL_OUT, "\0\0\0\0\3\0\1", 7);
	run(f, CONTROL_OUT);
	assert_string_equal(next_control(f), "");
	assert_false(f->env.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	/* A driver that could not create the port gets nothing more. */
	control(f, 0, VIRTIO_CONSOLE_PORT_READY, 0);
	assert_string_equal(next_control(f), "");
}

static void test_small_control_buffer_breaks_device(void **state)
{
	struct fixture *f = *state;
	struct capture capture;

	mock_driver_start(f->env.dev, &f->transport, MULTIPORT);
	give(f, CONTROL_IN, 1, 7);
	capture_stderr_begin(&capture);
	queue_control(f, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	run(f, CONTROL_OUT);
	capture_expect(&capture, "buffer too small");
	assert_true(f->env.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void test_output(void **state)
{
	struct fixture *f = *state;

	probe(f);
	print(f, OUT0, "Hello, ");
	print(f, OUT0, "world\n");
	assert_int_equal(f->output_len, 13);
	assert_memory_equal(f->output, "Hello, world\n", 13);
	assert_true(mock_irq_taken(&f->env.dev->queues[OUT0].irq));
	assert_int_equal(f->status_count, 0);
}

static void test_output_without_multiport(void **state)
{
	struct fixture *f = *state;

	mock_driver_start(f->env.dev, &f->transport, 0);
	print(f, OUT0, "plain");
	assert_memory_equal(f->output, "plain", 5);
}

/* A chain of 6 MiB, from the same 4 MiB of RAM: shared out over turns, no byte lost or doubled. */
static void test_huge_output_takes_turns(void **state)
{
	struct fixture *f = *state;
	struct mock_buf bufs[] = {
		{ .gpa = MOCK_HIGH, .len = MOCK_SLOT_LEN - 1 },
		{ .gpa = MOCK_HIGH, .len = 2 << 20 },
	};
	uint64_t total = MOCK_SLOT_LEN - 1 + (2 << 20);
	uint32_t written;
	uint16_t head;

	probe(f);
	mock_ring_add(&f->rings[OUT0], bufs, 2);
	mock_ring_kick(&f->rings[OUT0]);
	assert_true(mock_env_wait(&f->env, 0));
	assert_int_equal(f->output_total, 64 << 10);
	assert_false(mock_ring_reap(&f->rings[OUT0], &head, &written));
	mock_env_dispatch(&f->env);
	assert_int_equal(f->output_total, total);
	assert_true(mock_ring_reap(&f->rings[OUT0], &head, &written));

	/* The next chain starts at its own first byte. */
	f->output_len = 0;
	print(f, OUT0, "next");
	assert_memory_equal(f->output, "next", 4);
	assert_int_equal(f->output_total, total + 4);
}

/*
 * A slow reader: what it does not take stays in the guest's buffer, and the loop does not spin
 * meanwhile.
 */
static void test_refused_output_waits_for_room(void **state)
{
	struct fixture *f = *state;
	uint32_t written;
	uint16_t head;

	probe(f);
	f->output_room = 3;
	print(f, OUT0, "Hello");
	assert_memory_equal(f->output, "Hel", 3);
	assert_int_equal(f->output_len, 3);
	assert_false(mock_ring_reap(&f->rings[OUT0], &head, &written));
	assert_false(mock_env_wait(&f->env, 0));

	f->output_room = 4;
	print(f, OUT0, " you");
	assert_int_equal(f->output_len, 3);
	virtio_console_output_ready(f->env.dev, VIRTIO_CONSOLE_PORT);
	mock_env_dispatch(&f->env);
	assert_int_equal(f->output_len, 7);

	f->output_room = SIZE_MAX;
	virtio_console_output_ready(f->env.dev, VIRTIO_CONSOLE_PORT);
	mock_env_dispatch(&f->env);
	assert_int_equal(f->output_len, 9);
	assert_memory_equal(f->output, "Hello you", 9);
	assert_true(mock_ring_reap(&f->rings[OUT0], &head, &written));
	assert_true(mock_ring_reap(&f->rings[OUT0], &head, &written));
}

static void test_input_waits_until_guest_opens(void **state)
{
	struct fixture *f = *state;
	const char *typed = "ls\n";
	uint32_t written;
	uint16_t head;

	assert_int_equal(input(f, VIRTIO_CONSOLE_PORT, typed, 3), 0);
	probe(f);
	give(f, IN0, 4, SLOT);
	run(f, IN0);
	assert_int_equal(f->wanted, 0);
	assert_int_equal(input(f, VIRTIO_CONSOLE_PORT, typed, 3), 0);
	assert_false(mock_ring_reap(&f->rings[IN0], &head, &written));

	control(f, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(f->wanted, 1);
	assert_int_equal(input(f, VIRTIO_CONSOLE_PORT, typed, 3), 3);
	assert_true(mock_ring_reap(&f->rings[IN0], &head, &written));
	assert_int_equal(written, 3);
	assert_memory_equal(gmem_ptr(&f->env.mem, f->buffers[IN0] + head * SLOT, 3), typed, 3);
	assert_true(mock_irq_taken(&f->env.dev->queues[IN0].irq));

	control(f, 0, VIRTIO_CONSOLE_PORT_OPEN, 0);
	assert_int_equal(input(f, VIRTIO_CONSOLE_PORT, typed, 3), 0);
	assert_int_equal(f->wanted, 1);
}

static void input_back_pressure(struct fixture *f, uint64_t features)
{
	uint8_t typed[100];
	uint32_t written;
	uint16_t head;

	for (unsigned i = 0; i < sizeof(typed); i++)
		typed[i] = (uint8_t)i;
	mock_driver_start(f->env.dev, &f->transport, features);
	give(f, IN0, 2, 30);
	run(f, IN0);
	assert_int_equal(input(f, VIRTIO_CONSOLE_PORT, typed, 100), 60);
	assert_int_equal(f->wanted, 0);
	assert_int_equal(input(f, VIRTIO_CONSOLE_PORT, typed + 60, 40), 0);

	give(f, IN0, 1, 30);
	run(f, IN0);
	assert_int_equal(f->wanted, 1);
	assert_int_equal(input(f, VIRTIO_CONSOLE_PORT, typed + 60, 40), 30);
	give(f, IN0, 1, 30);
	run(f, IN0);
	assert_int_equal(f->wanted, 2);
	assert_int_equal(input(f, VIRTIO_CONSOLE_PORT, typed + 90, 10), 10);

	for (unsigned at = 0; at < 100; at += written) {
		assert_true(mock_ring_reap(&f->rings[IN0], &head, &written));
		assert_int_equal(written, at < 90 ? 30 : 10);
		assert_memory_equal(gmem_ptr(&f->env.mem, f->buffers[IN0] + head * SLOT, written),
				    typed + at, written);
	}
	/* Nobody waits any more. */
	give(f, IN0, 1, 30);
	run(f, IN0);
	assert_int_equal(f->wanted, 2);
}

static void test_input_back_pressure_flags(void **state)
{
	input_back_pressure(*state, 0);
}

static void test_input_back_pressure_event_index(void **state)
{
	input_back_pressure(*state, 1ULL << VIRTIO_RING_F_EVENT_IDX);
}

/* As Linux reads a long input: a buffer is offered again, and kicked for, with each page. */
static void test_long_input_waits_for_half_of_the_buffers(void **state)
{
	struct fixture *f = *state;
	static const uint8_t data[2 * RING];
	uint32_t written;
	uint16_t head;

	mock_driver_start(f->env.dev, &f->transport, 1ULL << VIRTIO_RING_F_EVENT_IDX);
	give(f, IN0, RING, 1);
	run(f, IN0);
	assert_int_equal(input(f, VIRTIO_CONSOLE_PORT, data, sizeof(data)), RING);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 1; i < RING / 2; i++) {
			assert_true(mock_ring_reap(&f->rings[IN0], &head, &written));
			give(f, IN0, 1, 1);
			assert_false(mock_ring_kick(&f->rings[IN0]));
		}
		assert_int_equal(f->wanted, round);
		assert_true(mock_ring_reap(&f->rings[IN0], &head, &written));
		give(f, IN0, 1, 1);
		assert_true(mock_ring_kick(&f->rings[IN0]));
		mock_env_dispatch(&f->env);
		assert_int_equal(f->wanted, round + 1);
		assert_int_equal(input(f, VIRTIO_CONSOLE_PORT, data, sizeof(data)), RING / 2);
	}
}

static void test_resize_tells_driver(void **state)
{
	struct fixture *f = *state;
	uint8_t config[8];

	virtio_console_resize(f->env.dev, 80, 25);
	probe(f);
	f->transport.config_changes = 0;
	virtio_console_resize(f->env.dev, 132, 43);
	expect_control(f, 0, VIRTIO_CONSOLE_RESIZE, "84002b00");
	assert_int_equal(f->transport.config_changes, 1);
	virtio_config_read(f->env.dev, 0, config, sizeof(config));
	assert_memory_equal(config, "\x84\x00\x2b\x00\x04\x00\x00\x00", 8);
	/* The same size again is not reported. */
	virtio_console_resize(f->env.dev, 132, 43);
	assert_string_equal(next_control(f), "");
	assert_int_equal(f->transport.config_changes, 1);
}

static void test_config_is_bounded(void **state)
{
	struct fixture *f = *state;
	uint8_t byte = 0xff;

	virtio_config_read(f->env.dev, 4, &byte, 1);
	assert_int_equal(byte, PORTS);
	byte = 0xff;
	virtio_config_read(f->env.dev, 8, &byte, 1);
	assert_int_equal(byte, 0);
}

static void test_status_lines(void **state)
{
	static const struct {
		const char *text;
		int status; /* -1: none */
	} cases[] = {
		{ "0\n", 0 },           { "7\n", 7 },         { "255\n", 255 },
		{ "256\n", -1 },        { "\n", -1 },         { "abc\n", -1 },
		{ "-1\n", -1 },         { " 42 \r\n", 42 },   { "1 2\n", -1 },
		{ "0x10\n", -1 },       { "00000003\n", 3 },  { "000000003\n", -1 },
		{ "4294967296\n", -1 }, { "3", -1 },          { "1\n", 31 },
		{ "3.\n", -1 },         { "99999999\n", -1 },
	};
	struct fixture *f = *state;
	struct capture capture;
	char text[2048], *first;

	probe(f);
	control(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	capture_stderr_begin(&capture);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		f->status_count = 0;
		print(f, OUT1, cases[i].text);
		assert_int_equal(f->status_count, cases[i].status >= 0);
		if (f->status_count)
			assert_int_equal(f->statuses[0], cases[i].status);
	}
	capture_stderr_end(&capture, text, sizeof(text));
	/* Garbage is reported once. */
	first = strstr(text, "kinglet.status");
	assert_non_null(first);
	assert_null(strstr(first + 1, "kinglet.status"));
	assert_int_equal(f->output_total, 0);
}

/*
 * printf 9 > /dev/vport0p1 in Linux: the data and the close wait in two queues, and close(2) goes
 * on when its message is taken.
 */
static void test_close_ends_line_after_data(void **state)
{
	struct fixture *f = *state;

	probe(f);
	control(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	send(f, OUT1, "09", 2);
	/* No kick for the data: only the control queue's event is seen. */
	control(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	assert_int_equal(f->status_count, 1);
	assert_int_equal(f->statuses[0], 9);
	/* Closing again has no effect. */
	control(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	assert_int_equal(f->status_count, 1);
}

/* Each stream has its own input, output and back-pressure. */
static void test_streams_are_apart(void **state)
{
	struct fixture *f = *state;
	const char *data = "\0data";
	uint32_t written;
	uint16_t head;

	probe(f);
	give(f, IN0, 1, SLOT);
	give(f, IN2, 1, SLOT);
	control(f, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(input(f, STREAM, data, 5), 0);
	control(f, STREAM, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(f->wanted, 1);
	assert_int_equal(f->wanted_port, STREAM);
	assert_int_equal(input(f, STREAM, data, 5), 5);
	assert_false(mock_ring_reap(&f->rings[IN0], &head, &written));
	assert_true(mock_ring_reap(&f->rings[IN2], &head, &written));
	assert_int_equal(written, 5);
	assert_memory_equal(gmem_ptr(&f->env.mem, f->buffers[IN2] + head * SLOT, 5), data, 5);

	f->output_room = 2;
	print(f, OUT3, "Hello");
	assert_int_equal(f->output_port, OTHER_STREAM);
	f->output_room = SIZE_MAX;
	print(f, OUT0, "|console|");
	print(f, OUT2, "stream");
	assert_int_equal(f->output_port, STREAM);
	virtio_console_output_ready(f->env.dev, STREAM);
	mock_env_dispatch(&f->env);
	assert_int_equal(f->output_len, 2 + 9 + 6);
	virtio_console_output_ready(f->env.dev, OTHER_STREAM);
	mock_env_dispatch(&f->env);
	assert_int_equal(f->output_len, 2 + 9 + 6 + 3);
	assert_memory_equal(f->output, "He|console|streamllo", f->output_len);
	assert_int_equal(f->status_count, 0);
}

static void test_hang_up_tells_guest(void **state)
{
	struct fixture *f = *state;
	const char *data = "x";
	uint32_t written;
	uint16_t head;

	probe(f);
	control(f, STREAM, VIRTIO_CONSOLE_PORT_OPEN, 1);
	give(f, IN2, 1, SLOT);
	assert_int_equal(input(f, STREAM, data, 1), 1);
	virtio_console_hang_up(f->env.dev, STREAM);
	assert_true(mock_ring_reap(&f->rings[IN2], &head, &written));
	assert_string_equal(next_control(f), "0200000006000000");
	virtio_console_hang_up(f->env.dev, STREAM);
	assert_string_equal(next_control(f), "");

	/* The next driver is not notified of an open port, nor of its closing. */
	control(f, STREAM, VIRTIO_CONSOLE_PORT_READY, 1);
	expect_control(f, STREAM, VIRTIO_CONSOLE_PORT_NAME, "696e");
	assert_string_equal(next_control(f), "");
}

/* A guest that waits for room does not wait forever. */
static void test_hang_up_drops_output(void **state)
{
	struct fixture *f = *state;
	uint32_t written;
	uint16_t head;

	probe(f);
	f->output_room = 2;
	print(f, OUT3, "Hello");
	assert_false(mock_ring_reap(&f->rings[OUT3], &head, &written));
	f->output_room = SIZE_MAX;
	virtio_console_hang_up(f->env.dev, OTHER_STREAM);
	mock_env_dispatch(&f->env);
	assert_true(mock_ring_reap(&f->rings[OUT3], &head, &written));
	print(f, OUT3, "more");
	assert_int_equal(f->output_len, 2);
}

static void test_status_is_drained_behind_output(void **state)
{
	struct fixture *f = *state;

	probe(f);
	print(f, OUT3, "Hello");
	assert_int_equal(f->drained, 0);
	f->output_room = 1;
	print(f, OUT3, "there");
	send(f, OUT2, "unseen", 6); /* without a kick */
	print(f, OUT1, "5\n");
	assert_int_equal(f->status_count, 1);
	assert_int_equal(f->drained, 0);
	f->output_room = SIZE_MAX;
	virtio_console_output_ready(f->env.dev, OTHER_STREAM);
	mock_env_dispatch(&f->env);
	assert_int_equal(f->drained, 0);
	run(f, OUT2);
	assert_int_equal(f->drained, 1);
	print(f, OUT3, "again");
	assert_int_equal(f->drained, 1);
}

static void test_rebind_starts_over(void **state)
{
	struct fixture *f = *state;

	for (unsigned round = 0; round < 5; round++) {
		bind_rings(f);
		probe(f);
		control(f, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
		give(f, IN0, 1, SLOT);
		assert_int_equal(input(f, VIRTIO_CONSOLE_PORT, "x", 1), 1);
		assert_int_equal(input(f, VIRTIO_CONSOLE_PORT, "y", 1), 0);
		/* Half a line, and half a chain, which the next driver must not inherit. */
		print(f, OUT1, "1");
		mock_ring_add(&f->rings[OUT0],
			      &(struct mock_buf){ .gpa = MOCK_HIGH, .len = 100 << 10 }, 1);
		mock_ring_kick(&f->rings[OUT0]);
		assert_true(mock_env_wait(&f->env, 0));
		mock_driver_status(f->env.dev, 0);
		mock_env_dispatch(&f->env);
		assert_int_equal(input(f, VIRTIO_CONSOLE_PORT, "y", 1), 0);
	}
	bind_rings(f);
	probe(f);
	assert_int_equal(f->wanted, 4);
	control(f, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(f->wanted, 5);
	control(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	f->output_len = 0;
	print(f, OUT0, "whole");
	assert_memory_equal(f->output, "whole", 5);
	print(f, OUT1, "5\n");
	assert_int_equal(f->status_count, 1);
	assert_int_equal(f->statuses[0], 5);
}

static void test_broken_rings(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < QUEUES; i++) {
		struct capture capture;
		char text[256];
		bool used = i != IN1 && i != IN2 && i != IN3; /* never looked at */

		bind_rings(f);
		mock_driver_start(f->env.dev, &f->transport, MULTIPORT);
		mock_env_dispatch(&f->env);
		capture_stderr_begin(&capture);
		control(f, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
		mock_ring_set_avail_index(&f->rings[i], f->rings[i].avail_index + RING + 1);
		run(f, i);
		(void)input(f, VIRTIO_CONSOLE_PORT, "x", 1);
		queue_control(f, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
		run(f, CONTROL_OUT);
		capture_stderr_end(&capture, text, sizeof(text));
		assert_int_equal(!!(f->env.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET), used);
		assert_int_equal(!!strstr(text, "broken ring"), used);
		mock_driver_status(f->env.dev, 0);
	}
}

/* --- Save and restore --- */

static void freeze_and_thaw(struct fixture *f)
{
	virtio_freeze(f->env.dev);
	virtio_thaw(f->env.dev);
	mock_env_dispatch(&f->env);
	assert_false(f->env.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* Another device takes the driver over; its terminal has this size. Not yet thawed. */
static void replace(struct fixture *f, uint16_t cols, uint16_t rows)
{
	struct saved saved;

	virtio_freeze(f->env.dev);
	device_save(&saved, f->env.dev);
	mock_driver_status(f->env.dev, 0);
	f->env.dev->model->destroy(f->env.dev);
	make_device(f);
	virtio_console_resize(f->env.dev, cols, rows);
	mock_transport_init(&f->transport, f->env.dev);
	for (unsigned i = 0; i < QUEUES; i++)
		f->rings[i].q = &f->env.dev->queues[i];
	assert_int_equal(device_load(&saved, f->env.dev), 0);
	if (!cols)
		device_expect_same(&saved, f->env.dev);
	saved_free(&saved);
}

static void restore(struct fixture *f)
{
	replace(f, 0, 0);
	virtio_thaw(f->env.dev);
	device_restored(f->env.dev);
	mock_env_dispatch(&f->env);
	assert_false(f->env.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* A chain is passed on in three parts: by this device, after a freeze, and by the next device. */
static void test_each_byte_is_passed_on_once(void **state)
{
	struct fixture *f = *state;
	uint32_t written;
	uint16_t head;

	probe(f);
	f->output_room = 3;
	print(f, OUT0, "Hello, ");
	print(f, OUT0, "world");
	assert_int_equal(f->output_len, 3);
	freeze_and_thaw(f);
	assert_int_equal(f->output_len, 3);
	f->output_room = 2;
	virtio_console_output_ready(f->env.dev, VIRTIO_CONSOLE_PORT);
	mock_env_dispatch(&f->env);
	assert_int_equal(f->output_len, 5);
	assert_false(mock_ring_reap(&f->rings[OUT0], &head, &written));
	f->output_room = SIZE_MAX;
	restore(f);
	assert_int_equal(f->output_len, 12);
	assert_memory_equal(f->output, "Hello, world", 12);
	for (unsigned i = 0; i < 2; i++)
		assert_true(mock_ring_reap(&f->rings[OUT0], &head, &written));
	assert_false(mock_ring_reap(&f->rings[OUT0], &head, &written));
}

/* The port is still open, and an owner that was refused is woken. */
static void test_input_goes_on(void **state)
{
	struct fixture *f = *state;
	const char *data = "abc";
	uint32_t written;
	uint16_t head;

	probe(f);
	control(f, STREAM, VIRTIO_CONSOLE_PORT_OPEN, 1);
	give(f, IN2, 2, 1);
	assert_int_equal(input(f, STREAM, data, 3), 2);
	replace(f, 0, 0);
	assert_int_equal(input(f, STREAM, data + 2, 1), 0);
	f->wanted = 0;
	virtio_thaw(f->env.dev);
	mock_env_dispatch(&f->env);
	assert_int_equal(f->wanted, 1);
	assert_int_equal(f->wanted_port, STREAM);
	give(f, IN2, 1, 1);
	run(f, IN2);
	assert_int_equal(input(f, STREAM, data + 2, 1), 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(mock_ring_reap(&f->rings[IN2], &head, &written));
		assert_int_equal(written, 1);
		assert_memory_equal(gmem_ptr(&f->env.mem, f->buffers[IN2] + head * SLOT, 1),
				    data + i, 1);
	}
	assert_false(mock_ring_reap(&f->rings[IN2], &head, &written));
}

/* A line of the status port that has begun, and one that waits to be drained. */
static void test_status_goes_on(void **state)
{
	struct fixture *f = *state;

	probe(f);
	print(f, OUT1, "4");
	restore(f);
	f->output_room = 1;
	print(f, OUT3, "there");
	print(f, OUT1, "2\n");
	assert_int_equal(f->status_count, 1);
	assert_int_equal(f->statuses[0], 42);
	freeze_and_thaw(f);
	assert_int_equal(f->drained, 0);
	f->output_room = SIZE_MAX;
	restore(f);
	assert_int_equal(f->drained, 1);
	assert_int_equal(f->status_count, 1);
}

static void test_control_messages_go_on(void **state)
{
	struct fixture *f = *state;

	mock_driver_start(f->env.dev, &f->transport, MULTIPORT);
	control(f, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	give(f, CONTROL_IN, 1, 8);
	run(f, CONTROL_IN);
	expect_control(f, 0, VIRTIO_CONSOLE_PORT_ADD, "");
	restore(f);
	give(f, CONTROL_IN, 5, 8);
	run(f, CONTROL_IN);
	for (unsigned i = 1; i < PORTS; i++)
		expect_control(f, i, VIRTIO_CONSOLE_PORT_ADD, "");
	assert_string_equal(next_control(f), "");
}

/* What the driver knows of our side is that of the process before. */
static void test_restored_driver_hears_of_our_side(void **state)
{
	struct fixture *f = *state;

	virtio_console_resize(f->env.dev, 80, 25);
	probe(f);
	virtio_console_hang_up(f->env.dev, STREAM);
	assert_string_equal(next_control(f), "0200000006000000");
	replace(f, 132, 50);
	virtio_console_hang_up(f->env.dev, OTHER_STREAM);
	virtio_thaw(f->env.dev);
	device_restored(f->env.dev);
	mock_env_dispatch(&f->env);
	expect_control(f, 0, VIRTIO_CONSOLE_RESIZE, "84003200");
	expect_control(f, 0, VIRTIO_CONSOLE_PORT_OPEN, "");
	expect_control(f, 1, VIRTIO_CONSOLE_PORT_OPEN, "");
	expect_control(f, STREAM, VIRTIO_CONSOLE_PORT_OPEN, "");
	assert_string_equal(next_control(f), "0300000006000000");
	assert_string_equal(next_control(f), "");
	assert_int_equal(f->transport.config_changes, 1);
}

static void test_reset_forgets_the_driver(void **state)
{
	struct fixture *f = *state;
	struct saved saved;

	mock_driver_status(f->env.dev, 0);
	device_save(&saved, f->env.dev);
	bind_rings(f);
	probe(f);
	control(f, STREAM, VIRTIO_CONSOLE_PORT_OPEN, 1);
	print(f, OUT1, "12\n34");
	f->output_room = 1;
	print(f, OUT0, "Hello");
	mock_driver_status(f->env.dev, 0);
	device_expect_same(&saved, f->env.dev);
	saved_free(&saved);
}

static void test_hostile_values_are_refused(void **state)
{
	static const struct {
		unsigned table;
		const char *field;
		uint64_t value;
		const char *why;
	} cases[] = {
		{ 0, "line_len", 10, "line_len is 10, more than 9" },
		{ 0, "status_set", 2, "status_set is 2, more than 1" },
		{ 1, "owed", 64, "owed is 64, more than 63" },
		{ 1, "owed", 32, "no name to send" },
		{ 1, "open", 0xff, "open is 255, more than 1" },
		{ 1, "ready", 3, "ready is 3, more than 1" },
	};
	struct fixture *f = *state;
	struct saved saved;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		device_save(&saved, f->env.dev);
		device_set(&saved, f->env.dev, virtio_console_state_tables[cases[i].table],
			   cases[i].field, 0, cases[i].value);
		device_expect_refused(&saved, f->env.dev, cases[i].why);
		saved_free(&saved);
	}
}

/* A place in the next chain that it does not have: the chain is used up. */
static void test_hostile_place_in_a_chain(void **state)
{
	struct fixture *f = *state;
	struct saved saved;
	uint32_t written;
	uint16_t head;

	probe(f);
	virtio_freeze(f->env.dev);
	device_save(&saved, f->env.dev);
	device_set(&saved, f->env.dev, virtio_console_state_tables[1], "written", 0, UINT64_MAX);
	assert_int_equal(device_load(&saved, f->env.dev), 0);
	saved_free(&saved);
	virtio_thaw(f->env.dev);
	send(f, OUT0, "lost", 4);
	run(f, OUT0);
	assert_true(mock_ring_reap(&f->rings[OUT0], &head, &written));
	print(f, OUT0, "kept");
	assert_int_equal(f->output_len, 4);
	assert_memory_equal(f->output, "kept", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DEVICE_TEST(test_probe_announces_ports_in_order),
		DEVICE_TEST(test_control_messages_wait_for_buffers),
		DEVICE_TEST(test_odd_control_messages_are_ignored),
		DEVICE_TEST(test_small_control_buffer_breaks_device),
		DEVICE_TEST(test_output),
		DEVICE_TEST(test_output_without_multiport),
		DEVICE_TEST(test_refused_output_waits_for_room),
		DEVICE_TEST(test_huge_output_takes_turns),
		DEVICE_TEST(test_input_waits_until_guest_opens),
		DEVICE_TEST(test_input_back_pressure_flags),
		DEVICE_TEST(test_input_back_pressure_event_index),
		DEVICE_TEST(test_long_input_waits_for_half_of_the_buffers),
		DEVICE_TEST(test_resize_tells_driver),
		DEVICE_TEST(test_config_is_bounded),
		DEVICE_TEST(test_status_lines),
		DEVICE_TEST(test_close_ends_line_after_data),
		DEVICE_TEST(test_streams_are_apart),
		DEVICE_TEST(test_hang_up_tells_guest),
		DEVICE_TEST(test_hang_up_drops_output),
		DEVICE_TEST(test_status_is_drained_behind_output),
		DEVICE_TEST(test_rebind_starts_over),
		DEVICE_TEST(test_broken_rings),
		DEVICE_TEST(test_each_byte_is_passed_on_once),
		DEVICE_TEST(test_input_goes_on),
		DEVICE_TEST(test_status_goes_on),
		DEVICE_TEST(test_control_messages_go_on),
		DEVICE_TEST(test_restored_driver_hears_of_our_side),
		DEVICE_TEST(test_reset_forgets_the_driver),
		DEVICE_TEST(test_hostile_values_are_refused),
		DEVICE_TEST(test_hostile_place_in_a_chain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
