/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "capture.h"

#include "base/cleanup.h"
#include "unit.h"

#include <pthread.h>
#include <pty.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void a_message_is_one_line_with_the_name(void **state)
{
	struct capture capture;

	(void)state;
	capture_stderr_begin(&capture);
	log_error("tap %s: %d", "tap0", 7);
	log_warning("x");
	capture_expect_all(&capture, "kinglet: tap tap0: 7\nkinglet: warning: x\n");
}

/* The first error, for others who have to be told. */
static void a_message_is_kept(void **state)
{
	struct capture capture;
	char text[8] = "x";

	(void)state;
	capture_stderr_begin(&capture);
	log_keep(text, sizeof(text));
	assert_string_equal(text, "");
	log_warning("no");
	log_mute(true);
	log_error("no");
	log_mute(false);
	log_error("first %d", 123);
	log_error("second");
	assert_string_equal(text, "first 1");
	log_keep(text, sizeof(text));
	log_keep(NULL, 0);
	log_error("third");
	assert_string_equal(text, "");
	capture_expect_all(&capture, "kinglet: warning: no\nkinglet: first 123\nkinglet: second\n"
				     "kinglet: third\n");
}

static void control_characters_cannot_get_out(void **state)
{
	struct capture capture;

	(void)state;
	capture_stderr_begin(&capture);
	log_error("%s", "a\nb\x1b[31m\r\tc\x7f" "\xc3\xa9");
	capture_expect_all(&capture, "kinglet: a?b?[31m??c?" "\xc3\xa9" "\n");
}

static void a_long_message_is_cut_and_still_ends(void **state)
{
	struct capture capture;
	char text[2048], big[1500];

	(void)state;
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	capture_stderr_begin(&capture);
	log_error("%s", big);
	capture_stderr_end(&capture, text, sizeof(text));
	assert_true(strlen(text) <= 1024);
	assert_true(strlen(text) > 1000);
	assert_int_equal(strchr(text, '\n') - text, strlen(text) - 1);
}

/* --- A reader that does not read --- */

enum { PATIENCE_S = 60 };

static void set_nonblocking(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	assert_int_equal(fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK), 0);
}

/* To the last byte; then it is a blocking fd again, like a shell's standard error. */
static void fill(int fd)
{
	static const char big[4096];

	set_nonblocking(fd, true);
	while (write(fd, big, sizeof(big)) > 0 || write(fd, big, 1) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	set_nonblocking(fd, false);
}

/* Reads everything; its last part is left in `text`. */
static void empty(int fd, char *text, size_t len)
{
	ssize_t n;

	set_nonblocking(fd, true);
	*text = '\0';
	while ((n = read(fd, text, len - 1)) > 0)
		text[n] = '\0';
}

/* Logs while nothing is read and, after everything was read, again; the latter is in `text`. */
static void stall(int ends[2], char *text, size_t len)
{
	int saved = dup(STDERR_FILENO), flags;

	fill(ends[1]);
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	flags = fcntl(STDERR_FILENO, F_GETFL);
	alarm(PATIENCE_S); /* instead of blocking in write(2) forever */
	for (unsigned i = 0; i < 1000; i++)
		log_error("lost");
	alarm(0);
	empty(ends[0], text, len);
	log_error("read");
	log_error("again");
	assert_int_equal(fcntl(STDERR_FILENO, F_GETFL), flags);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	log_settle(0); /* no lost lines are left for the next test */
	empty(ends[0], text, len);
	close(saved);
	close(ends[0]);
	close(ends[1]);
}

#define SAID_LATER                                                                                 \
	"kinglet: standard error was full: 1000 lines lost\nkinglet: read\nkinglet: again\n"

static void a_pipe_that_is_not_read_stops_no_one(void **state)
{
	char text[4096];
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	stall(ends, text, sizeof(text));
	assert_string_equal(text, SAID_LATER);
}

static void a_socket_that_is_not_read_stops_no_one(void **state)
{
	char text[4096];
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	stall(ends, text, sizeof(text));
	assert_string_equal(text, SAID_LATER);
}

static void a_terminal_that_is_not_read_stops_no_one(void **state)
{
	char text[4096];
	int ends[2];

	(void)state;
	assert_int_equal(openpty(&ends[0], &ends[1], NULL, NULL, NULL), 0);
	/* The kernel may compact the pipe at any time, which makes room for some lines. */
	stall(ends, text, sizeof(text));
}

static void what_was_lost_is_said_at_the_end(void **state)
{
	int ends[2], saved = dup(STDERR_FILENO);
	char text[4096];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	fill(ends[1]);
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	log_settle(0);
	log_error("lost");
	log_settle(0);
	empty(ends[0], text, sizeof(text));
	log_settle(0);
	log_settle(0);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	empty(ends[0], text, sizeof(text));
	assert_string_equal(text, "kinglet: standard error was full: 1 line lost\n");
	close(saved);
	close(ends[0]);
	close(ends[1]);
}

static void *log_here(void *unused)
{
	(void)unused;
	log_error("another thread");
	return NULL;
}

static void a_muted_thread_says_nothing(void **state)
{
	struct capture capture;
	pthread_t thread;

	(void)state;
	capture_stderr_begin(&capture);
	log_mute(true);
	log_error("muted");
	log_warning("muted");
	assert_int_equal(pthread_create(&thread, NULL, log_here, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	log_mute(false);
	log_error("again");
	capture_expect_all(&capture, "kinglet: another thread\nkinglet: again\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_one_line_with_the_name),
		cmocka_unit_test(a_message_is_kept),
		cmocka_unit_test(control_characters_cannot_get_out),
		cmocka_unit_test(a_long_message_is_cut_and_still_ends),
		cmocka_unit_test(a_pipe_that_is_not_read_stops_no_one),
		cmocka_unit_test(a_socket_that_is_not_read_stops_no_one),
		cmocka_unit_test(a_terminal_that_is_not_read_stops_no_one),
		cmocka_unit_test(what_was_lost_is_said_at_the_end),
		cmocka_unit_test(a_muted_thread_says_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
