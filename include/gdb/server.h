/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The observer of --gdb: accepts one debugger at a time, on the loopback address or on a Unix
 * socket.
 */
#ifndef KINGLET_GDB_SERVER_H
#define KINGLET_GDB_SERVER_H

#include "machine/observer.h"

struct gdb_config {
	const char *listen; /* a port's number, or a socket's path; NULL: no debugger */
	unsigned port;	    /* on 127.0.0.1; 0: `listen` is a path */
	bool nowait;	    /* the guest runs before a debugger connects */
};

struct gdb_server;

/* *server is NULL if the config enables none. Strings are borrowed. -ENOMEM. */
__must_check int gdb_server_new(struct gdb_server **server, const struct gdb_config *config);
/* After the machine has ended. NULL is allowed. */
void gdb_server_free(struct gdb_server *server);

/* Its owner is a struct gdb_server. */
extern const struct machine_observer_ops gdb_server_ops;

#endif
