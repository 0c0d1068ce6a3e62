/* SPDX-License-Identifier: Apache-2.0 */
/* While replies are pending, nothing more is read from the debugger. */
#include "gdb/server.h"

#include "base/log.h"
#include "base/unix_socket.h"
#include "core/loop.h"
#include "gdb.h"
#include "machine/machine.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>

/* After a debugger that could not be accepted. */
#define REST_NS UINT64_C(100000000)

struct gdb_server {
	struct gdb_config config;
	const struct machine_parts *parts; /* borrowed */
	struct gdb *gdb;	    /* owned */
	struct loop_event listener; /* fd owned; in the loop while there is no client */
	struct loop_timer rest;	    /* nor in the loop until then */
	struct loop_event client;   /* fd owned, -1: none */
	struct loop_event wake;	    /* eventfd, owned */
	const char *path;	    /* the socket that we created */
	bool leaving;		    /* no more input from the client */
	uint8_t in[4096];
	size_t in_at, in_len;
	char out[GDB_SEND_MAX];
	size_t out_len;
};

static int fail(const struct gdb_server *server, const char *what, int err)
{
	const struct gdb_config *config = &server->config;

	log_error("gdb: %s%s: %s: %s%s", config->port ? "127.0.0.1:" : "socket ", config->listen,
		  what, strerror(-err),
		  err == -EADDRINUSE && !config->port ? " (remove it if no process listens "
							"there)" : "");
	return err;
}

/* --- The connection --------------------------------------------------------------------------- */

/* Only EPOLLOUT while replies are pending. */
static void watch_client(struct gdb_server *server)
{
	int ret = loop_modify(server->parts->loop, &server->client,
			      server->out_len ? EPOLLOUT : EPOLLIN);

	(void)ret; /* it is in the loop */
}

static void close_client(struct gdb_server *server)
{
	int ret;

	if (server->client.fd < 0)
		return;
	loop_remove(server->parts->loop, &server->client);
	close_fd(&server->client.fd);
	server->in_at = server->in_len = server->out_len = 0;
	ret = loop_add(server->parts->loop, &server->listener, EPOLLIN);
	if (ret)
		fail(server, "epoll_ctl", ret);
}

static bool flush(struct gdb_server *server)
{
	ssize_t sent;

	if (!server->out_len)
		return true;
	sent = send(server->client.fd, server->out, server->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0)
		return errno == EAGAIN || errno == EINTR;
	server->out_len -= (size_t)sent;
	memmove(server->out, server->out + sent, server->out_len);
	return true;
}

static bool fill(struct gdb_server *server)
{
	ssize_t got;

	if (server->in_at < server->in_len)
		return true;
	got = recv(server->client.fd, server->in, sizeof(server->in), MSG_DONTWAIT);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR;
	server->in_at = 0;
	server->in_len = (size_t)got;
	return got;
}

static void obey(struct gdb_server *server)
{
	while (server->in_at < server->in_len && !server->out_len && !server->leaving) {
		gdb_take(server->gdb, server->in[server->in_at++]);
		if (!flush(server)) {
			server->leaving = true;
			gdb_hang_up(server->gdb);
		}
	}
}

static void client_ready(struct loop_event *event, uint32_t events)
{
	struct gdb_server *server = container_of(event, struct gdb_server, client);

	if (server->client.fd < 0)
		return;
	if (!flush(server) || (events & ~(uint32_t)EPOLLOUT && !server->out_len && !fill(server))) {
		server->leaving = true;
		gdb_hang_up(server->gdb);
	}
	obey(server);
	if (server->leaving)
		close_client(server);
	else
		watch_client(server);
}

static void client_came(struct loop_event *event, uint32_t events)
{
	struct gdb_server *server = container_of(event, struct gdb_server, listener);
	int fd = accept4(event->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK), on = 1;

	(void)events;
	if (fd < 0) {
		/* Without a free descriptor, for one, the loop would turn for ever. */
		loop_remove(server->parts->loop, event);
		loop_timer_set(&server->rest, REST_NS);
		return;
	}
	/*
	 * Replies are short and the debugger waits for them. A Unix socket does not support the
	 * option.
	 */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	server->client.fn = client_ready;
	server->client.fd = fd;
	server->leaving = false;
	if (loop_add(server->parts->loop, &server->client, EPOLLIN)) {
		close_fd(&server->client.fd);
		return;
	}
	loop_remove(server->parts->loop, &server->listener);
	gdb_attach(server->gdb);
}

static void rested(struct loop_timer *timer)
{
	struct gdb_server *server = container_of(timer, struct gdb_server, rest);

	if (loop_add(server->parts->loop, &server->listener, EPOLLIN))
		loop_timer_set(timer, REST_NS);
}

/* --- Callbacks of the debugger --------------------------------------------------------------- */

static void send_bytes(void *owner, const char *data, size_t len)
{
	struct gdb_server *server = owner;

	if (server->client.fd < 0 || len > sizeof(server->out) - server->out_len)
		return;
	memcpy(server->out + server->out_len, data, len);
	server->out_len += len;
}

static void wake(void *owner)
{
	const struct gdb_server *server = owner;

	eventfd_signal(server->wake.fd);
}

static void woken(struct loop_event *event, uint32_t events)
{
	struct gdb_server *server = container_of(event, struct gdb_server, wake);

	(void)events;
	eventfd_drain(event->fd);
	gdb_look(server->gdb);
	if (server->client.fd >= 0)
		watch_client(server);
}

static void leaves(void *owner)
{
	struct gdb_server *server = owner;

	server->leaving = true;
}

static const struct gdb_ops ops = { .send = send_bytes, .wake = wake, .leaves = leaves };

/* --- Life ------------------------------------------------------------------------------------- */

static int listen_on_port(struct gdb_server *server, unsigned port)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int on = 1;

	/* Or the port would be taken for a minute after each run. */
	if (setsockopt(server->listener.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(server->listener.fd, (const struct sockaddr *)&address, sizeof(address)))
		return fail(server, "bind", -errno);
	return 0;
}

static int listen_on_path(struct gdb_server *server, const char *path)
{
	struct sockaddr_un address;
	int ret = unix_address(&address, path);

	if (ret)
		return fail(server, "bind", ret);
	/* Before bind(2), so that other users can never connect. */
	if (fchmod(server->listener.fd, 0600) ||
	    bind(server->listener.fd, (const struct sockaddr *)&address, sizeof(address)))
		return fail(server, "bind", -errno);
	server->path = path;
	return 0;
}

static int start_listening(struct gdb_server *server)
{
	const struct gdb_config *config = &server->config;
	int ret;

	server->rest.fn = rested;
	ret = loop_timer_add(server->parts->loop, &server->rest);
	if (ret)
		return fail(server, "timer", ret);
	server->listener.fn = client_came;
	server->listener.fd = socket(config->port ? AF_INET : AF_UNIX,
				     SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (server->listener.fd < 0)
		return fail(server, "socket", -errno);
	ret = config->port ? listen_on_port(server, config->port) :
			     listen_on_path(server, config->listen);
	if (ret)
		return ret;
	if (listen(server->listener.fd, 1))
		return fail(server, "listen", -errno);
	ret = loop_add(server->parts->loop, &server->listener, EPOLLIN);
	return ret ? fail(server, "epoll_ctl", ret) : 0;
}

static int add_wake(struct gdb_server *server)
{
	int ret;

	server->wake.fn = woken;
	ret = loop_eventfd_add(server->parts->loop, &server->wake);
	return ret ? fail(server, "eventfd", ret) : 0;
}

static int set_up(struct gdb_server *server)
{
	const struct gdb_options options = {
		.parts = server->parts,
		.wait = !server->config.nowait,
		.ops = &ops,
		.owner = server,
	};
	int ret = start_listening(server);

	if (!ret)
		ret = add_wake(server);
	if (ret)
		return ret;
	ret = gdb_new(&server->gdb, &options);
	return ret ? fail(server, "vCPUs", ret) : 0;
}

static void tear_down(struct gdb_server *server)
{
	struct loop *loop = server->parts->loop;

	loop_remove(loop, &server->client);
	close_fd(&server->client.fd);
	loop_timer_remove(loop, &server->rest);
	loop_remove(loop, &server->listener);
	close_fd(&server->listener.fd);
	if (server->path)
		unlink(server->path);
	server->path = NULL;
	loop_eventfd_remove(loop, &server->wake);
	gdb_free(server->gdb);
	server->gdb = NULL;
}

int gdb_server_new(struct gdb_server **out, const struct gdb_config *config)
{
	struct gdb_server *server;

	*out = NULL;
	if (!config->listen)
		return 0;
	server = calloc(1, sizeof(*server));
	if (!server)
		return -ENOMEM;
	server->config = *config;
	server->listener.fd = server->client.fd = server->wake.fd = -1;
	server->rest.event.fd = -1;
	*out = server;
	return 0;
}

void gdb_server_free(struct gdb_server *server)
{
	free(server);
}

/* --- The observer ----------------------------------------------------------------------------- */

static int built(void *owner, const struct machine_parts *parts)
{
	struct gdb_server *server = owner;
	const struct gdb_config *config = &server->config;
	int ret;

	server->parts = parts;
	ret = set_up(server);
	if (ret)
		tear_down(server);
	else if (!config->nowait)
		log_error("gdb: waiting before the first instruction; in gdb: target remote %s%s",
			  config->port ? "127.0.0.1:" : "", config->listen);
	return ret;
}

static bool holds(void *owner)
{
	return gdb_holds(((const struct gdb_server *)owner)->gdb);
}

static void debugged(void *owner, struct vcpu *vcpu)
{
	const struct gdb_server *server = owner;

	gdb_vcpu_debugged(server->gdb, vcpu);
}

static void restarting(void *owner)
{
	const struct gdb_server *server = owner;

	gdb_restarting(server->gdb);
}

static void restarted(void *owner)
{
	struct gdb_server *server = owner;

	gdb_restarted(server->gdb);
	if (server->client.fd >= 0)
		watch_client(server);
}

/* The last packet may be lost; the end of the connection suffices then. */
static void stopped(void *owner, const struct verdict *verdict)
{
	struct gdb_server *server = owner;

	if (server->client.fd >= 0) {
		gdb_ended(server->gdb, verdict->status);
		flush(server);
	}
	tear_down(server);
}

static void abandon(void *owner)
{
	const struct gdb_server *server = owner;

	if (server->path)
		unlink(server->path);
}

const struct machine_observer_ops gdb_server_ops = {
	.built = built,
	.stopped = stopped,
	.abandon = abandon,
	.restarting = restarting,
	.restarted = restarted,
	.debugged = debugged,
	.holds = holds,
};
