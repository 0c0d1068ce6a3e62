/* SPDX-License-Identifier: Apache-2.0 */
#include "base/unix_socket.h"

#include "unit.h"

#include <string.h>
#include <sys/eventfd.h>

static void a_path_must_fit(void **state)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
	struct sockaddr_un address;

	(void)state;
	memset(path, 'x', sizeof(path) - 2);
	path[sizeof(path) - 2] = '\0';
	assert_int_equal(unix_address(&address, path), 0);
	assert_int_equal(address.sun_family, AF_UNIX);
	assert_string_equal(address.sun_path, path);
	strcat(path, "x");
	assert_int_equal(unix_address(&address, path), -ENAMETOOLONG);
}

/* Descriptors go along with the bytes; an eventfd that comes is the one that was sent. */
static void descriptors_are_passed(void **state)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(UNIX_MAX_FDS * sizeof(int))];
	} control;
	char text[8];
	struct iovec iov = { text, sizeof(text) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	int pair[2], fds[UNIX_MAX_FDS], taken[UNIX_MAX_FDS];
	eventfd_t value;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	for (unsigned i = 0; i < UNIX_MAX_FDS; i++)
		fds[i] = eventfd(i + 1, EFD_CLOEXEC);
	assert_int_equal(unix_send(pair[0], "hello", 5, fds, UNIX_MAX_FDS), 5);
	assert_int_equal(unix_send(pair[0], "!", 1, NULL, 0), 1);

	assert_int_equal(recvmsg(pair[1], &msg, MSG_CMSG_CLOEXEC), 5);
	assert_memory_equal(text, "hello", 5);
	assert_int_equal(control.header.cmsg_type, SCM_RIGHTS);
	assert_int_equal(control.header.cmsg_len, CMSG_LEN(sizeof(taken)));
	memcpy(taken, CMSG_DATA(&control.header), sizeof(taken));
	for (unsigned i = 0; i < UNIX_MAX_FDS; i++) {
		assert_int_equal(eventfd_read(taken[i], &value), 0);
		assert_int_equal(value, i + 1);
		close_fd(&taken[i]);
		close_fd(&fds[i]);
	}
	assert_int_equal(recv(pair[1], text, sizeof(text), 0), 1);

	close_fd(&pair[1]);
	assert_int_equal(unix_send(pair[0], "!", 1, NULL, 0), -EPIPE);
	close_fd(&pair[0]);
}

static void a_full_socket_is_not_waited_for(void **state)
{
	static const char data[1 << 16];
	int pair[2];
	ssize_t n;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	while ((n = unix_send(pair[0], data, sizeof(data), NULL, 0)) > 0)
		;
	assert_int_equal(n, -EAGAIN);
	close_fd(&pair[0]);
	close_fd(&pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_must_fit),
		cmocka_unit_test(descriptors_are_passed),
		cmocka_unit_test(a_full_socket_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
