/* SPDX-License-Identifier: Apache-2.0 */
/* Who connects, and who is waited for: UNIX sockets, TCP, commands, inherited descriptors. */
#include "host/endpoint.h"
#include "unit.h"

#include "base/log.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static int setup(void **state)
{
	char *place = strdup("/tmp/kinglet-endpoint-XXXXXX");

	*state = place;
	return mkdtemp(place) && !chdir(place) ? 0 : -1;
}

static int teardown(void **state)
{
	int ret = chdir("/") || rmdir(*state);

	free(*state);
	return ret;
}

static void *accept_one(void *fd)
{
	*(int *)fd = endpoint_accept("unix:s");
	return NULL;
}

static void test_a_socket_connects_two_and_is_gone(void **state)
{
	int accepted, fd;
	pthread_t thread;
	char byte = 0;

	(void)state;
	assert_int_equal(endpoint_connect("unix:s"), -ENOENT);
	assert_int_equal(pthread_create(&thread, NULL, accept_one, &accepted), 0);
	/* Until it listens. */
	do
		fd = endpoint_connect("unix:s");
	while (fd == -ENOENT || fd == -ECONNREFUSED);
	assert_true(fd >= 0);
	pthread_join(thread, NULL);
	assert_true(accepted >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(read(accepted, &byte, 1), 1);
	assert_int_equal(byte, 'x');
	assert_int_equal(access("s", F_OK), -1);
	close(fd);
	close(accepted);
}

static void test_a_signal_ends_one_that_waits_and_leaves_no_socket(void **state)
{
	int status = 0;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (!pid) {
		(void)!endpoint_accept("unix:s");
		_exit(1);
	}
	while (access("s", F_OK))
		sched_yield();
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	assert_int_equal(access("s", F_OK), -1);
}

struct waiter {
	char place[64];
	int accepted;
	atomic_bool done;
};

static void *wait_there(void *arg)
{
	struct waiter *waiter = arg;

	waiter->accepted = endpoint_accept(waiter->place);
	atomic_store(&waiter->done, true);
	return NULL;
}

/*
 * Whether the two have met; not, if another program has the port. It is none that the kernel gives
 * to those that connect, or one that does could meet itself.
 */
static bool meet(const char *host)
{
	static int port;
	struct waiter waiter = { .done = false };
	int fd, on = 0;
	socklen_t len = sizeof(on);
	pthread_t thread;
	char byte = 0;

	port = port ? port + 1 : 10000 + getpid() % 10000;
	snprintf(waiter.place, sizeof(waiter.place), "tcp:%s:%d", host, port);
	assert_int_equal(pthread_create(&thread, NULL, wait_there, &waiter), 0);
	do
		fd = endpoint_connect(waiter.place);
	while (fd == -ECONNREFUSED && !atomic_load(&waiter.done));
	pthread_join(thread, NULL);
	if (fd < 0 || waiter.accepted < 0) {
		close(fd);
		return false;
	}
	assert_int_equal(write(fd, "x", 1), 1);
	assert_int_equal(read(waiter.accepted, &byte, 1), 1);
	assert_int_equal(byte, 'x');
	assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
	assert_int_equal(on, 1);
	close(fd);
	close(waiter.accepted);
	return true;
}

static void test_tcp_connects_two(void **state)
{
	(void)state;
	while (!meet("127.0.0.1"))
		;
	while (!meet("localhost"))
		;
	/* The kernel may have been started without IPv6. */
	while (!access("/proc/net/if_inet6", F_OK) && !meet("[::1]"))
		;
}

static void test_a_host_is_known(void **state)
{
	(void)state;
	assert_int_equal(endpoint_connect("tcp:no.such.host.invalid:1"), -ENXIO);
	assert_int_equal(endpoint_accept("tcp:no.such.host.invalid:1"), -ENXIO);
}

static void test_a_command_has_both_directions(void **state)
{
	char bytes[3] = "";
	int fd = endpoint_connect("exec:exec cat");

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "ab", 2), 2);
	assert_int_equal(recv(fd, bytes, 2, MSG_WAITALL), 2);
	assert_string_equal(bytes, "ab");
	close(fd);
}

static void test_a_descriptor_is_a_stream_socket(void **state)
{
	int pair[2], null = open("/dev/null", O_RDWR);
	char text[32];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	snprintf(text, sizeof(text), "fd=%d", pair[0]);
	assert_int_equal(endpoint_accept(text), pair[0]);
	/* It was taken. */
	assert_int_equal(endpoint_accept(text), -EBADF);
	snprintf(text, sizeof(text), "fd=%d", null);
	assert_int_equal(endpoint_accept(text), -ENOTSOCK);
	close(pair[0]);
	close(pair[1]);
	close(null);
}

/* What a guest prints must not get into the stream. */
static void test_standard_input_is_moved_away(void **state)
{
	int saved[2] = { dup(0), dup(1) }, pair[2], fd, null;
	ssize_t written;
	char byte;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	fflush(stdout);
	dup2(pair[0], 0);
	dup2(pair[0], 1);
	close(pair[0]);
	fd = endpoint_accept("fd=0");
	written = write(1, "x", 1);
	null = (int)read(0, &byte, 1);
	dup2(saved[0], 0);
	dup2(saved[1], 1);
	assert_true(fd > 2);
	assert_int_equal(written, 1);
	assert_int_equal(null, 0);
	assert_int_equal(recv(pair[1], &byte, 1, MSG_DONTWAIT), -1);
	close(fd);
	assert_int_equal(recv(pair[1], &byte, 1, 0), 0);
	close(pair[1]);
	close(saved[0]);
	close(saved[1]);
}

static void test_everything_else_is_refused(void **state)
{
	static const char *const texts[] = { "",	"s",	  "unix:", "exec:", "fd=",
					     "fd=x",	"fd=-1",  "fd=1x", "fd=99999", "tcp:",
					     "tcp:a",	"tcp::1", "tcp:a:", "tcp:a:0", "tcp:a:1x",
					     "tcp:::1:1", "tcp:a:65536", "tcp:a:-1" };
	char path[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(endpoint_connect(texts[i]), -EINVAL);
		assert_int_equal(endpoint_accept(texts[i]), -EINVAL);
	}
	memset(path, 'a', sizeof(path));
	memcpy(path, "unix:", 5);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(endpoint_connect(path), -ENAMETOOLONG);
	assert_int_equal(endpoint_accept(path), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_socket_connects_two_and_is_gone),
		TEST(test_a_signal_ends_one_that_waits_and_leaves_no_socket),
		TEST(test_tcp_connects_two),
		TEST(test_a_host_is_known),
		TEST(test_a_command_has_both_directions),
		TEST(test_a_descriptor_is_a_stream_socket),
		TEST(test_standard_input_is_moved_away),
		TEST(test_everything_else_is_refused),
	};

	log_mute(true);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
