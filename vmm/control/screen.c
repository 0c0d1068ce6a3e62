/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients that have asked for the guest's console: their connections carry what it prints, and the
 * keys for it. Output is kept in a ring from which each client takes at its own speed; one that is
 * too slow loses some. Keys go to the machine's thread, a few at a time.
 */
#include "internal.h"

#include <inttypes.h>
#include <string.h>

/* What a client that comes sees of what was printed before. */
enum { SEEN_BEFORE = 4096 };

static uint64_t *seen_by(struct control_server *server, const struct client *client)
{
	return &server->screen.seen[client - server->clients.list];
}

/* --- Output ----------------------------------------------------------------------------------- */

bool screen_printed(void *owner, enum guest_stream stream, const uint8_t *data, size_t len,
		     struct verdict *end)
{
	struct control_server *server = owner;
	struct screen *screen = &server->screen;
	bool wake;

	(void)end;
	if (!config_has_terminal(server->parts->config, stream))
		return false;
	pthread_mutex_lock(&server->lock);
	for (size_t i = 0; i < len; i++)
		screen->kept[screen->printed++ % SCREEN_SIZE] = data[i];
	wake = screen->watched && !screen->told;
	screen->told |= wake;
	pthread_mutex_unlock(&server->lock);
	if (wake)
		eventfd_signal(server->wake.fd);
	return false;
}

/* The next bytes for a client; *lost: how many it has missed before them. */
static size_t take_printed(struct control_server *server, uint64_t *seen, uint8_t *data, size_t len,
			   uint64_t *lost)
{
	const struct screen *screen = &server->screen;
	size_t n = 0;

	pthread_mutex_lock(&server->lock);
	*lost = 0;
	if (screen->printed - *seen > SCREEN_SIZE) {
		*lost = screen->printed - SCREEN_SIZE - *seen;
		*seen += *lost;
	}
	for (; n < len && *seen < screen->printed; n++)
		data[n] = screen->kept[(*seen)++ % SCREEN_SIZE];
	pthread_mutex_unlock(&server->lock);
	return n;
}

static void show(struct control_server *server, struct client *client)
{
	uint8_t data[4096];
	char notice[80];
	size_t n = 1;

	while (n && !client->broken && client->out_len < CLIENT_OUT_PAUSE) {
		uint64_t lost;

		n = take_printed(server, seen_by(server, client), data, sizeof(data), &lost);
		if (lost) {
			snprintf(notice, sizeof(notice),
				 "\r\n[kinglet: %" PRIu64 " bytes lost: read faster]\r\n", lost);
			client_write(client, notice, strlen(notice));
		}
		client_write(client, data, n);
	}
}

void screen_show(struct control_server *server)
{
	bool any = false;

	pthread_mutex_lock(&server->lock);
	server->screen.told = false;
	pthread_mutex_unlock(&server->lock);
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct client *client = &server->clients.list[i];

		if (!client->raw)
			continue;
		any = true;
		show(server, client);
		client_settle(client);
	}
	if (any)
		return;
	pthread_mutex_lock(&server->lock);
	server->screen.watched = false;
	pthread_mutex_unlock(&server->lock);
}

/* --- Keys ------------------------------------------------------------------------------------- */

/* The machine's thread. */
static void type(struct machine_ask *ask)
{
	struct typing *typing = container_of(ask, struct typing, ask);
	const struct machine_parts *parts = typing->server->parts;

	typing->taken = parts->ops->type(parts->vm, typing->keys, typing->len);
}

static void typed(struct machine_ask *ask)
{
	struct typing *typing = container_of(ask, struct typing, ask);
	struct client *client = typing->client;

	typing->asked = false;
	typing->full = typing->taken < typing->len && !typing->room;
	if (client) {
		client_take(client, typing->taken);
		client_settle(client);
	}
	screen_type(typing->server);
}

/* Those who have keys take turns. */
static struct client *next_client(struct control_server *server)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		unsigned turn = server->typing.turn++ % CLIENTS_MAX;
		struct client *client = &server->clients.list[turn];

		if (client->raw && client->in_len && !client->broken)
			return client;
	}
	return NULL;
}

void screen_type(struct control_server *server)
{
	struct typing *typing = &server->typing;
	struct client *client;

	/* Without a loop the run has ended, and its machine may be gone. */
	if (typing->asked || typing->full || !server->clients.loop)
		return;
	client = next_client(server);
	if (!client)
		return;
	typing->server = server;
	typing->client = client;
	typing->len = client->in_len < sizeof(typing->keys) ? client->in_len : sizeof(typing->keys);
	memcpy(typing->keys, client->in, typing->len);
	typing->room = false;
	typing->asked = true;
	typing->ask.run = type;
	typing->ask.answered = typed;
	server->parts->ops->ask(server->parts->vm, &typing->ask);
}

void screen_has_room(struct control_server *server)
{
	server->typing.room = true;
	server->typing.full = false;
	screen_type(server);
}

/* --- Clients ---------------------------------------------------------------------------------- */

void screen_serve(struct control_server *server, struct client *client)
{
	show(server, client);
	screen_type(server);
}

bool screen_add(struct control_server *server, struct client *client)
{
	const struct machine_config *config = server->parts->config;
	struct screen *screen = &server->screen;

	if (!config_has_terminal(config, GUEST_SERIAL) && !config_has_terminal(config, GUEST_HVC))
		return false;
	client->raw = client->stays = true;
	client->hears = false;
	pthread_mutex_lock(&server->lock);
	*seen_by(server, client) =
		screen->printed - (screen->printed < SEEN_BEFORE ? screen->printed : SEEN_BEFORE);
	screen->watched = true;
	pthread_mutex_unlock(&server->lock);
	return true;
}

void screen_forget(struct control_server *server, const struct client *client)
{
	if (server->typing.client == client)
		server->typing.client = NULL;
}
