/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's port kinglet.snapshot: what it writes there asks for the snapshot of the config
 * (--snapshot); then it reads one line, which says on which side of it the guest is: "saved" or
 * "failed", or "restored ARGUMENTS" in a machine that comes from it. Machine's thread. Private to
 * vmm/machine.
 */
#ifndef KINGLET_MACHINE_SNAPSHOT_PORT_H
#define KINGLET_MACHINE_SNAPSHOT_PORT_H

#include <stdbool.h>
#include <stddef.h>

#define SNAPSHOT_PORT_NAME "kinglet.snapshot"

enum { SNAPSHOT_ANSWER_MAX = 4096 };

struct virtio_dev;

struct snapshot_port {
	struct virtio_dev *console; /* borrowed; NULL: there is no such port */
	unsigned port;
	bool asked; /* the guest waits for an answer */
	char answer[SNAPSHOT_ANSWER_MAX];
	size_t len, sent;
};

/*
 * The line for a guest that has asked, in place of one that it has not read; also for another one,
 * if there are args. They may be NULL.
 */
void snapshot_port_answer(struct snapshot_port *port, const char *answer, const char *args);
/* The guest may have room for the rest of it. */
void snapshot_port_send(struct snapshot_port *port);

#endif
