/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"
#include "host/stream.h"
#include "unit.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

struct fixture {
	struct loop loop;
	struct stream_in in;
	struct stream_out out;
	uint8_t got[1 << 20];
	size_t len, room;
	unsigned ended, ready, broken;
	int pipe[2];
};

static size_t got_input(void *owner, const uint8_t *data, size_t len)
{
	struct fixture *f = owner;
	size_t taken = len < f->room ? len : f->room;

	assert_int_equal(f->ended, 0);
	assert_true(f->len + taken <= sizeof(f->got));
	memcpy(f->got + f->len, data, taken);
	f->len += taken;
	f->room -= taken;
	return taken;
}

static void got_end(void *owner)
{
	((struct fixture *)owner)->ended++;
}

static void got_ready(void *owner)
{
	((struct fixture *)owner)->ready++;
}

static void got_broken(void *owner)
{
	((struct fixture *)owner)->broken++;
}

static const struct stream_in_ops in_ops = { .input = got_input, .ended = got_end };
static const struct stream_out_ops out_ops = { .ready = got_ready, .broken = got_broken };

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(loop_init(&f->loop), 0);
	assert_int_equal(pipe2(f->pipe, O_CLOEXEC), 0);
	f->room = SIZE_MAX;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	loop_destroy(&f->loop);
	close_fd(&f->pipe[0]);
	close_fd(&f->pipe[1]);
	test_free(f);
	return 0;
}

/* Serves events until there are none, or `turns` of them. True when none was left. */
static bool dispatch(struct fixture *f, unsigned turns)
{
	while (turns--) {
		struct epoll_event events[1];
		struct loop_event *event;

		if (epoll_wait(f->loop.epoll_fd, events, 1, 0) < 1)
			return true;
		event = events[0].data.ptr;
		event->fn(event, events[0].events);
	}
	return false;
}

static void start_in(struct fixture *f, int fd)
{
	assert_int_equal(stream_in_init(&f->in, &f->loop, fd, &in_ops, f), 0);
	assert_true(dispatch(f, 8));
	assert_int_equal(f->len + f->ended, 0);
	stream_in_resume(&f->in);
}

static void start_out(struct fixture *f, int fd)
{
	assert_int_equal(stream_out_init(&f->out, &f->loop, fd, &out_ops, f), 0);
}

static void test_input_of_a_pipe_ends(void **state)
{
	struct fixture *f = *state;

	start_in(f, f->pipe[0]);
	assert_true(dispatch(f, 8));
	assert_int_equal(write(f->pipe[1], "a\0\1b", 4), 4);
	assert_true(dispatch(f, 8));
	assert_int_equal(f->len, 4);
	assert_memory_equal(f->got, "a\0\1b", 4);
	assert_int_equal(f->ended, 0);
	close_fd(&f->pipe[1]);
	assert_true(dispatch(f, 8));
	assert_int_equal(f->ended, 1);
	stream_in_resume(&f->in);
	assert_true(dispatch(f, 8));
	assert_int_equal(f->ended, 1);
	stream_in_destroy(&f->in);
}

/* Refused input waits, and the end of file after it; the loop does not spin meanwhile. */
static void test_refused_input_waits(void **state)
{
	struct fixture *f = *state;

	f->room = 2;
	start_in(f, f->pipe[0]);
	assert_int_equal(write(f->pipe[1], "Hello", 5), 5);
	close_fd(&f->pipe[1]);
	assert_true(dispatch(f, 8));
	assert_int_equal(f->len, 2);
	f->room = 1;
	stream_in_resume(&f->in);
	assert_true(dispatch(f, 8));
	assert_int_equal(f->len, 3);
	assert_int_equal(f->ended, 0);
	f->room = SIZE_MAX;
	stream_in_resume(&f->in);
	assert_true(dispatch(f, 8));
	assert_memory_equal(f->got, "Hello", 5);
	assert_int_equal(f->ended, 1);
	stream_in_destroy(&f->in);
}

/* epoll does not support regular files. They are read in turns. */
static void test_input_of_a_file(void **state)
{
	struct fixture *f = *state;
	int fd = memfd_create("input", MFD_CLOEXEC);
	uint8_t bytes[3 * STREAM_IN_SIZE + 5];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	start_in(f, fd);
	assert_false(dispatch(f, 3));
	assert_in_range(f->len, 1, 3 * STREAM_IN_SIZE);
	f->room = 1;
	assert_true(dispatch(f, 8));
	f->room = SIZE_MAX;
	stream_in_resume(&f->in);
	assert_true(dispatch(f, 8));
	assert_int_equal(f->len, sizeof(bytes));
	assert_memory_equal(f->got, bytes, sizeof(bytes));
	assert_int_equal(f->ended, 1);
	stream_in_destroy(&f->in);
	close_fd(&fd);
}

static void test_input_that_cannot_be_read_ends(void **state)
{
	struct fixture *f = *state;
	struct capture capture;
	int fd = open("/", O_RDONLY | O_CLOEXEC);

	start_in(f, fd);
	capture_stderr_begin(&capture);
	assert_true(dispatch(f, 8));
	capture_expect(&capture, "standard input: read: Is a directory");
	assert_int_equal(f->ended, 1);
	stream_in_destroy(&f->in);
	close_fd(&fd);
}

/*
 * Another process that shares the input reads what the loop was told about. If our read blocked,
 * the alarm would end the test.
 */
static void input_is_taken_by_another(struct fixture *f, int reader, int writer)
{
	struct epoll_event seen;
	struct loop_event *event;
	char byte;

	alarm(60);
	start_in(f, reader);
	assert_true(dispatch(f, 8));
	assert_int_equal(write(writer, "a\n", 2), 2);
	assert_int_equal(epoll_wait(f->loop.epoll_fd, &seen, 1, 30000), 1);
	assert_int_equal(fcntl(reader, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(read(reader, &byte, 1), 1);
	assert_int_equal(read(reader, &byte, 1), 1);
	event = seen.data.ptr;
	event->fn(event, seen.events);
	assert_int_equal(f->len, 0);
	assert_int_equal(f->ended, 0);
	/* Later input is ours again. */
	assert_int_equal(write(writer, "b\n", 2), 2);
	assert_int_equal(epoll_wait(f->loop.epoll_fd, &seen, 1, 30000), 1);
	event->fn(event, seen.events);
	assert_memory_equal(f->got, "b\n", 2);
	alarm(0);
	stream_in_destroy(&f->in);
}

static void test_shared_pipe_does_not_block(void **state)
{
	struct fixture *f = *state;

	input_is_taken_by_another(f, f->pipe[0], f->pipe[1]);
}

static void test_shared_socket_does_not_block(void **state)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	input_is_taken_by_another(*state, ends[0], ends[1]);
	close_fd(&ends[0]);
	close_fd(&ends[1]);
}

static void test_shared_terminal_does_not_block(void **state)
{
	int master, slave;

	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	input_is_taken_by_another(*state, slave, master);
	close_fd(&slave);
	close_fd(&master);
}

/* A reader that reopens it does not see that earlier writers have closed. */
static void test_input_of_a_fifo_whose_writer_has_left(void **state)
{
	char folder[] = "/tmp/test_stream.XXXXXX", path[40];
	struct fixture *f = *state;
	int reader, writer;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/fifo", folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	writer = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(fcntl(reader, F_SETFL, 0), 0);
	assert_int_equal(write(writer, "last", 4), 4);
	close_fd(&writer);
	start_in(f, reader);
	assert_true(dispatch(f, 8));
	assert_memory_equal(f->got, "last", 4);
	assert_int_equal(f->ended, 1);
	stream_in_destroy(&f->in);
	close_fd(&reader);
}

static void output_waits_for_room(struct fixture *f, int reader, int writer)
{
	static uint8_t data[4 << 20];
	uint8_t chunk[4096];
	size_t taken, more;

	start_out(f, writer);
	assert_int_equal(stream_out_write(&f->out, "a\0b", 3), 3);
	taken = stream_out_write(&f->out, data, sizeof(data));
	assert_true(taken > 0 && taken < sizeof(data));
	/* Nothing is written after what was refused. */
	assert_int_equal(stream_out_write(&f->out, "x", 1), 0);
	assert_true(dispatch(f, 8));
	assert_int_equal(f->ready, 0);
	assert_int_equal(read(reader, chunk, 3), 3);
	assert_memory_equal(chunk, "a\0b", 3);
	for (size_t left = taken; left; left -= more) {
		more = left < sizeof(chunk) ? left : sizeof(chunk);
		more = (size_t)read(reader, chunk, more);
		assert_in_range(more, 1, sizeof(chunk));
	}
	assert_true(dispatch(f, 8));
	assert_int_equal(f->ready, 1);
	assert_int_equal(stream_out_write(&f->out, "x", 1), 1);
	assert_int_equal(read(reader, chunk, sizeof(chunk)), 1);
	assert_int_equal(f->broken, 0);
	stream_out_destroy(&f->out);
}

static void test_output_to_a_pipe(void **state)
{
	struct fixture *f = *state;

	output_waits_for_room(f, f->pipe[0], f->pipe[1]);
}

/* Cannot be reopened, so it stays blocking. */
static void test_output_to_a_socket(void **state)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	output_waits_for_room(*state, ends[0], ends[1]);
	close_fd(&ends[0]);
	close_fd(&ends[1]);
}

/* The error is there at once; the owner is called at the loop's next turn. */
static void output_breaks(struct fixture *f, int error)
{
	assert_int_equal(f->out.error, 0);
	assert_int_equal(stream_out_write(&f->out, "x", 1), 1);
	assert_int_equal(f->out.error, error);
	assert_int_equal(f->broken, 0);
	assert_int_equal(stream_out_write(&f->out, "xyz", 3), 3);
	assert_true(dispatch(f, 8));
	assert_int_equal(f->broken, 1);
	stream_out_destroy(&f->out);
}

static void test_output_whose_reader_leaves(void **state)
{
	struct fixture *f = *state;

	start_out(f, f->pipe[1]);
	close_fd(&f->pipe[0]);
	output_breaks(f, EPIPE);
}

/* A reset connection counts as a closed reader, like a pipe. */
static void test_output_whose_peer_resets(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	const struct linger none = { .l_onoff = 1 };
	socklen_t len = sizeof(address);
	struct fixture *f = *state;
	struct pollfd reset;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int writer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), reader;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(connect(writer, (struct sockaddr *)&address, len), 0);
	reader = accept(listener, NULL, NULL);
	assert_int_equal(setsockopt(reader, SOL_SOCKET, SO_LINGER, &none, sizeof(none)), 0);
	close_fd(&reader);
	reset = (struct pollfd){ .fd = writer };
	assert_int_equal(poll(&reset, 1, 30000), 1);

	start_out(f, writer);
	output_breaks(f, EPIPE);
	close_fd(&writer);
	close_fd(&listener);
}

static void test_output_that_does_not_fit(void **state)
{
	struct fixture *f = *state;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	start_out(f, fd);
	output_breaks(f, ENOSPC);
	close_fd(&fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_input_of_a_pipe_ends),
		TEST(test_refused_input_waits),
		TEST(test_input_of_a_file),
		TEST(test_input_that_cannot_be_read_ends),
		TEST(test_shared_pipe_does_not_block),
		TEST(test_shared_socket_does_not_block),
		TEST(test_shared_terminal_does_not_block),
		TEST(test_input_of_a_fifo_whose_writer_has_left),
		TEST(test_output_to_a_pipe),
		TEST(test_output_to_a_socket),
		TEST(test_output_whose_reader_leaves),
		TEST(test_output_whose_peer_resets),
		TEST(test_output_that_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
