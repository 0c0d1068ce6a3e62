/* SPDX-License-Identifier: Apache-2.0 */
/* The observer: it has the socket, and passes on what happens to the machine. */
#include "internal.h"

#include "base/log.h"
#include "virtio/virtio.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* After this time without an answer of the machine's thread, a client is told that it is busy. */
#define PATIENCE_NS UINT64_C(1000000000)
/* After a client that could not be accepted. */
#define REST_NS UINT64_C(100000000)

/* --- Clients ---------------------------------------------------------------------------------- */

static void came_line(void *owner, struct client *client, const char *line, size_t len, bool excess)
{
	request_serve(owner, client, line, len, excess);
}

static void came_bytes(void *owner, struct client *client)
{
	screen_serve(owner, client);
}

static void too_long(void *owner, struct client *client)
{
	_cleanup_free_ char *line = NULL;
	struct refusal refusal;

	(void)owner;
	refuse(&refusal, BAD_REQUEST, "a line has more than %d bytes", CLIENT_LINE_MAX);
	line = reply_refused(NULL, &refusal);
	client_send(client, line);
}

static void left(void *owner, struct client *client)
{
	struct control_server *server = owner;
	cJSON **wait = &server->waits[client - server->clients.list];

	jobs_forget(server, client);
	screen_forget(server, client);
	cJSON_Delete(*wait);
	*wait = NULL;
}

static const struct clients_ops clients_ops = {
	.line = came_line,
	.raw = came_bytes,
	.too_long = too_long,
	.left = left,
};

/* One line, if the socket takes it, and its end. */
static void turn_away(int fd, enum refusal_code code, const char *why)
{
	_cleanup_free_ char *line = NULL;
	struct refusal refusal;

	refuse(&refusal, code, "%s", why);
	line = reply_refused(NULL, &refusal);
	if (line && send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
		(void)!send(fd, "\n", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	close_fd(&fd);
}

static bool has_room(const struct clients *clients)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (clients->list[i].event.fd < 0)
			return true;
	return false;
}

static void greet(struct control_server *server, struct client *client)
{
	cJSON *greeting = cJSON_CreateObject();
	_cleanup_free_ char *line = NULL;

	cJSON_AddStringToObject(greeting, "kinglet", KINGLET_VERSION);
	cJSON_AddNumberToObject(greeting, "protocol", CONTROL_PROTOCOL);
	cJSON_AddStringToObject(greeting, "name", server->sock.name);
	cJSON_AddNumberToObject(greeting, "pid", getpid());
	line = json_line(greeting);
	client_send(client, line);
	client_settle(client);
}

static void let_in(struct control_server *server, int fd)
{
	struct ucred peer = { .uid = (uid_t)-1 };
	socklen_t len = sizeof(peer);
	struct client *client;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) ||
	    !control_socket_allows(peer.uid, geteuid())) {
		turn_away(fd, REFUSED, "this machine is another user's");
		return;
	}
	if (!has_room(&server->clients)) {
		turn_away(fd, BUSY, "as many clients as may be are connected");
		return;
	}
	client = clients_add(&server->clients, fd);
	if (client)
		greet(server, client);
}

static void client_came(struct loop_event *event, uint32_t events)
{
	struct control_server *server = container_of(event, struct control_server, listener);
	int fd = accept4(event->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0) {
		let_in(server, fd);
		return;
	}
	/* Without a free descriptor, for one, the loop would turn for ever. */
	loop_remove(server->clients.loop, event);
	loop_timer_set(&server->rest, REST_NS);
}

static void rested(struct loop_timer *timer)
{
	struct control_server *server = container_of(timer, struct control_server, rest);

	if (loop_add(server->clients.loop, &server->listener, EPOLLIN))
		loop_timer_set(timer, REST_NS);
}

/* --- News of other threads -------------------------------------------------------------------- */

/* Takes over *news. */
static void queue(struct control_server *server, struct news *news)
{
	struct news **at = &server->news;

	pthread_mutex_lock(&server->lock);
	while (*at)
		at = &(*at)->next;
	*at = news;
	pthread_mutex_unlock(&server->lock);
	eventfd_signal(server->wake.fd);
}

static void tell(struct control_server *server, int kind, const char *what)
{
	struct news *news = calloc(1, sizeof(*news));

	if (!news)
		return;
	news->kind = kind;
	snprintf(news->what, sizeof(news->what), "%s", what);
	queue(server, news);
}

static void tell_clients(struct control_server *server, const char *name, const char *what)
{
	cJSON *event = event_new(name);

	if (*what)
		json_put_text(event, "detail", what);
	event_send(server, event);
}

static void tell_round(struct control_server *server, const struct machine_progress *progress)
{
	const uint64_t expected_ms = progress->expected_ns / 1000000;
	cJSON *event = event_new("moves");

	cJSON_AddNumberToObject(event, "round", progress->round);
	cJSON_AddNumberToObject(event, "left", (double)progress->left);
	cJSON_AddNumberToObject(event, "sent", (double)progress->sent);
	cJSON_AddNumberToObject(event, "rate", (double)progress->rate);
	cJSON_AddNumberToObject(event, "written", (double)progress->written);
	if (progress->expected_ns != UINT64_MAX)
		cJSON_AddNumberToObject(event, "expected_ms", (double)expected_ms);
	cJSON_AddBoolToObject(event, "stands", progress->stands);
	event_send(server, event);
	if (server->state == STATE_RUNNING)
		server->state = STATE_MOVING;
}

/* A migration has ended; it may have been paused meanwhile. */
static void tell_failure(struct control_server *server, const struct news *news)
{
	bool frozen = news->kind == NEWS_FROZEN;

	tell_clients(server, frozen ? "frozen" : "stays", news->what);
	if (server->state == STATE_MOVING || frozen)
		server->state = frozen ? STATE_FROZEN : STATE_RUNNING;
}

static void pass_on(struct control_server *server, const struct news *news)
{
	switch (news->kind) {
	case NEWS_RUNS:
		server->state = STATE_RUNNING;
		tell_clients(server, "started", "");
		break;
	case NEWS_ENDING:
		server->state = STATE_ENDING;
		break;
	case NEWS_PANICKED:
		if (!server->panicked)
			tell_clients(server, "panicked", news->what);
		server->panicked = true;
		break;
	case NEWS_BROKEN:
		tell_clients(server, "broken", news->what);
		break;
	case NEWS_MOVES:
		tell_round(server, &news->progress);
		break;
	case NEWS_STAYS:
	case NEWS_FROZEN:
		tell_failure(server, news);
		break;
	case NEWS_ROOM:
		screen_has_room(server);
		break;
	}
}

static struct news *take_news(struct control_server *server)
{
	struct news *news;

	pthread_mutex_lock(&server->lock);
	news = server->news;
	server->news = NULL;
	pthread_mutex_unlock(&server->lock);
	return news;
}

static void pass_all_on(struct control_server *server)
{
	struct news *news = take_news(server);

	while (news) {
		_cleanup_free_ struct news *first = news;

		pass_on(server, first);
		news = first->next;
	}
}

static void woken(struct loop_event *event, uint32_t events)
{
	struct control_server *server = container_of(event, struct control_server, wake);

	(void)events;
	eventfd_drain(event->fd);
	/* The only client of a socket that was connected already. */
	if (server->sock.connected && server->sock.fd >= 0)
		let_in(server, steal_fd(&server->sock.fd));
	pass_all_on(server);
	screen_show(server);
}

/* --- The observer ----------------------------------------------------------------------------- */

static int add_events(struct control_server *server, struct loop *loop)
{
	int ret;

	clients_init(&server->clients, loop, &clients_ops, server);
	server->deadline.fn = jobs_late;
	ret = loop_timer_add(loop, &server->deadline);
	server->rest.fn = rested;
	if (!ret)
		ret = loop_timer_add(loop, &server->rest);
	if (ret)
		return ret;
	server->wake.fn = woken;
	ret = loop_eventfd_add(loop, &server->wake);
	if (ret)
		return ret;
	if (server->sock.connected) {
		eventfd_signal(server->wake.fd);
		return 0;
	}
	server->listener = (struct loop_event){ .fd = server->sock.fd, .fn = client_came };
	return loop_add(loop, &server->listener, EPOLLIN);
}

static int begin(void *owner, const struct machine_parts *parts)
{
	struct control_server *server = owner;
	int ret = control_socket_open(&server->sock, &server->config);

	server->parts = parts;
	if (ret || server->sock.fd < 0)
		return ret;
	ret = add_events(server, parts->control_loop);
	if (ret)
		log_error("control socket: %s", strerror(-ret));
	return ret;
}

static cJSON *devices_json(const struct machine_parts *parts)
{
	cJSON *devices = cJSON_CreateArray();

	for (unsigned i = 0; i < parts->device_count; i++) {
		cJSON *device = cJSON_CreateObject();

		cJSON_AddStringToObject(device, "name", parts->devices[i]->name);
		cJSON_AddStringToObject(device, "kind", parts->devices[i]->model->name);
		cJSON_AddItemToArray(devices, device);
	}
	return devices;
}

static int built(void *owner, const struct machine_parts *parts)
{
	struct control_server *server = owner;
	cJSON *devices = devices_json(parts);

	pthread_mutex_lock(&server->lock);
	server->devices = devices;
	pthread_mutex_unlock(&server->lock);
	return 0;
}

/* Without waiting for the devices, which are destroyed next. */
static void stopped(void *owner, const struct verdict *verdict)
{
	if (verdict->outcome == OUTCOME_PANIC)
		tell(owner, NEWS_PANICKED, verdict->detail);
}

static void phase(void *owner, const struct sys_site *site, enum machine_phase phase)
{
	(void)site;
	if (phase != MACHINE_LOADS)
		tell(owner, phase == MACHINE_RUNS ? NEWS_RUNS : NEWS_ENDING, "");
}

static void happened(void *owner, enum machine_event event, const char *what)
{
	static const int kinds[] = {
		[MACHINE_PANICKED] = NEWS_PANICKED,
		[MACHINE_BROKEN] = NEWS_BROKEN,
		[MACHINE_STAYS] = NEWS_STAYS,
		[MACHINE_FROZEN] = NEWS_FROZEN,
		[MACHINE_TAKES_KEYS] = NEWS_ROOM,
	};

	tell(owner, kinds[event], what);
}

static void moves(void *owner, const struct machine_progress *progress)
{
	struct news *news = calloc(1, sizeof(*news));

	if (!news)
		return;
	news->kind = NEWS_MOVES;
	news->progress = *progress;
	queue(owner, news);
}

const struct machine_observer_ops control_server_ops = {
	.begin = begin,
	.built = built,
	.stopped = stopped,
	.phase = phase,
	.happened = happened,
	.moves = moves,
	.console = screen_printed,
};

/* --- Life ------------------------------------------------------------------------------------- */

int control_server_new(struct control_server **out, const struct control_config *config)
{
	struct control_server *server;
	char where[sizeof(((struct sockaddr_un *)0)->sun_path) * 2];

	*out = NULL;
	if (!control_config_describe(config, where, sizeof(where)))
		return 0;
	server = calloc(1, sizeof(*server));
	if (!server)
		return -ENOMEM;
	server->config = *config;
	server->sock.fd = server->wake.fd = -1;
	server->deadline.event.fd = server->rest.event.fd = -1;
	server->patience_ns = PATIENCE_NS;
	clients_init(&server->clients, NULL, &clients_ops, server);
	pthread_mutex_init(&server->lock, NULL);
	*out = server;
	return 0;
}

static void answer_waits(struct control_server *server, const struct verdict *verdict,
			 const char *outcome)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		_cleanup_free_ char *line = NULL;

		if (!server->waits[i])
			continue;
		line = reply_ok(server->waits[i],
				verdict_json(cJSON_CreateObject(), verdict, outcome));
		client_send(&server->clients.list[i], line);
	}
}

void control_server_end(struct control_server *server, const struct verdict *verdict,
			const char *outcome)
{
	if (!server)
		return;
	server->clients.loop = NULL;
	pass_all_on(server);
	jobs_end(server);
	screen_show(server);
	event_send(server, verdict_json(event_new("ended"), verdict, outcome));
	answer_waits(server, verdict, outcome);
	clients_end(&server->clients);
	control_socket_close(&server->sock);
}

void control_server_free(struct control_server *server)
{
	if (!server)
		return;
	jobs_free(server);
	close_fd(&server->wake.fd);
	close_fd(&server->deadline.event.fd);
	close_fd(&server->rest.event.fd);
	cJSON_Delete(server->devices);
	pthread_mutex_destroy(&server->lock);
	free(server);
}
