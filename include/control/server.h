/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket of a running machine (docs/control.md): one JSON object a line. An observer,
 * whose clients are served by the main thread's loop; what touches vCPUs or devices is asked of the
 * machine's thread, with a deadline.
 */
#ifndef KINGLET_CONTROL_SERVER_H
#define KINGLET_CONTROL_SERVER_H

#include "control/place.h"
#include "machine/machine.h"

/* Strings are borrowed. */
struct control_config {
	const char *name;  /* --name; NULL: the process's pid */
	const char *where; /* --control: a path, "fd=N" or "off"; NULL: the user's runtime folder */
	bool wanted;	   /* without either of them, too, if there is such a folder */
};

/*
 * What is wrong with the config and what to do, in `why`: -EINVAL. Else 0.
 */
__must_check int control_config_check(const struct control_config *config, char *why, size_t len);

/*
 * For --dry-run: where the socket would be, "PID" standing for the name that is not given. False:
 * there is none.
 */
bool control_config_describe(const struct control_config *config, char *text, size_t len);

struct control_server;

/* *server is NULL if the config wants none. -ENOMEM. */
__must_check int control_server_new(struct control_server **server,
				    const struct control_config *config);
/*
 * The machine has gone, or is stuck: tells its clients of the verdict, whose outcome programs know
 * by this word, and removes the socket. Main thread, after machine_run(). NULL is allowed.
 */
void control_server_end(struct control_server *server, const struct verdict *verdict,
			const char *outcome);
/* Only after a machine that has gone. NULL is allowed. */
void control_server_free(struct control_server *server);

/* Its owner is a struct control_server. */
extern const struct machine_observer_ops control_server_ops;

#endif
