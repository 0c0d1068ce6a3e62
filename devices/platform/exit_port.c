/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/exit_port.h"

static void exit_port_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
	struct exit_port *port = owner;

	(void)size;
	if (offset == 0)
		port->exit(port->owner, value > UINT8_MAX ? UINT8_MAX : (uint8_t)value);
}

static const struct bus_ops exit_port_ops = { .write = exit_port_write };

void exit_port_init(struct exit_port *port, uint64_t base,
		    void (*exit)(void *owner, uint8_t status), void *owner)
{
	*port = (struct exit_port){
		.region = { base, 4, &exit_port_ops, port, "exit port" },
		.exit = exit,
		.owner = owner,
	};
}
