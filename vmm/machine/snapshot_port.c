/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot_port.h"

#include "devices/console.h"

#include <stdio.h>

void snapshot_port_send(struct snapshot_port *port)
{
	const uint8_t *rest = (const uint8_t *)port->answer + port->sent;

	if (port->sent < port->len)
		port->sent += virtio_console_input(port->console, port->port, rest,
						   port->len - port->sent);
}

void snapshot_port_answer(struct snapshot_port *port, const char *answer, const char *args)
{
	if (!port->console || (!port->asked && !args))
		return;
	port->asked = false;
	port->len = (size_t)snprintf(port->answer, sizeof(port->answer), "%s%s%s\n", answer,
				     args ? " " : "", args ? args : "");
	port->sent = 0;
	snapshot_port_send(port);
}
