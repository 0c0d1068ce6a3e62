/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal on pipes, files, sockets and ptys. The loop is turned by hand: no threads, no
 * sleeps.
 */
#include "host/terminal.h"
#include "unit.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct fixture {
	struct loop loop;
	struct terminal terminal;
	struct terminal_options options;
	char in[65536]; /* what the consumer received */
	size_t in_len;
	size_t in_room;
	unsigned quits, output_readies, losses;
	int lost; /* the errno of the last loss */
	int input_pipe[2], output_pipe[2];
};

static size_t consume(void *owner, const uint8_t *data, size_t len)
{
	struct fixture *f = owner;

	if (len > f->in_room)
		len = f->in_room;
	memcpy(f->in + f->in_len, data, len);
	f->in_len += len;
	f->in_room -= len;
	return len;
}

static void on_quit(void *owner)
{
	((struct fixture *)owner)->quits++;
}

static void on_output_ready(void *owner)
{
	((struct fixture *)owner)->output_readies++;
}

static void on_output_lost(void *owner, int error)
{
	struct fixture *f = owner;

	f->losses++;
	f->lost = error;
	/* Not locked: output during shutdown is dropped. */
	assert_int_equal(terminal_write(&f->terminal, "more\n", 5), 5);
}

/* Serves one event, which must come within a second. */
static void turn_once(struct fixture *f)
{
	struct epoll_event ev;
	struct loop_event *event;

	assert_int_equal(epoll_wait(f->loop.epoll_fd, &ev, 1, 1000), 1);
	event = ev.data.ptr;
	event->fn(event, ev.events);
}

/* Serves what is ready now; returns the number of events. */
static unsigned turn(struct fixture *f)
{
	struct epoll_event ev;
	unsigned n = 0;

	while (n < 10000 && epoll_wait(f->loop.epoll_fd, &ev, 1, 0) == 1) {
		struct loop_event *event = ev.data.ptr;

		event->fn(event, ev.events);
		n++;
	}
	return n;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(loop_init(&f->loop), 0);
	assert_int_equal(pipe2(f->input_pipe, O_CLOEXEC), 0);
	assert_int_equal(pipe2(f->output_pipe, O_CLOEXEC), 0);
	f->in_room = sizeof(f->in);
	f->options = (struct terminal_options){
		.loop = &f->loop,
		.in_fd = f->input_pipe[0],
		.out_fd = f->output_pipe[1],
		.input = consume,
		.output_ready = on_output_ready,
		.output_lost = on_output_lost,
		.quit = on_quit,
		.owner = f,
	};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2; i++) {
		close_fd(&f->input_pipe[i]);
		close_fd(&f->output_pipe[i]);
	}
	loop_destroy(&f->loop);
	free(f);
	return 0;
}

static void start(struct fixture *f)
{
	assert_int_equal(terminal_init(&f->terminal, &f->options), 0);
	turn(f);
}

static void put(int fd, const void *data, size_t len)
{
	assert_int_equal(write(fd, data, len), len);
}

/* All that can be read now. */
static size_t get(int fd, char *data, size_t size)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	size_t len = 0;
	ssize_t n;

	while (len < size && poll(&readable, 1, 0) == 1) {
		n = read(fd, data + len, size - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	return len;
}

static void check_output(int fd, const char *want)
{
	char data[1024];
	size_t len = get(fd, data, sizeof(data));

	assert_int_equal(len, strlen(want));
	assert_memory_equal(data, want, len);
}

/* --- Input ------------------------------------------------------------------------------------ */

static void piped_input_reaches_the_consumer(void **state)
{
	struct fixture *f = *state;

	put(f->input_pipe[1], "early", 5);
	start(f);
	put(f->input_pipe[1], "\x01x late", 7); /* no escapes on a pipe */
	turn(f);
	assert_int_equal(f->in_len, 12);
	assert_memory_equal(f->in, "early\x01x late", 12);
	assert_int_equal(f->quits, 0);
	terminal_destroy(&f->terminal);
}

/* Another process that shares the input reads what the loop was told about. */
static void shared_input_does_not_block(void **state)
{
	struct fixture *f = *state;
	struct epoll_event seen;
	struct loop_event *event;
	char byte;

	start(f);
	put(f->input_pipe[1], "x", 1);
	assert_int_equal(epoll_wait(f->loop.epoll_fd, &seen, 1, 30000), 1);
	assert_int_equal(read(f->input_pipe[0], &byte, 1), 1);
	event = seen.data.ptr;
	alarm(60);
	event->fn(event, seen.events);
	alarm(0);
	assert_int_equal(f->in_len, 0);
	assert_int_equal(fcntl(f->input_pipe[0], F_GETFL) & O_NONBLOCK, 0);
	terminal_destroy(&f->terminal);
}

static void end_of_input_is_noted_once(void **state)
{
	struct fixture *f = *state;

	start(f);
	put(f->input_pipe[1], "last", 4);
	close_fd(&f->input_pipe[1]);
	turn(f);
	assert_int_equal(f->in_len, 4);
	assert_int_equal(turn(f), 0); /* the hang-up does not make the loop spin */
	terminal_resume_input(&f->terminal);
	assert_int_equal(turn(f), 1);
	terminal_destroy(&f->terminal);
}

/* What the consumer refuses is kept, in order, and the loop does not spin meanwhile. */
static void input_waits_for_the_consumer(void **state)
{
	struct fixture *f = *state;
	uint8_t data[3 * TERMINAL_IN_SIZE];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i ^ i >> 8);
	f->in_room = 0;
	start(f);
	put(f->input_pipe[1], data, sizeof(data));
	close_fd(&f->input_pipe[1]);
	turn(f);
	assert_int_equal(f->in_len, 0);
	assert_int_equal(turn(f), 0);
	while (f->in_len < sizeof(data)) {
		f->in_room = 1000;
		terminal_resume_input(&f->terminal);
		turn(f);
		assert_int_equal(f->in_room == 0 || f->in_len == sizeof(data), 1);
	}
	assert_int_equal(f->in_len, sizeof(data));
	assert_memory_equal(f->in, data, sizeof(data));
	assert_int_equal(turn(f), 0);
	terminal_destroy(&f->terminal);
}

static void files_are_read_although_epoll_refuses_them(void **state)
{
	struct fixture *f = *state;
	char path[] = "/tmp/kinglet-terminal-XXXXXX";
	static uint8_t data[3 * TERMINAL_IN_SIZE + 5];
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	memset(data, 'd', sizeof(data));
	put(fd, data, sizeof(data));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	f->options.in_fd = fd;
	f->in_room = 100;
	start(f);
	assert_int_equal(f->in_len, 100);
	f->in_room = sizeof(f->in) - 100;
	terminal_resume_input(&f->terminal);
	turn(f);
	assert_int_equal(f->in_len, sizeof(data));
	assert_memory_equal(f->in, data, sizeof(data));
	terminal_destroy(&f->terminal);
	close(fd);
}

static void no_input_at_all(void **state)
{
	struct fixture *f = *state;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int closed = dup(null);
	const int fds[] = { null, closed, -1 };

	close(closed);
	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		f->options.in_fd = fds[i];
		start(f);
		assert_int_equal(turn(f), 0);
		terminal_destroy(&f->terminal);
	}
	close(null);
	f->options.in_fd = f->input_pipe[0];
	f->options.input = NULL;
	put(f->input_pipe[1], "x", 1);
	start(f);
	assert_int_equal(turn(f), 0);
	terminal_destroy(&f->terminal);
	assert_int_equal(f->in_len, 0);
}

/* --- Output ----------------------------------------------------------------------------------- */

static void a_line_is_written_at_its_newline(void **state)
{
	struct fixture *f = *state;

	start(f);
	assert_int_equal(terminal_write(&f->terminal, "hel", 3), 3);
	check_output(f->output_pipe[0], "");
	assert_int_equal(terminal_write(&f->terminal, "lo\n", 3), 3);
	check_output(f->output_pipe[0], "hello\n");
	terminal_destroy(&f->terminal);
}

static void a_prompt_is_written_by_the_timer(void **state)
{
	struct fixture *f = *state;

	start(f);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(terminal_write(&f->terminal, "# ", 2), 2);
		turn_once(f);
		check_output(f->output_pipe[0], "# ");
	}
	terminal_destroy(&f->terminal);
}

static void a_full_buffer_is_written(void **state)
{
	static char data[TERMINAL_OUT_SIZE + 1], got[sizeof(data) + 1];
	struct fixture *f = *state;

	memset(data, 'a', sizeof(data));
	start(f);
	assert_int_equal(terminal_write(&f->terminal, data, sizeof(data)), sizeof(data));
	assert_int_equal(get(f->output_pipe[0], got, sizeof(got)), TERMINAL_OUT_SIZE);
	terminal_destroy(&f->terminal);
	assert_int_equal(get(f->output_pipe[0], got, sizeof(got)), 1);
}

/* Writes until nothing more is taken; returns the number of bytes taken. */
static size_t stuff(struct fixture *f, size_t seed)
{
	size_t total = 0, n;

	do {
		uint8_t byte = (uint8_t)((total + seed) % 251);

		n = terminal_write(&f->terminal, &byte, 1);
		total += n;
	} while (n);
	return total;
}

static void check_slow_reader(struct fixture *f, int reader)
{
	static char got[1 << 20];
	size_t taken, len = 0;

	start(f);
	taken = stuff(f, 0);
	assert_in_range(taken, TERMINAL_OUT_SIZE, sizeof(got) / 2);
	assert_int_equal(f->output_readies, 0);
	/* The reader reads: the loop continues writing and calls output_ready once. */
	while (!f->output_readies) {
		len += get(reader, got + len, 30000);
		turn_once(f);
	}
	assert_int_equal(f->output_readies, 1);
	taken += stuff(f, taken);
	while (len < taken) {
		len += get(reader, got + len, 30000);
		if (f->terminal.out_len)
			turn_once(f);
	}
	assert_int_equal(f->output_readies, 2);
	/* No output was refused since: no call. */
	assert_int_equal(terminal_write(&f->terminal, &(uint8_t){ (uint8_t)(taken % 251) }, 1), 1);
	taken++;
	turn_once(f);
	assert_int_equal(f->output_readies, 2);
	terminal_destroy(&f->terminal);
	len += get(reader, got + len, sizeof(got) - len);
	assert_int_equal(len, taken);
	for (size_t i = 0; i < len; i++)
		assert_int_equal((uint8_t)got[i], i % 251);
}

static void a_slow_pipe_loses_nothing(void **state)
{
	struct fixture *f = *state;

	check_slow_reader(f, f->output_pipe[0]);
	/* Ours was non-blocking, the shared one still is not. */
	assert_int_equal(fcntl(f->output_pipe[1], F_GETFL) & O_NONBLOCK, 0);
}

static void a_slow_nonblocking_pipe_loses_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fcntl(f->output_pipe[1], F_SETFL, O_NONBLOCK), 0);
	check_slow_reader(f, f->output_pipe[0]);
}

static void a_slow_socket_loses_nothing(void **state)
{
	struct fixture *f = *state;
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	f->options.out_fd = sockets[1];
	check_slow_reader(f, sockets[0]);
	close(sockets[0]);
	close(sockets[1]);
}

static void *read_to_the_end(void *data)
{
	struct fixture *f = data;
	size_t total = 0;
	char got[4096];
	ssize_t n;

	while ((n = read(f->output_pipe[0], got, sizeof(got))) > 0)
		total += (size_t)n;
	return (void *)total;
}

static void the_end_waits_for_a_slow_reader(void **state)
{
	struct fixture *f = *state;
	pthread_t reader;
	size_t taken;
	void *total;

	start(f);
	taken = stuff(f, 0);
	assert_int_equal(f->terminal.out_len, TERMINAL_OUT_SIZE);
	assert_int_equal(pthread_create(&reader, NULL, read_to_the_end, f), 0);
	terminal_destroy(&f->terminal);
	close_fd(&f->output_pipe[1]);
	pthread_join(reader, &total);
	assert_int_equal((size_t)total, taken);
}

static void a_reader_that_has_gone_takes_everything(void **state)
{
	struct fixture *f = *state;

	start(f);
	stuff(f, 0);
	close_fd(&f->output_pipe[0]);
	turn(f);
	assert_int_equal(f->output_readies, 1); /* the waiting writer is resumed */
	assert_int_equal(terminal_write(&f->terminal, "dropped\n", 8), 8);
	assert_int_equal(turn(f), 0);
	terminal_destroy(&f->terminal);
	assert_int_equal(f->losses, 1);
	assert_int_equal(f->lost, EPIPE);
}

static void a_reader_gone_from_the_start(void **state)
{
	struct fixture *f = *state;

	close_fd(&f->output_pipe[0]);
	start(f);
	assert_int_equal(terminal_write(&f->terminal, "dropped\n", 8), 8);
	terminal_destroy(&f->terminal);

	f->options.out_fd = 1000; /* closed */
	start(f);
	assert_int_equal(terminal_write(&f->terminal, "dropped\n", 8), 8);
	terminal_destroy(&f->terminal);
}

static void a_file_is_appended_to(void **state)
{
	struct fixture *f = *state;
	char path[] = "/tmp/kinglet-terminal-XXXXXX", got[32];
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	put(fd, "before\n", 7);
	f->options.out_fd = fd;
	start(f);
	terminal_write(&f->terminal, "guest\n", 6);
	terminal_write(&f->terminal, "prompt", 6);
	terminal_destroy(&f->terminal);
	assert_int_equal(pread(fd, got, sizeof(got), 0), 19);
	assert_memory_equal(got, "before\nguest\nprompt", 19);
	close(fd);
}

static void a_full_disk_is_no_spin(void **state)
{
	struct fixture *f = *state;
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	f->options.out_fd = full;
	start(f);
	assert_int_equal(terminal_write(&f->terminal, "lost\n", 5), 5);
	assert_int_equal(f->losses, 1);
	assert_int_equal(f->lost, ENOSPC);
	assert_int_equal(turn(f), 0);
	terminal_destroy(&f->terminal);
	assert_int_equal(f->losses, 1);
	close(full);
}

static void the_last_words_may_be_lost(void **state)
{
	struct fixture *f = *state;
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC);

	f->options.out_fd = full;
	start(f);
	assert_int_equal(terminal_write(&f->terminal, "prompt", 6), 6);
	assert_int_equal(f->losses, 0);
	terminal_destroy(&f->terminal);
	assert_int_equal(f->losses, 1);
	assert_int_equal(f->lost, ENOSPC);
	close(full);
}

/* --- Terminals -------------------------------------------------------------------------------- */

struct pty {
	int master, slave;
	struct termios modes;
};

static void open_pty(struct fixture *f, struct pty *pty)
{
	struct winsize size = { .ws_row = 33, .ws_col = 101 };

	assert_int_equal(openpty(&pty->master, &pty->slave, NULL, NULL, &size), 0);
	assert_int_equal(tcgetattr(pty->slave, &pty->modes), 0);
	f->options.in_fd = f->options.out_fd = pty->slave;
}

static void close_pty(struct pty *pty)
{
	close(pty->master);
	close(pty->slave);
}

/* The kernel delivers typed characters a moment later. */
static void type(struct fixture *f, const struct pty *pty, const char *text, size_t len)
{
	struct pollfd readable = { .fd = pty->slave, .events = POLLIN };

	put(pty->master, text, len);
	assert_int_equal(poll(&readable, 1, 30000), 1);
	turn(f);
}

static void check_modes(const struct pty *pty, bool raw)
{
	const tcflag_t cooked = ECHO | ICANON | ISIG | IEXTEN;
	struct termios now;

	assert_int_equal(tcgetattr(pty->slave, &now), 0);
	assert_int_equal(now.c_lflag & cooked, raw ? 0 : pty->modes.c_lflag & cooked);
	assert_int_equal(now.c_iflag & (ICRNL | IXON),
			 raw ? 0 : pty->modes.c_iflag & (ICRNL | IXON));
	assert_int_equal(now.c_oflag, pty->modes.c_oflag);
	if (!raw)
		assert_memory_equal(now.c_cc, pty->modes.c_cc, sizeof(now.c_cc));
}

static void raw_mode_is_entered_and_left(void **state)
{
	struct fixture *f = *state;
	struct pty pty;

	open_pty(f, &pty);
	check_modes(&pty, false);
	start(f);
	check_modes(&pty, true);
	terminal_restore(&f->terminal);
	check_modes(&pty, false);
	terminal_restore(&f->terminal);
	terminal_continue(&f->terminal);
	check_modes(&pty, true);
	/* Continued without having left raw mode: the first state is still the one to restore. */
	terminal_continue(&f->terminal);
	check_modes(&pty, true);
	terminal_destroy(&f->terminal);
	check_modes(&pty, false);
	close_pty(&pty);
}

static void escapes(void **state)
{
	static const struct {
		const char *typed, *got;
		unsigned quits;
	} cases[] = {
		{ "plain\r\x03\x1a\x04\x11\x13", "plain\r\x03\x1a\x04\x11\x13", 0 },
		{ "a\x01\x01z", "a\x01z", 0 },
		{ "a\x01xb", "ab", 1 },
		{ "x\x01qx", "xx", 0 },
		{ "\x01\x01x", "\x01x", 0 },
		{ "\x01\x01\x01x", "\x01", 1 },
	};
	struct fixture *f = *state;
	struct pty pty;

	open_pty(f, &pty);
	start(f);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		for (unsigned split = 0; split < 2; split++) {
			size_t len = strlen(cases[i].typed), step = split ? 1 : len;

			f->quits = 0;
			f->in_len = 0;
			for (size_t at = 0; at < len; at += step) {
				type(f, &pty, cases[i].typed + at, step);
			}
			assert_int_equal(f->in_len, strlen(cases[i].got));
			assert_memory_equal(f->in, cases[i].got, f->in_len);
			assert_int_equal(f->quits, cases[i].quits);
		}
	}
	terminal_destroy(&f->terminal);
	close_pty(&pty);
}

static void help_names_the_keys(void **state)
{
	struct fixture *f = *state;
	struct pollfd readable;
	struct pty pty;
	char got[512];
	size_t len;

	open_pty(f, &pty);
	start(f);
	type(f, &pty, "\x01h", 2);
	readable = (struct pollfd){ .fd = pty.master, .events = POLLIN };
	assert_int_equal(poll(&readable, 1, 30000), 1);
	len = get(pty.master, got, sizeof(got) - 1);
	got[len] = '\0';
	assert_non_null(strstr(got, "Ctrl-A x"));
	assert_int_equal(f->in_len, 0);
	terminal_destroy(&f->terminal);
	close_pty(&pty);
}

static void quit_works_while_the_guest_takes_nothing(void **state)
{
	struct fixture *f = *state;
	struct pty pty;

	open_pty(f, &pty);
	f->in_room = 0;
	start(f);
	type(f, &pty, "typed in vain", 13);
	type(f, &pty, "\x01x", 2);
	assert_int_equal(f->quits, 1);
	f->in_room = 100;
	terminal_resume_input(&f->terminal);
	turn(f);
	assert_memory_equal(f->in, "typed in vain", 13);
	terminal_destroy(&f->terminal);
	close_pty(&pty);
}

/* A verdict or the shell's prompt comes next. */
static void the_last_line_on_a_terminal_is_ended(void **state)
{
	static const char *const last[] = { "whole\n", "login: ", "\n# " };
	static const char *const shown[] = { "whole\r\n", "login: \r\n", "\r\n# \r\n" };
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(last); i++) {
		struct pty pty;

		open_pty(f, &pty);
		start(f);
		terminal_write(&f->terminal, last[i], strlen(last[i]));
		terminal_destroy(&f->terminal);
		check_output(pty.master, shown[i]);
		close_pty(&pty);
	}
}

static void a_hung_up_terminal_is_the_end_of_input(void **state)
{
	struct fixture *f = *state;
	struct pty pty;

	open_pty(f, &pty);
	start(f);
	close_fd(&pty.master);
	turn(f);
	assert_int_equal(turn(f), 0);
	assert_int_equal(terminal_write(&f->terminal, "unread\n", 7), 7);
	assert_int_equal(f->lost, EPIPE);
	terminal_destroy(&f->terminal);
	close_fd(&pty.slave);
}

static void window_size(void **state)
{
	struct fixture *f = *state;
	uint16_t columns = 0, rows = 0;
	struct pty pty;

	start(f);
	assert_int_equal(terminal_get_size(&f->terminal, &columns, &rows), -ENOTTY);
	terminal_destroy(&f->terminal);
	open_pty(f, &pty);
	start(f);
	assert_int_equal(terminal_get_size(&f->terminal, &columns, &rows), 0);
	assert_int_equal(columns, 101);
	assert_int_equal(rows, 33);
	terminal_destroy(&f->terminal);
	close_pty(&pty);
}

/*
 * A child in a separate session, whose terminal is the pty. It reports by a byte in the output pipe
 * and continues when the input pipe ends; the parent asserts.
 */
static pid_t fork_session(struct fixture *f, const struct pty *pty, void (*body)(struct fixture *f))
{
	pid_t pid = fork();

	if (pid == 0) {
		setsid();
		ioctl(pty->slave, TIOCSCTTY, 0);
		close_fd(&f->input_pipe[1]);
		body(f);
		_exit(0);
	}
	assert_true(pid > 0);
	close_fd(&f->input_pipe[0]);
	return pid;
}

static void tell(struct fixture *f, char what)
{
	if (write(f->output_pipe[1], &what, 1) != 1)
		_exit(1);
}

static void wait_for_parent(struct fixture *f)
{
	char byte;

	if (read(f->input_pipe[0], &byte, 1) != 0)
		_exit(1);
}

static char child_says(struct fixture *f)
{
	struct pollfd readable = { .fd = f->output_pipe[0], .events = POLLIN };
	char what;

	assert_int_equal(poll(&readable, 1, 30000), 1);
	assert_int_equal(read(f->output_pipe[0], &what, 1), 1);
	return what;
}

static void suspend_once(struct fixture *f)
{
	if (terminal_init(&f->terminal, &f->options))
		_exit(1);
	terminal_suspend(&f->terminal);
	tell(f, 'c');
	wait_for_parent(f);
	terminal_destroy(&f->terminal);
}

static void a_stopped_process_leaves_raw_mode(void **state)
{
	struct fixture *f = *state;
	struct pty pty;
	pid_t pid;
	int status;

	open_pty(f, &pty);
	pid = fork_session(f, &pty, suspend_once);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	check_modes(&pty, false);
	kill(pid, SIGCONT);
	assert_int_equal(child_says(f), 'c');
	check_modes(&pty, true);
	close_fd(&f->input_pipe[1]);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_int_equal(status, 0);
	check_modes(&pty, false);
	close_pty(&pty);
}

/* As from `kinglet … &`: the terminal stays with the shell, and we are not stopped. */
static void start_in_background(struct fixture *f)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		setpgid(0, 0);
		if (terminal_init(&f->terminal, &f->options))
			_exit(1);
		tell(f, 'b');
		wait_for_parent(f);
		terminal_destroy(&f->terminal);
		_exit(0);
	}
	if (waitpid(pid, &status, WUNTRACED) != pid || status) {
		kill(pid, SIGKILL);
		_exit(2);
	}
}

static void the_background_keeps_its_hands_off(void **state)
{
	struct fixture *f = *state;
	struct pty pty;
	pid_t pid;
	int status;

	open_pty(f, &pty);
	pid = fork_session(f, &pty, start_in_background);
	assert_int_equal(child_says(f), 'b');
	check_modes(&pty, false);
	close_fd(&f->input_pipe[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close_pty(&pty);
}

static unsigned open_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void nothing_leaks(void **state)
{
	struct fixture *f = *state;
	unsigned before = open_fds();

	start(f);
	stuff(f, 0);
	assert_true(open_fds() > before);
	close_fd(&f->output_pipe[0]);
	terminal_destroy(&f->terminal);
	assert_int_equal(open_fds(), before - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(piped_input_reaches_the_consumer),
		TEST(shared_input_does_not_block),
		TEST(end_of_input_is_noted_once),
		TEST(input_waits_for_the_consumer),
		TEST(files_are_read_although_epoll_refuses_them),
		TEST(no_input_at_all),
		TEST(a_line_is_written_at_its_newline),
		TEST(a_prompt_is_written_by_the_timer),
		TEST(a_full_buffer_is_written),
		TEST(a_slow_pipe_loses_nothing),
		TEST(a_slow_nonblocking_pipe_loses_nothing),
		TEST(a_slow_socket_loses_nothing),
		TEST(the_end_waits_for_a_slow_reader),
		TEST(a_reader_that_has_gone_takes_everything),
		TEST(a_reader_gone_from_the_start),
		TEST(a_file_is_appended_to),
		TEST(a_full_disk_is_no_spin),
		TEST(the_last_words_may_be_lost),
		TEST(raw_mode_is_entered_and_left),
		TEST(escapes),
		TEST(help_names_the_keys),
		TEST(quit_works_while_the_guest_takes_nothing),
		TEST(the_last_line_on_a_terminal_is_ended),
		TEST(a_hung_up_terminal_is_the_end_of_input),
		TEST(window_size),
		TEST(a_stopped_process_leaves_raw_mode),
		TEST(the_background_keeps_its_hands_off),
		TEST(nothing_leaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
