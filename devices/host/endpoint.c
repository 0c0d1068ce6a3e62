/* SPDX-License-Identifier: Apache-2.0 */
#include "host/endpoint.h"

#include "base/log.h"
#include "base/signals.h"
#include "base/unix_socket.h"
#include "host/child.h"

#include <limits.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/signalfd.h>

/* What follows the prefix, or NULL. */
static const char *after(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return !strncmp(text, prefix, len) && text[len] ? text + len : NULL;
}

/* --- UNIX sockets ----------------------------------------------------------------------------- */

static int connect_to(const char *path)
{
	return unix_connect(path, 0);
}

static int accept_one(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* -EINTR: one of the signals, which are blocked, came first. */
static int accept_before(int listener, const sigset_t *signals)
{
	_cleanup_close_ int signals_fd = signalfd(-1, signals, SFD_CLOEXEC);
	struct pollfd fds[] = { { .fd = listener, .events = POLLIN },
				{ .fd = signals_fd, .events = POLLIN } };

	if (signals_fd < 0 || listen(listener, 1) || poll(fds, ARRAY_SIZE(fds), -1) < 0)
		return -errno;
	return fds[1].revents ? -EINTR : accept_one(listener);
}

/* A signal that ends the process does so after the path is gone. */
static int accept_at(const char *path)
{
	_cleanup_close_ int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;
	int fd = unix_address(&address, path);
	sigset_t ends, before;

	if (fd)
		return fd;
	sigemptyset(&ends);
	signals_add_ends(&ends);
	pthread_sigmask(SIG_BLOCK, &ends, &before);
	if (listener < 0 || bind(listener, (const struct sockaddr *)&address, sizeof(address))) {
		fd = -errno;
	} else {
		fd = accept_before(listener, &ends);
		unlink(path);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return fd;
}

/* --- TCP -------------------------------------------------------------------------------------- */

static bool is_port(const char *text)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	return *text >= '0' && *text <= '9' && !*end && port && port <= USHRT_MAX;
}

/* "HOST:PORT"; an IPv6 address stands in brackets. -ENXIO: there is no such host. */
static int resolve(const char *text, int flags, struct addrinfo **found)
{
	const struct addrinfo hints = {
		.ai_flags = flags | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	bool bracketed = len > 2 && text[0] == '[' && text[len - 1] == ']';
	_cleanup_free_ char *host = strndup(text + bracketed, len - 2 * bracketed);
	int ret;

	if (!host)
		return -ENOMEM;
	if (!len || !is_port(colon + 1) || (!bracketed && memchr(text, ':', len)))
		return -EINVAL;
	ret = getaddrinfo(host, colon + 1, &hints, found);
	if (ret == EAI_SYSTEM)
		return -errno;
	return ret ? ret == EAI_MEMORY ? -ENOMEM : -ENXIO : 0;
}

/* Its last frames are short, and each waits for an answer. */
static int without_delay(int fd)
{
	const int on = 1;

	return setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) ? -errno : 0;
}

static int connect_address(const struct addrinfo *address)
{
	_cleanup_close_ int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, address->ai_addr, address->ai_addrlen))
		return -errno;
	return steal_fd(&fd);
}

static int accept_address(const struct addrinfo *address)
{
	_cleanup_close_ int listener = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int on = 1;

	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(listener, address->ai_addr, address->ai_addrlen) || listen(listener, 1))
		return -errno;
	return accept_one(listener);
}

/* By the first of the host's addresses that it works with. */
static int meet(const char *text, int flags, int (*by)(const struct addrinfo *address))
{
	struct addrinfo *found = NULL;
	_cleanup_close_ int fd = -1;
	int ret = resolve(text, flags, &found);

	if (ret)
		return ret;
	for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next)
		fd = by(at);
	freeaddrinfo(found);
	ret = fd < 0 ? fd : without_delay(fd);
	return ret ? ret : steal_fd(&fd);
}

/* --- Commands --------------------------------------------------------------------------------- */

static int spawn(const char *command, int theirs)
{
	const char *const argv[] = { "/bin/sh", "-c", command, NULL };
	pid_t pid;

	return child_spawn(&pid, argv, (int[]){ theirs, theirs, -1, -1 }, false);
}

static int run_command(const char *command)
{
	int pair[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	ret = spawn(command, pair[1]);
	close(pair[1]);
	if (ret)
		close(pair[0]);
	return ret ? ret : pair[0];
}

/* --- Inherited ones --------------------------------------------------------------------------- */

/*
 * One that stands for standard input and output, as ssh has it: neither is a terminal's, and what a
 * guest prints must not get into it.
 */
static int move_away(int fd)
{
	_cleanup_close_ int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (moved < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		return -errno;
	return steal_fd(&moved);
}

static int inherited(const char *number)
{
	char *end;
	long fd = strtol(number, &end, 10);
	int type, ret;
	socklen_t len = sizeof(type);

	if (*end || fd < 0 || fd > SHRT_MAX)
		return -EINVAL;
	ret = inherited_fd((int)fd);
	if (ret)
		return ret;
	if (getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &len))
		return -errno;
	if (type != SOCK_STREAM)
		return -ENOTSOCK;
	return fd == STDIN_FILENO ? move_away((int)fd) : (int)fd;
}

/* --- Their forms ------------------------------------------------------------------------------ */

static int connect_host(const char *address)
{
	return meet(address, 0, connect_address);
}

static int accept_host(const char *address)
{
	return meet(address, AI_PASSIVE, accept_address);
}

static const struct form {
	const char *prefix;
	int (*connect)(const char *rest); /* NULL: one waits there only */
	int (*accept)(const char *rest);
} forms[] = {
	{ "unix:", connect_to, accept_at },
	{ "tcp:", connect_host, accept_host },
	{ "exec:", run_command, run_command },
	{ "fd=", NULL, inherited },
};

/* `more` forms; `absent`: what to do when there is nothing at that place. */
static int explain(const char *text, int ret, const char *more, const char *absent)
{
	if (ret == -EINVAL)
		log_error("%.80s: is none of unix:PATH, tcp:HOST:PORT (IPv6: tcp:[ADDRESS]:PORT), "
			  "exec:COMMAND%s",
			  text, more);
	else if (ret == -ENXIO)
		log_error("%.80s: there is no such host", text);
	else if (ret < 0)
		log_error("%.80s: %s%s", text, strerror(-ret),
			  ret == -ENOENT || ret == -ECONNREFUSED ? absent : "");
	return ret;
}

int endpoint_connect(const char *text)
{
	int ret = -EINVAL;

	for (unsigned i = 0; i < ARRAY_SIZE(forms) && ret == -EINVAL; i++)
		if (after(text, forms[i].prefix) && forms[i].connect)
			ret = forms[i].connect(after(text, forms[i].prefix));
	return explain(text, ret, "", "; start kinglet run --incoming there first");
}

int endpoint_accept(const char *text)
{
	int ret = -EINVAL;

	for (unsigned i = 0; i < ARRAY_SIZE(forms) && ret == -EINVAL; i++)
		if (after(text, forms[i].prefix))
			ret = forms[i].accept(after(text, forms[i].prefix));
	return explain(text, ret, ", fd=N", "");
}
