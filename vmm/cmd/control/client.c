/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include "base/log.h"
#include "base/unix_socket.h"
#include "base/utf8.h"
#include "cmd/commands.h"
#include "control/place.h"
#include "core/sys.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { BUFFER_START = 4096, REQUEST_ID = 1 };

/* --- Failures --------------------------------------------------------------------------------- */

static const struct failure {
	int error;
	int status;
	const char *word; /* NULL: there is no machine */
	const char *text;
} failures[] = {
	{ EINVAL, EXIT_USAGE, "bad-name",
	  "is no name of a machine: letters, digits and -_. only, at most 64, a dot not first; nor "
	  "a path, which has a slash" },
	{ ENXIO, EXIT_USAGE, "no-folder",
	  "XDG_RUNTIME_DIR names no folder; give the path of the socket, with a slash" },
	{ ENAMETOOLONG, EXIT_USAGE, "bad-name", "the path is too long for a socket" },
	{ ENOENT, EXIT_USAGE, NULL, "no such machine; kinglet list shows those that run" },
	{ ECONNREFUSED, EXIT_USAGE, NULL, "runs no more: its socket is dead" },
	{ EACCES, EXIT_HOST, "other-user", "belongs to another user" },
	{ EPERM, EXIT_HOST, "other-user", "belongs to another user" },
	{ ETIMEDOUT, EXIT_HOST, "no-answer", "no answer in time" },
	{ EPROTONOSUPPORT, EXIT_HOST, "other-version",
	  ", which speaks another version of the control protocol: use that kinglet" },
	{ EPROTO, EXIT_HOST, "unknown", "its answer is none of the control protocol" },
	{ EMSGSIZE, EXIT_HOST, "unknown", "its answer is longer than the control protocol allows" },
	{ ECONNRESET, EXIT_HOST, "gone", "went away before it answered" },
};

static const struct failure *find_failure(int ret)
{
	for (unsigned i = 0; i < ARRAY_SIZE(failures); i++)
		if (failures[i].error == -ret)
			return &failures[i];
	return NULL;
}

const char *control_client_failure_word(const struct control_client *client, int ret)
{
	const struct failure *failure = find_failure(ret);

	if (ret == -EREMOTEIO)
		return client->refusal_code;
	return failure ? failure->word : "error";
}

/* Whether the request was wrong, rather than the host. */
static bool is_usage(const char *code)
{
	static const char *const codes[] = { "unknown-request", "bad-request", "bad-state",
					     "refused" };

	for (unsigned i = 0; i < ARRAY_SIZE(codes); i++)
		if (strcmp(code, codes[i]) == 0)
			return true;
	return false;
}

int control_client_log_failure(const struct control_client *client, const char *request, int ret)
{
	const struct failure *failure = find_failure(ret);
	const char *between = request ? ": " : "";

	request = request ? request : "";
	if (ret == -EREMOTEIO) {
		log_error("machine %.200s%s%s: %s (%s)", client->name, between, request,
			  client->refusal, client->refusal_code);
		return is_usage(client->refusal_code) ? EXIT_USAGE : EXIT_HOST;
	}
	log_error("machine %.200s%s%s: %s%s%s", client->name, between, request,
		  ret == -EPROTONOSUPPORT ? "of Kinglet " : "",
		  ret == -EPROTONOSUPPORT ? client->version : "",
		  failure ? failure->text : strerror(-ret));
	return failure ? failure->status : EXIT_HOST;
}

/* --- Lines ------------------------------------------------------------------------------------ */

/* Until there is something to read, or the end. */
static int wait_readable(const struct control_client *client)
{
	struct pollfd fds[] = {
		{ .fd = client->fd, .events = POLLIN },
		{ .fd = client->wake_fd, .events = POLLIN },
	};
	uint64_t now = sys_now_ns();
	int left_ms = -1;

	if (client->deadline_ns != CONTROL_CLIENT_FOREVER) {
		if (now >= client->deadline_ns)
			return -ETIMEDOUT;
		left_ms = (int)((client->deadline_ns - now) / 1000000) + 1;
	}
	if (poll(fds, ARRAY_SIZE(fds), left_ms) < 0 && errno != EINTR)
		return -errno;
	return fds[1].revents ? -EINTR : 0;
}

static int grow(struct control_client *client)
{
	size_t size = client->size ? 2 * client->size : BUFFER_START;
	char *buffer;

	if (client->used > CONTROL_CLIENT_LINE_MAX)
		return -EMSGSIZE;
	buffer = realloc(client->buffer, size);
	if (!buffer)
		return -ENOMEM;
	client->buffer = buffer;
	client->size = size;
	return 0;
}

/* Something more of the current line, perhaps nothing yet; what came before it goes. */
static int receive(struct control_client *client)
{
	int ret = wait_readable(client);
	ssize_t n;

	if (client->start) {
		client->used -= client->start;
		memmove(client->buffer, client->buffer + client->start, client->used);
		client->start = 0;
	}
	if (!ret && client->used == client->size)
		ret = grow(client);
	if (ret)
		return ret;
	n = recv(client->fd, client->buffer + client->used, client->size - client->used,
		 MSG_DONTWAIT);
	if (!n)
		return -ECONNRESET;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	client->used += (size_t)n;
	return 0;
}

/* The next line, without its newline, valid until the next call; its length, or negative errno. */
static ssize_t next_line(struct control_client *client, const char **line)
{
	const char *end = NULL;
	size_t searched = 0, len;
	int ret;

	for (;;) {
		size_t start = client->start + searched;

		if (client->used > start)
			end = memchr(client->buffer + start, '\n', client->used - start);
		if (end)
			break;
		searched = client->used - client->start;
		ret = receive(client);
		if (ret)
			return ret;
	}
	*line = client->buffer + client->start;
	len = (size_t)(end - *line);
	client->start += len + 1;
	return len <= CONTROL_CLIENT_LINE_MAX ? (ssize_t)len : -EMSGSIZE;
}

int control_client_next(struct control_client *client, cJSON **object)
{
	_cleanup_free_ char *clean = NULL;
	const char *line = NULL;
	ssize_t len = next_line(client, &line);
	size_t size;

	*object = NULL;
	if (len < 0)
		return (int)len;
	size = 3 * (size_t)len + 1; /* each byte may become U+FFFD */
	clean = malloc(size);
	if (!clean)
		return -ENOMEM;
	utf8_clean(clean, size, line, (size_t)len);
	*object = cJSON_ParseWithOpts(clean, NULL, true);
	if (cJSON_IsObject(*object))
		return 0;
	cJSON_Delete(*object);
	*object = NULL;
	return -EPROTO;
}

/* --- What it says ----------------------------------------------------------------------------- */

static const char *string_of(const cJSON *object, const char *key)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static int refuse(struct control_client *client, const cJSON *error)
{
	const char *code = string_of(error, "code"), *message = string_of(error, "message");

	if (!code || !message)
		return -EPROTO;
	utf8_clean(client->refusal_code, sizeof(client->refusal_code), code, strlen(code));
	utf8_clean(client->refusal, sizeof(client->refusal), message, strlen(message));
	return -EREMOTEIO;
}

static int check_greeting(struct control_client *client, const cJSON *greeting)
{
	const cJSON *protocol = cJSON_GetObjectItemCaseSensitive(greeting, "protocol");
	const cJSON *error = cJSON_GetObjectItemCaseSensitive(greeting, "error");
	const char *version = string_of(greeting, "kinglet");

	if (error)
		return refuse(client, error);
	if (!version || !cJSON_IsNumber(protocol))
		return -EPROTO;
	utf8_clean(client->version, sizeof(client->version), version, strlen(version));
	return protocol->valuedouble == CONTROL_PROTOCOL ? 0 : -EPROTONOSUPPORT;
}

/* The reply's object, which *answer takes over. */
static int take_reply(struct control_client *client, cJSON *reply, cJSON **answer)
{
	const cJSON *error = cJSON_GetObjectItemCaseSensitive(reply, "error");

	if (error)
		return refuse(client, error);
	*answer = cJSON_DetachItemFromObjectCaseSensitive(reply, "ok");
	if (cJSON_IsObject(*answer))
		return 0;
	cJSON_Delete(*answer);
	*answer = NULL;
	return -EPROTO;
}

/* To this request. An error without an id is, too: the request was not understood. */
static bool is_reply(const cJSON *object, int request)
{
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(object, "id");

	if (cJSON_IsNumber(id))
		return id->valuedouble == request;
	return (!id || cJSON_IsNull(id)) && cJSON_GetObjectItemCaseSensitive(object, "error");
}

/* --- Requests --------------------------------------------------------------------------------- */

/*
 * A request is short: a socket that has no room for it belongs to a machine that does not read.
 * With a descriptor, unless that is -1.
 */
static int send_line(const struct control_client *client, const char *line, int fd)
{
	ssize_t len = (ssize_t)strlen(line), n;

	n = unix_send(client->fd, line, (size_t)len, &fd, fd >= 0);
	if (n == -EPIPE)
		return -ECONNRESET;
	if (n < 0 && n != -EAGAIN)
		return (int)n;
	return n == len ? 0 : -ETIMEDOUT;
}

int control_client_pass(struct control_client *client, int id, const char *request,
			const char *args, int fd)
{
	_cleanup_free_ char *line = NULL;

	if (asprintf(&line, "{\"id\":%d,\"do\":\"%s\",\"args\":%s}\n", id, request, args) < 0)
		return -ENOMEM;
	return send_line(client, line, fd);
}

int control_client_send(struct control_client *client, int id, const char *request,
			const char *args)
{
	return control_client_pass(client, id, request, args, -1);
}

int control_client_reply(struct control_client *client, int id, cJSON **answer)
{
	cJSON *reply = NULL;
	int ret;

	*answer = NULL;
	for (;;) {
		ret = control_client_next(client, &reply);
		if (ret || is_reply(reply, id))
			break;
		cJSON_Delete(reply);
	}
	if (!ret)
		ret = take_reply(client, reply, answer);
	cJSON_Delete(reply);
	return ret;
}

int control_client_ask(struct control_client *client, const char *request, const char *args,
		       cJSON **answer)
{
	int ret = control_client_send(client, REQUEST_ID, request, args);

	*answer = NULL;
	return ret ? ret : control_client_reply(client, REQUEST_ID, answer);
}

/* --- Connection ------------------------------------------------------------------------------- */

static int find_socket(const char *name, struct sockaddr_un *address)
{
	char path[sizeof(address->sun_path)];
	int ret;

	if (strchr(name, '/'))
		return unix_address(address, name);
	ret = control_is_name(name) ? control_path(path, sizeof(path), name) : -EINVAL;
	return ret ? ret : unix_address(address, path);
}

/* unix(7): connecting waits for room in the server's queue, as long as sending may. */
static int connect_socket(struct control_client *client, const struct sockaddr_un *address,
			  unsigned patience_ms)
{
	const struct timeval limit = {
		.tv_sec = patience_ms / 1000,
		.tv_usec = patience_ms % 1000 * 1000,
	};

	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0 ||
	    setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)))
		return -errno;
	if (!connect(client->fd, (const struct sockaddr *)address, sizeof(*address)))
		return 0;
	return errno == EAGAIN ? -ETIMEDOUT : -errno;
}

int control_client_open(struct control_client *client, const char *name, unsigned patience_ms)
{
	struct sockaddr_un address;
	cJSON *greeting = NULL;
	int ret = find_socket(name, &address);

	*client = (struct control_client){
		.name = name,
		.fd = -1,
		.wake_fd = -1,
		.deadline_ns = sys_now_ns() + patience_ms * UINT64_C(1000000),
	};
	if (!ret)
		ret = connect_socket(client, &address, patience_ms);
	if (!ret)
		ret = control_client_next(client, &greeting);
	if (!ret)
		ret = check_greeting(client, greeting);
	cJSON_Delete(greeting);
	return ret;
}

void control_client_close(struct control_client *client)
{
	close_fd(&client->fd);
	free(client->buffer);
	client->buffer = NULL;
}
