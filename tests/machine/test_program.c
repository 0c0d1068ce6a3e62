/* SPDX-License-Identifier: Apache-2.0 */
/* What the ports of exec's program give to a guest, and when. */
#include "../../vmm/machine/program.h"
#include "backend/local.h"
#include "base/le.h"
#include "base/real_time.h"
#include "devices/console.h"
#include "mock_ring.h"
#include "unit.h"

#include <linux/virtio_console.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum { STDIN = VIRTIO_CONSOLE_FIRST_STREAM, FILES = STDIN + PROGRAM_FILES };
/* virtio 1.2 §5.3.2. */
enum { CONTROL_OUT = 3, QUEUES = 4 + 2 * (1 + PROGRAM_PORTS), RING = 4, LEN = 64 };

struct fixture {
	struct mock_env env;
	struct mock_ring rings[QUEUES];
	struct mock_transport transport;
	struct ending ending;
	struct program *program;
	bool begun;
	uint64_t buffer; /* GPA of LEN bytes for each queue */
	int files, pipe[2], saved; /* pipe[0] is standard input, saved the real one */
};

static void input_wanted(void *owner, unsigned port)
{
	struct fixture *f = owner;

	program_input_wanted(f->program, port);
}

static int setup(void **state)
{
	static const struct virtio_console_ops ops = { .input_wanted = input_wanted };
	struct fixture *f = test_calloc(1, sizeof(*f));
	const struct virtio_console_options options = {
		.ops = &ops, .owner = f, .streams = program_ports, .stream_count = PROGRAM_PORTS,
		.bulk = FILES,
	};
	struct machine_config config = { .program_begun = &f->begun };

	f->saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	assert_int_equal(pipe2(f->pipe, O_CLOEXEC), 0);
	assert_int_equal(dup2(f->pipe[0], STDIN_FILENO), STDIN_FILENO);
	f->files = memfd_create("files", MFD_CLOEXEC);
	assert_int_equal(write(f->files, "archive", 7), 7);
	config.program_files = f->files;
	assert_int_equal(ending_init(&f->ending), 0);
	mock_env_init(&f->env);
	assert_int_equal(virtio_console_new(&f->env.dev, &f->env.virtio, 0, &options), 0);
	assert_int_equal(f->env.dev->queue_count, QUEUES);
	assert_int_equal(local_backend_bind(f->env.dev, 0, QUEUES), 0);
	for (unsigned i = 0; i < QUEUES; i++) {
		mock_ring_init(&f->rings[i], &f->env, RING);
		mock_ring_bind(&f->rings[i], &f->env.dev->queues[i]);
	}
	f->buffer = mock_alloc(&f->env, QUEUES * LEN, LEN);
	assert_int_equal(program_new(&f->program, &config, &f->env.loop, &f->ending, f->env.dev,
				     STDIN),
			 0);
	mock_driver_start(f->env.dev, &f->transport, 1ULL << VIRTIO_CONSOLE_F_MULTIPORT);
	mock_env_dispatch(&f->env);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	program_free(f->program);
	assert_int_equal(dup2(f->saved, STDIN_FILENO), STDIN_FILENO);
	close_fd(&f->saved);
	close_fd(&f->pipe[0]);
	close_fd(&f->pipe[1]);
	close_fd(&f->files);
	ending_destroy(&f->ending);
	mock_env_destroy(&f->env);
	test_free(f);
	return 0;
}

static unsigned input_queue(unsigned port)
{
	return 4 + 2 * (port - 1);
}

/* The guest opens a port, with one buffer for input. */
static void open_port(struct fixture *f, unsigned port)
{
	uint64_t gpa = mock_alloc(&f->env, sizeof(struct virtio_console_control), 8);
	const struct mock_buf message = { .gpa = gpa, .len = 8 };
	const struct mock_buf input = {
		.gpa = f->buffer + port * LEN, .len = LEN, .writable = true
	};
	uint8_t bytes[8];

	mock_ring_add(&f->rings[input_queue(port)], &input, 1);
	put_le32(bytes, port);
	put_le16(bytes + 4, VIRTIO_CONSOLE_PORT_OPEN);
	put_le16(bytes + 6, 1);
	assert_int_equal(gmem_write(&f->env.mem, gpa, bytes, sizeof(bytes)), 0);
	mock_ring_add(&f->rings[CONTROL_OUT], &message, 1);
	mock_ring_kick(&f->rings[CONTROL_OUT]);
	mock_env_dispatch(&f->env);
}

/* What the guest has got in its buffer. */
static void expect_input(struct fixture *f, unsigned port, const char *text)
{
	uint16_t head;
	uint32_t written;

	if (!*text) {
		assert_false(mock_ring_reap(&f->rings[input_queue(port)], &head, &written));
		return;
	}
	assert_true(mock_ring_reap(&f->rings[input_queue(port)], &head, &written));
	assert_int_equal(written, strlen(text));
	assert_memory_equal(gmem_ptr(&f->env.mem, f->buffer + port * LEN, LEN), text, written);
}

/* A snapshot of a guest that has not taken the files yet holds nothing of this program. */
static void test_input_follows_the_files(void **state)
{
	struct fixture *f = *state;
	int unread = 0;

	assert_int_equal(write(f->pipe[1], "typed", 5), 5);
	open_port(f, STDIN);
	expect_input(f, STDIN, "");
	assert_int_equal(ioctl(f->pipe[0], FIONREAD, &unread), 0);
	assert_int_equal(unread, 5);
	assert_false(f->begun);
	open_port(f, FILES);
	expect_input(f, FILES, "archive");
	assert_true(f->begun);
	expect_input(f, STDIN, "typed");
}

/* A megabyte in a guest with pages of 4 KiB; for the others an eighth of it does. */
static void test_files_have_a_long_queue(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < QUEUES; i++)
		assert_int_equal(f->env.dev->queues[i].max_size,
				 i == input_queue(FILES) ? 256 : 32);
}

/* "SECONDS NANOSECONDS HEX": of now, and never the same. */
static void test_renewal_is_of_now(void **state)
{
	char first[PROGRAM_RENEWAL_MAX], second[PROGRAM_RENEWAL_MAX], *hex;
	time_t before = real_time().tv_sec;

	(void)state;
	assert_int_equal(program_renewal(first), 0);
	assert_int_equal(program_renewal(second), 0);
	assert_in_range(strtoul(first, &hex, 10), before, real_time().tv_sec);
	assert_in_range(strtoul(hex, &hex, 10), 0, 999999999);
	assert_int_equal(*hex++, ' ');
	assert_int_equal(strspn(hex, "0123456789abcdef"), 64);
	assert_int_equal(strlen(hex), 64);
	assert_null(strstr(second, hex));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_input_follows_the_files),
		TEST(test_files_have_a_long_queue),
		cmocka_unit_test(test_renewal_is_of_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
