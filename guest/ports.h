/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-console ports by which Kinglet and this program talk.
 */
#ifndef KINGLET_GUEST_PORTS_H
#define KINGLET_GUEST_PORTS_H

enum { IN, OUT, ERR, STATUS, PORTS };

/* Waits for them; gives up where they cannot come. STATUS blocks, the others do not. */
void open_ports(int ports[PORTS]);

#endif
