/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server of a control socket. All of it is the main thread's, but what `lock` guards.
 *
 * Private to vmm/control.
 */
#ifndef KINGLET_CONTROL_INTERNAL_H
#define KINGLET_CONTROL_INTERNAL_H

#include "clients.h"
#include "protocol.h"
#include "socket.h"

#include <pthread.h>

enum machine_state {
	STATE_BUILDING, STATE_RUNNING, STATE_PAUSED, STATE_MOVING,
	STATE_FROZEN, /* MACHINE_FROZEN */
	STATE_ENDING,
};

/* What another thread has to tell; a list. */
struct news {
	struct news *next;
	enum { NEWS_RUNS, NEWS_ENDING, NEWS_PANICKED, NEWS_BROKEN, NEWS_MOVES, NEWS_STAYS,
	       NEWS_FROZEN, NEWS_ROOM } kind;
	char what[320];
	struct machine_progress progress; /* of NEWS_MOVES */
};

enum { SCREEN_SIZE = 64 << 10 };

/* What the guest's console has printed; lock, but for `seen`, which is the main thread's. */
struct screen {
	uint64_t printed; /* bytes so far; the last SCREEN_SIZE of them are kept */
	uint8_t kept[SCREEN_SIZE];
	bool watched, told;	    /* a client looks; the main thread is woken already */
	uint64_t seen[CLIENTS_MAX]; /* by client: of `printed` */
};

/* Keys on their way to the guest; the next follow when the machine's thread has answered. */
struct typing {
	struct machine_ask ask;
	struct control_server *server;
	struct client *client; /* whose they are; NULL: it has left */
	unsigned turn;
	bool asked;
	bool full, room; /* the guest takes no more now; it has said that it does */
	uint8_t keys[256];
	size_t len, taken;
};

struct control_server {
	struct control_config config;
	struct control_socket sock;
	const struct machine_parts *parts; /* borrowed */
	struct clients clients;
	cJSON *waits[CLIENTS_MAX]; /* by client: the id of its request, owned; or NULL */
	enum machine_state state;
	bool panicked; /* is told */
	struct typing typing;
	struct job *jobs; /* asked of the machine's thread; owned, oldest first */
	struct loop_timer deadline; /* of the first that is waited for */
	uint64_t patience_ns; /* of a request that has no other */
	struct loop_event listener; /* of sock */
	struct loop_timer rest;	    /* the listener is out of the loop until then */
	struct loop_event wake;	    /* eventfd, owned: there are news */

	pthread_mutex_t lock; /* a leaf: held for a few stores */
	struct news *news;    /* oldest first; owned */
	cJSON *devices;	      /* of the built machine; owned */
	struct screen screen;
};

/* --- requests.c --- */

/* Serves a line of a client. */
void request_serve(struct control_server *server, struct client *client, const char *line,
		   size_t len, bool excess);
/* Takes over *event and sends it to all that want events. */
void event_send(struct control_server *server, cJSON *event);

/* --- info.c --- */

/* The reply to info. */
cJSON *info_json(struct control_server *server);

/* --- jobs.c --- */

/* A request that the machine's thread serves. */
enum { JOB_TEXT_MAX = 4096, JOB_TEXTS = 3 };

struct job {
	struct machine_ask ask;
	struct job *next;
	struct control_server *server;
	struct client *client; /* NULL: it has left, or was told that this is late */
	cJSON *id;	       /* owned */
	/* On the machine's thread: sets ok or refusal. */
	void (*run)(struct job *job);
	/* Afterwards, also for a client that has left. May be NULL. */
	void (*done)(struct job *job);
	double number; /* of the request */
	char texts[JOB_TEXTS][JOB_TEXT_MAX]; /* of it; empty: not given */
	int passed_fd; /* owned: what its client has passed; -1 */
	cJSON *ok;     /* owned; set by the caller */
	struct refusal refusal;
	uint64_t patience_ns, deadline_ns;
	bool late;
};

/* Takes over *job, which it answers, if by a refusal. */
void job_start(struct control_server *server, struct client *client, struct job *job);
/* The client has left. */
void jobs_forget(struct control_server *server, const struct client *client);
/* The deadline timer. */
void jobs_late(struct loop_timer *timer);
/* The run has ended: all that wait are told. */
void jobs_end(struct control_server *server);
void jobs_free(struct control_server *server);

/* --- screen.c --- */

/* Of struct machine_observer_ops; owner is the server. */
bool screen_printed(void *owner, enum guest_stream stream, const uint8_t *data, size_t len,
		     struct verdict *end);
/* The client's connection is the console from now on. False: the machine has none. */
bool screen_add(struct control_server *server, struct client *client);
/* Such a client has sent something, or may be sent something; its caller settles it. */
void screen_serve(struct control_server *server, struct client *client);
/* All such clients: there is more to show. */
void screen_show(struct control_server *server);
/* Sends keys on, if there are some and the guest takes them. */
void screen_type(struct control_server *server);
/* The guest takes keys again. */
void screen_has_room(struct control_server *server);
/* The client has left. */
void screen_forget(struct control_server *server, const struct client *client);

#endif
