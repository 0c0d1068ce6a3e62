/* SPDX-License-Identifier: Apache-2.0 */
#include "clients.h"

#include "core/sys.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>

/* What is read from one client in a turn of the loop: the others come next. */
enum { READ_MAX = 4096 };

#define SECOND_NS UINT64_C(1000000000)

bool client_may_ask(struct client *client, uint64_t now_ns)
{
	if (now_ns - client->second_ns >= SECOND_NS) {
		client->second_ns = now_ns;
		client->lines = 0;
	}
	return client->lines++ < CLIENT_LINES_PER_SECOND;
}

/* --- Output ----------------------------------------------------------------------------------- */

static void flush(struct client *client)
{
	ssize_t sent;

	if (!client->out_len || client->broken)
		return;
	sent = send(client->event.fd, client->out, client->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0) {
		client->broken = errno != EAGAIN && errno != EINTR;
		return;
	}
	client->out_len -= (size_t)sent;
	memmove(client->out, client->out + sent, client->out_len);
}

static void queue(struct client *client, const void *data, size_t len)
{
	char *out;

	if (client->broken || !len)
		return;
	out = len <= CLIENT_OUT_MAX - client->out_len ?
		      realloc(client->out, client->out_len + len) : NULL;
	if (!out) {
		client->broken = true;
		return;
	}
	memcpy(out + client->out_len, data, len);
	client->out = out;
	client->out_len += len;
}

void client_write(struct client *client, const void *data, size_t len)
{
	queue(client, data, len);
	flush(client);
}

void client_send(struct client *client, const char *line)
{
	if (!line) {
		client->broken = true;
		return;
	}
	queue(client, line, strlen(line));
	queue(client, "\n", 1);
	flush(client);
}

/* --- Input ------------------------------------------------------------------------------------ */

static bool takes_lines(const struct client *client)
{
	return !client->raw && !client->busy && !client->leaving && !client->broken &&
	       client->out_len < CLIENT_OUT_PAUSE;
}

static bool takes_input(const struct client *client)
{
	if (client->raw)
		return !client->broken && client->in_len <= CLIENT_LINE_MAX;
	return takes_lines(client);
}

void client_take(struct client *client, size_t len)
{
	client->in_len -= len;
	memmove(client->in, client->in + len, client->in_len);
}

static void pass_line(struct client *client, const char *line, size_t len)
{
	const struct clients *all = client->all;

	if (len && line[len - 1] == '\r')
		len--;
	if (len)
		all->ops->line(all->owner, client, line, len,
			       !client_may_ask(client, sys_now_ns()));
}

static void pass_lines(struct client *client)
{
	size_t at = 0;

	while (takes_lines(client) && at < client->in_len) {
		const char *line = client->in + at;
		const char *end = memchr(line, '\n', client->in_len - at);

		/* The last one may have no newline. */
		if (!end && !client->input_ended)
			break;
		pass_line(client, line, end ? (size_t)(end - line) : client->in_len - at);
		at = end ? (size_t)(end - client->in) + 1 : client->in_len;
	}
	client_take(client, at);
	if (client->raw || client->leaving || client->in_len <= CLIENT_LINE_MAX ||
	    memchr(client->in, '\n', client->in_len))
		return;
	client->leaving = true;
	client->all->ops->too_long(client->all->owner, client);
}

static void use_input(struct client *client)
{
	if (!client->raw)
		pass_lines(client);
	if (client->raw)
		client->all->ops->raw(client->all->owner, client);
}

/* The last counts, until a request takes it. */
static void keep_passed(struct client *client, struct msghdr *message)
{
	struct cmsghdr *part = CMSG_FIRSTHDR(message);

	for (; part; part = CMSG_NXTHDR(message, part)) {
		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = CMSG_LEN(0); at < part->cmsg_len; at += sizeof(int)) {
			close_fd(&client->passed_fd);
			memcpy(&client->passed_fd, (char *)part + at, sizeof(int));
		}
	}
}

static void fill(struct client *client)
{
	size_t room = CLIENT_LINE_MAX + 1 - client->in_len;
	_Alignas(struct cmsghdr) char passed[CMSG_SPACE(sizeof(int))];
	struct iovec bytes = { client->in + client->in_len, room < READ_MAX ? room : READ_MAX };
	struct msghdr message = {
		.msg_iov = &bytes, .msg_iovlen = 1,
		.msg_control = passed, .msg_controllen = sizeof(passed),
	};
	ssize_t got;

	if (!takes_input(client) || client->input_ended || !room)
		return;
	got = recvmsg(client->event.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got >= 0)
		keep_passed(client, &message);
	if (got > 0)
		client->in_len += (size_t)got;
	else if (got == 0)
		client->input_ended = true;
	else if (errno != EAGAIN && errno != EINTR)
		client->broken = true;
}

/* --- Life ------------------------------------------------------------------------------------- */

static void close_client(struct client *client)
{
	struct clients *all = client->all;

	all->ops->left(all->owner, client);
	if (all->loop)
		loop_remove(all->loop, &client->event);
	close_fd(&client->event.fd);
	close_fd(&client->passed_fd);
	free(client->in);
	free(client->out);
	/* Its fn stays: the loop may have an event of it in hand. */
	*client = (struct client){
		.event = { .fd = -1, .fn = client->event.fn },
		.passed_fd = -1,
		.all = all,
	};
}

static bool is_done(const struct client *client)
{
	if (client->broken)
		return true;
	if (client->out_len)
		return false;
	return client->leaving ||
	       (client->input_ended && !client->busy && !client->stays && !client->in_len);
}

void client_settle(struct client *client)
{
	uint32_t events = client->out_len ? EPOLLOUT : 0;

	if (takes_input(client) && !client->input_ended)
		events |= EPOLLIN;
	if (!is_done(client) && client->all->loop)
		client->broken = loop_modify(client->all->loop, &client->event, events);
	if (is_done(client))
		close_client(client);
}

void client_answered(struct client *client)
{
	client->busy = false;
	use_input(client);
	client_settle(client);
}

/* Nothing can be sent to it any more. What it has sent before is still read. */
static bool hung_up(const struct client *client)
{
	struct pollfd state = { .fd = client->event.fd };

	return poll(&state, 1, 0) == 1 && state.revents & (POLLHUP | POLLERR | POLLNVAL);
}

/*
 * The events that epoll tells are not looked at: the place may have got another client since.
 */
static void ready(struct loop_event *event, uint32_t events)
{
	struct client *client = container_of(event, struct client, event);

	(void)events;
	if (event->fd < 0)
		return;
	flush(client);
	fill(client);
	use_input(client);
	if (hung_up(client) && (client->input_ended || !takes_input(client)))
		client->broken = true;
	client_settle(client);
}

void clients_init(struct clients *clients, struct loop *loop, const struct clients_ops *ops,
		  void *owner)
{
	*clients = (struct clients){ .loop = loop, .ops = ops, .owner = owner };
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		clients->list[i] = (struct client){
			.event.fd = -1, .passed_fd = -1, .all = clients,
		};
}

void clients_end(struct clients *clients)
{
	clients->loop = NULL;
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (clients->list[i].event.fd >= 0)
			close_client(&clients->list[i]);
}

struct client *clients_add(struct clients *clients, int fd)
{
	struct client *client = clients->list;

	while (client < clients->list + CLIENTS_MAX && client->event.fd >= 0)
		client++;
	if (client == clients->list + CLIENTS_MAX) {
		close_fd(&fd);
		return NULL;
	}
	client->in = malloc(CLIENT_LINE_MAX + 1);
	client->event = (struct loop_event){ .fd = fd, .fn = ready };
	if (client->in && !loop_add(clients->loop, &client->event, EPOLLIN))
		return client;
	close_client(client);
	return NULL;
}
