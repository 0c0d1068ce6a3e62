/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clients of a control socket: lines in, lines out, and limits. Nothing here waits, and what a
 * client does or leaves undone costs only itself. Main thread. Private to vmm/control.
 */
#ifndef KINGLET_CONTROL_CLIENTS_H
#define KINGLET_CONTROL_CLIENTS_H

#include "core/loop.h"

#include <stddef.h>

enum {
	CLIENTS_MAX = 16,
	CLIENT_LINE_MAX = 64 << 10, /* without its newline */
	CLIENT_OUT_MAX = 1 << 20,   /* then it is dropped */
	CLIENT_OUT_PAUSE = 64 << 10, /* then nothing more is read from it */
	CLIENT_LINES_PER_SECOND = 1000,
};

struct clients;

struct client {
	struct loop_event event; /* fd owned, -1: free */
	struct clients *all;
	int passed_fd;		 /* owned: the last that it has passed with a line; -1 */
	char *in, *out;	     /* owned */
	size_t in_len, out_len;
	uint64_t second_ns; /* start of the second in which `lines` came */
	unsigned lines;
	bool busy;	/* lines wait until client_answered() */
	bool hears;	/* events */
	bool raw;	/* bytes both ways from now on, no lines */
	bool stays;	/* wants to hear more, also without asking */
	bool input_ended; /* closes when all is answered and sent, unless it stays */
	bool leaving;	/* closes when all is sent */
	bool broken;
};

struct clients_ops {
	/* A line without its newline; `excess`: more of them have come than allowed. */
	void (*line)(void *owner, struct client *client, const char *line, size_t len, bool excess);
	/* A raw client has sent bytes, which are in client->in, or has room for more. */
	void (*raw)(void *owner, struct client *client);
	/* A line is too long; the client leaves. */
	void (*too_long)(void *owner, struct client *client);
	/* The client goes. */
	void (*left)(void *owner, struct client *client);
};

struct clients {
	struct client list[CLIENTS_MAX];
	struct loop *loop;	   /* borrowed; NULL: it has ended */
	const struct clients_ops *ops;
	void *owner;
};

void clients_init(struct clients *clients, struct loop *loop, const struct clients_ops *ops,
		  void *owner);
/* The loop has ended: closes all; what could not be sent by now is lost. */
void clients_end(struct clients *clients);

/* Takes over fd. NULL: there is no room, or no memory; then it is closed. */
struct client *clients_add(struct clients *clients, int fd);

/* Queues a line, to which the newline is added. NULL drops the client: there was no memory. */
void client_send(struct client *client, const char *line);
/* The same for bytes. */
void client_write(struct client *client, const void *data, size_t len);
/* Drops the first bytes of a raw client's input: they have been used. */
void client_take(struct client *client, size_t len);
/* After client_send() and the like outside of ops->line() and ops->raw(). */
void client_settle(struct client *client);
/* What made it busy has been answered: the lines that wait are read. */
void client_answered(struct client *client);

/* Counts a line; false: too many in this second. */
bool client_may_ask(struct client *client, uint64_t now_ns);

#endif
