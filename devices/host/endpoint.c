/* SPDX-License-Identifier: Apache-2.0 */
#include "host/endpoint.h"

#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

extern char **environ;

/* What follows the prefix, or NULL. */
static const char *after(const char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return !strncmp(text, prefix, len) && text[len] ? text + len : NULL;
}

static int new_socket(const char *path, struct sockaddr_un *address)
{
	int fd;

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (snprintf(address->sun_path, sizeof(address->sun_path), "%s", path) >=
	    (int)sizeof(address->sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd < 0 ? -errno : fd;
}

static int connect_to(const char *path)
{
	struct sockaddr_un address;
	_cleanup_close_ int fd = new_socket(path, &address);

	if (fd < 0)
		return fd;
	/* Or it would wait for room among those that want to connect. */
	if (fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		return -errno;
	return steal_fd(&fd);
}

static int accept_at(const char *path)
{
	struct sockaddr_un address;
	_cleanup_close_ int listener = new_socket(path, &address);
	int fd;

	if (listener < 0)
		return listener;
	if (bind(listener, (const struct sockaddr *)&address, sizeof(address)))
		return -errno;
	fd = listen(listener, 1) ? -1 : accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	fd = fd < 0 ? -errno : fd;
	unlink(path);
	return fd;
}

/* Signals are to it what they are to any command, although they are blocked here. */
static int set_signals(posix_spawnattr_t *attributes)
{
	sigset_t none, pipe;
	int ret;

	sigemptyset(&none);
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigaddset(&pipe, SIGXFSZ);
	ret = posix_spawnattr_setsigmask(attributes, &none);
	if (!ret)
		ret = posix_spawnattr_setsigdefault(attributes, &pipe);
	if (!ret)
		ret = posix_spawnattr_setflags(attributes,
					       POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	return ret;
}

static int spawn(const char *command, int theirs)
{
	char shell[] = "/bin/sh", option[] = "-c";
	_cleanup_free_ char *script = strdup(command);
	char *const argv[] = { shell, option, script, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	pid_t pid;
	int ret = script ? posix_spawn_file_actions_init(&actions) : ENOMEM;

	if (ret)
		return -ret;
	posix_spawnattr_init(&attributes);
	ret = set_signals(&attributes);
	if (!ret)
		ret = posix_spawn_file_actions_adddup2(&actions, theirs, STDIN_FILENO);
	if (!ret)
		ret = posix_spawn_file_actions_adddup2(&actions, theirs, STDOUT_FILENO);
	if (!ret)
		ret = posix_spawn(&pid, shell, &actions, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -ret;
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

int endpoint_connect(const char *text)
{
	const char *path = after(text, "unix:"), *command = after(text, "exec:");

	if (path)
		return connect_to(path);
	return command ? run_command(command) : -EINVAL;
}

int endpoint_accept(const char *text)
{
	const char *path = after(text, "unix:"), *command = after(text, "exec:");
	const char *number = after(text, "fd=");

	if (path)
		return accept_at(path);
	if (command)
		return run_command(command);
	return number ? inherited(number) : -EINVAL;
}
