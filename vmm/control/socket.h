/* SPDX-License-Identifier: Apache-2.0 */
/* The socket of a machine: its place, and who may connect. Private to vmm/control. */
#ifndef KINGLET_CONTROL_SOCKET_H
#define KINGLET_CONTROL_SOCKET_H

#include "control/server.h"

#include <sys/stat.h>
#include <sys/un.h>

struct control_socket {
	int fd;		/* owned; -1: none */
	bool connected; /* it is the only client, and does not listen */
	char name[CONTROL_NAME_MAX + 1];
	struct sockaddr_un address; /* with a path: ours, to be removed */
	struct stat made;	    /* which file that is */
};

/*
 * Opens what the config says. 0 with fd -1: there is no folder for one that is not asked for. A
 * negative errno after one logged line.
 */
__must_check int control_socket_open(struct control_socket *sock,
				     const struct control_config *config);
/* Removes it. Idempotent. */
void control_socket_close(struct control_socket *sock);

/* Whether this user may connect to a process of user `own`: only that one, and root. */
bool control_socket_allows(uid_t peer, uid_t own);

#endif
