/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-console ports by which Kinglet and this program talk.
 */
#ifndef KINGLET_GUEST_PORTS_H
#define KINGLET_GUEST_PORTS_H

enum { IN, OUT, ERR, STATUS, FILES, SNAPSHOT, PORTS };

struct ports {
	char paths[PORTS][32]; /* "" if there is none */
	int fds[PORTS];	       /* -1 if not open */
};

/*
 * Waits for all but SNAPSHOT, which Kinglet adds before FILES if at all; gives up where they cannot
 * come. Opens none: Kinglet sends input to an open port.
 */
void find_ports(struct ports *ports);
/* STATUS, FILES and SNAPSHOT block, the others do not. Gives up on failure. */
void open_port(struct ports *ports, unsigned port);

#endif
