/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A port that ends the run: the number written is Kinglet's exit status. A number above 255, from a
 * wide write, counts as 255, never as success.
 */
#ifndef KINGLET_PLATFORM_EXIT_PORT_H
#define KINGLET_PLATFORM_EXIT_PORT_H

#include "core/bus.h"

struct exit_port {
	struct bus_region region; /* four ports wide; the caller puts it on the bus */
	/* vCPU threads. The guest continues until the machine stops it, and may write again. */
	void (*exit)(void *owner, uint8_t status);
	void *owner; /* borrowed */
};

/* Nothing to destroy. */
void exit_port_init(struct exit_port *port, uint64_t base,
		    void (*exit)(void *owner, uint8_t status), void *owner);

#endif
