/* SPDX-License-Identifier: Apache-2.0 */
#include "socket.h"

#include "base/log.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>

/* --- The config ------------------------------------------------------------------------------- */

/* The number behind "fd="; -1: it is none. */
static int fd_of(const char *where)
{
	char *end;
	long fd;

	if (strncmp(where, "fd=", 3) != 0 || !isdigit((unsigned char)where[3]))
		return -1;
	fd = strtol(where + 3, &end, 10);
	return !*end && fd <= 1 << 20 ? (int)fd : -1;
}

static bool is_off(const struct control_config *config)
{
	if (config->where)
		return !strcmp(config->where, "off");
	return !config->wanted && !config->name;
}

int control_config_check(const struct control_config *config, char *why, size_t len)
{
	const char *where = config->where;
	char folder[PATH_MAX];

	if (config->name && !control_is_name(config->name))
		snprintf(why, len, "--name %.70s: a name has 1 to %d letters, digits and -_. and "
			 "does not begin with a dot", config->name, CONTROL_NAME_MAX);
	else if (where && !strncmp(where, "fd=", 3) && fd_of(where) < 3)
		snprintf(why, len, "--control %.40s: is no inherited descriptor; write for example "
			 "fd=3", where);
	else if (config->name && !where && control_folder(folder, sizeof(folder)) == -ENXIO)
		snprintf(why, len, "--name %s: XDG_RUNTIME_DIR names no folder for its socket; add "
			 "--control PATH", config->name);
	else
		return 0;
	return -EINVAL;
}

bool control_config_describe(const struct control_config *config, char *text, size_t len)
{
	if (is_off(config))
		return false;
	if (!config->where)
		return control_path(text, len, config->name ? config->name : "PID") != -ENXIO;
	snprintf(text, len, "%s", config->where);
	return true;
}

/* --- An inherited one ------------------------------------------------------------------------- */

static int option_of(int fd, int option)
{
	socklen_t len = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) ? -errno : value;
}

static int take_inherited(struct control_socket *sock, int fd)
{
	struct sockaddr_un peer;
	socklen_t len = sizeof(peer);
	int ret = inherited_fd(fd);

	if (!ret && (option_of(fd, SO_DOMAIN) != AF_UNIX || option_of(fd, SO_TYPE) != SOCK_STREAM))
		ret = -ENOTSOCK;
	sock->connected = option_of(fd, SO_ACCEPTCONN) != 1;
	if (!ret && sock->connected && getpeername(fd, (struct sockaddr *)&peer, &len))
		ret = -ENOTCONN;
	if (ret) {
		log_error("--control fd=%d: %s", fd,
			  ret == -ENOTSOCK ? "is no Unix stream socket" :
			  ret == -ENOTCONN ? "neither listens nor is connected" :
					     "is not inherited");
		return ret;
	}
	/* Others may take from a queue that is inherited; accept4(2) must not wait then. */
	if (!sock->connected && fcntl(fd, F_SETFL, O_NONBLOCK))
		return -errno;
	sock->fd = fd;
	return 0;
}

/* --- One of our own --------------------------------------------------------------------------- */

static int fail(const struct control_socket *sock, const char *what, int err)
{
	log_error("control socket %s: %s: %s", sock->address.sun_path, what, strerror(-err));
	return err;
}

/* 0: nobody listens there. */
static int look_for_another(const struct control_socket *sock)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat file;

	if (fd < 0)
		return fail(sock, "socket", -errno);
	if (lstat(sock->address.sun_path, &file))
		return errno == ENOENT ? 0 : fail(sock, "stat", -errno);
	if (!S_ISSOCK(file.st_mode)) {
		log_error("control socket %s: a file that is no socket is in its place",
			  sock->address.sun_path);
		return -EEXIST;
	}
	/* EAGAIN: its queue is full. */
	if (!connect(fd, (const struct sockaddr *)&sock->address, sizeof(sock->address)) ||
	    errno == EAGAIN) {
		log_error("control socket %s: another machine has it; choose another --name",
			  sock->address.sun_path);
		return -EADDRINUSE;
	}
	if (errno != ECONNREFUSED)
		return fail(sock, "connect", -errno);
	return unlink(sock->address.sun_path) ? fail(sock, "unlink", -errno) : 0;
}

static int bind_and_listen(struct control_socket *sock)
{
	sock->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock->fd < 0)
		return fail(sock, "socket", -errno);
	/* The mode before bind(2), so that other users can never connect. */
	if (fchmod(sock->fd, 0600) ||
	    bind(sock->fd, (const struct sockaddr *)&sock->address, sizeof(sock->address)))
		return fail(sock, "bind", -errno);
	if (lstat(sock->address.sun_path, &sock->made))
		return fail(sock, "stat", -errno);
	return listen(sock->fd, SOMAXCONN) ? fail(sock, "listen", -errno) : 0;
}

/* *lock: until it is closed. In a folder of others, these could keep us waiting. */
static int lock_folder(const struct control_socket *sock, int *lock)
{
	char path[sizeof(sock->address.sun_path)];
	struct stat folder;
	char *slash;

	memcpy(path, sock->address.sun_path, sizeof(path));
	slash = strrchr(path, '/');
	if (slash)
		slash[slash == path] = '\0';
	*lock = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*lock < 0 || fstat(*lock, &folder) ||
	    (folder.st_uid == geteuid() && flock(*lock, LOCK_EX)))
		return fail(sock, "its folder", -errno);
	return 0;
}

/*
 * Two machines that start at once must not both find the other's socket dead, which until listen(2)
 * it is.
 */
static int make(struct control_socket *sock)
{
	_cleanup_close_ int lock = -1;
	int ret = lock_folder(sock, &lock);

	if (!ret)
		ret = look_for_another(sock);
	if (!ret)
		ret = bind_and_listen(sock);
	if (ret)
		control_socket_close(sock);
	return ret;
}

static int refuse_length(const struct control_socket *sock)
{
	log_error("control socket %s…: has more than %zu bytes; give a shorter --control PATH",
		  sock->address.sun_path, sizeof(sock->address.sun_path) - 1);
	return -ENAMETOOLONG;
}

/*
 * -ENOENT: there is none of this user, and none can be made. In another user's runtime folder, which
 * sudo may have passed on, ours would be in that user's way.
 */
static int make_folder(const char *path)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	struct stat folder;

	if (!runtime || stat(runtime, &folder) || folder.st_uid != geteuid())
		return -ENOENT;
	if (mkdir(path, 0700) && errno != EEXIST)
		return -ENOENT;
	if (lstat(path, &folder) || !S_ISDIR(folder.st_mode) || folder.st_uid != geteuid() ||
	    chmod(path, 0700))
		return -ENOENT;
	return 0;
}

static int make_in_runtime_folder(struct control_socket *sock, const struct control_config *config)
{
	char folder[sizeof(sock->address.sun_path)];
	int ret = control_path(sock->address.sun_path, sizeof(sock->address.sun_path), sock->name);

	if (ret == -ENAMETOOLONG)
		return refuse_length(sock);
	if (!ret)
		ret = control_folder(folder, sizeof(folder));
	if (!ret)
		ret = make_folder(folder);
	if (!ret)
		return make(sock);
	if (!config->name)
		return 0;
	log_error("control socket: $XDG_RUNTIME_DIR/kinglet cannot be made, or is another user's; "
		  "give a --control PATH");
	return -ENOENT;
}

/* --- Both ------------------------------------------------------------------------------------- */

int control_socket_open(struct control_socket *sock, const struct control_config *config)
{
	*sock = (struct control_socket){ .fd = -1, .address.sun_family = AF_UNIX };
	if (config->name)
		snprintf(sock->name, sizeof(sock->name), "%s", config->name);
	else
		snprintf(sock->name, sizeof(sock->name), "%d", (int)getpid());
	if (is_off(config))
		return 0;
	if (!config->where)
		return make_in_runtime_folder(sock, config);
	if (fd_of(config->where) >= 0)
		return take_inherited(sock, fd_of(config->where));
	if (strlen(config->where) >= sizeof(sock->address.sun_path)) {
		memcpy(sock->address.sun_path, config->where, sizeof(sock->address.sun_path) - 1);
		return refuse_length(sock);
	}
	memcpy(sock->address.sun_path, config->where, strlen(config->where) + 1);
	return make(sock);
}

void control_socket_close(struct control_socket *sock)
{
	struct stat now;

	close_fd(&sock->fd);
	/* Somebody may have removed it, and another machine be in its place. */
	if (sock->made.st_ino && !lstat(sock->address.sun_path, &now) &&
	    now.st_ino == sock->made.st_ino && now.st_dev == sock->made.st_dev)
		unlink(sock->address.sun_path);
	sock->made.st_ino = 0;
}

bool control_socket_allows(uid_t peer, uid_t own)
{
	return peer == own || peer == 0;
}
