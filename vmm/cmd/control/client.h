/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of a machine's control socket (docs/control.md). What the socket says is untrusted: a
 * line is limited, made valid UTF-8 and checked. Main thread; does not log, except
 * control_client_log_failure().
 *
 * Errors, for each of which that has a sentence: -EINVAL no name of a machine; -ENXIO a name, but
 * XDG_RUNTIME_DIR names no folder; -ENAMETOOLONG; -ENOENT no such socket; -ECONNREFUSED a dead one;
 * -EACCES another user's; -ETIMEDOUT; -EPROTONOSUPPORT another version; -EPROTO and -EMSGSIZE
 * nothing that the protocol allows; -ECONNRESET closed too early; -EREMOTEIO the machine refused,
 * and said why; -ENOMEM, and errors of the socket calls.
 */
#ifndef KINGLET_CMD_CONTROL_CLIENT_H
#define KINGLET_CMD_CONTROL_CLIENT_H

#include "base/cleanup.h"

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CONTROL_CLIENT_LINE_MAX = 1 << 20, /* bytes of a line from the machine */
	CONTROL_CLIENT_PATIENCE_MS = 5000,
};

#define CONTROL_CLIENT_FOREVER UINT64_MAX

struct control_client {
	const char *name; /* borrowed: a machine's name, or a path with a slash */
	int fd;
	uint64_t deadline_ns; /* of all waiting: CLOCK_MONOTONIC, or CONTROL_CLIENT_FOREVER */
	int wake_fd; /* borrowed; -1: none. Readable: waiting ends with -EINTR */
	char *buffer;	      /* what came from the machine */
	size_t size, used;    /* of the buffer */
	size_t start;	      /* of what has not been read as a line */
	char version[40];     /* the machine's Kinglet, once it has greeted */
	char refusal_code[24], refusal[160]; /* with -EREMOTEIO: the error's code and message */
};

/* Connects and checks the greeting. Pair with control_client_close(), also on failure. */
__must_check int control_client_open(struct control_client *client, const char *name,
				     unsigned patience_ms);
void control_client_close(struct control_client *client);

/*
 * Sends a request and waits for its reply. `args` is a JSON object: "{}" for none. The caller
 * deletes *answer, an object; NULL on failure.
 */
__must_check int control_client_ask(struct control_client *client, const char *request,
				    const char *args, cJSON **answer);

/*
 * The two halves of it, for replies that come after others. control_client_ask() has the id 1.
 */
__must_check int control_client_send(struct control_client *client, int id, const char *request,
				     const char *args);
__must_check int control_client_reply(struct control_client *client, int id, cJSON **answer);

/* As control_client_send(), with a descriptor that the machine gets a copy of. */
__must_check int control_client_pass(struct control_client *client, int id, const char *request,
				     const char *args, int fd);

/* Waits for the next object, an event of a client that has asked for them. */
__must_check int control_client_next(struct control_client *client, cJSON **object);

/* Logs one line about a failed request; NULL: of the connection. Returns the exit status. */
int control_client_log_failure(const struct control_client *client, const char *request, int ret);

/* The failure as the one word that `kinglet list` shows; NULL: there is no machine. */
const char *control_client_failure_word(const struct control_client *client, int ret);

#endif
