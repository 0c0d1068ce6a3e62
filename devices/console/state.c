/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is saved of virtio-console: the driver's side. Our side is this process's: its terminal, and
 * which ends of the ports it has closed; a driver is told after a restore.
 */
#include "internal.h"

static const struct state_field console_fields[] = {
	STATE_NUMBER(struct console, cols),
	STATE_NUMBER(struct console, rows),
	STATE_FLAG(struct console, status_set),
	STATE_BYTES(struct console, line),
	STATE_LIMITED(struct console, line_len, STATE_SIZEOF(struct console, line) + 1),
	STATE_END,
};

static const struct state_table console_table = {
	.name = "console",
	.version = 1,
	.size = sizeof(struct console),
	.fields = console_fields,
};

static const struct state_field port_fields[] = {
	STATE_LIMITED(struct port, owed, SEND_END - 1),
	STATE_FLAG(struct port, open),
	STATE_FLAG(struct port, ready),
	STATE_NUMBER(struct port, written),
	STATE_END,
};

static const char *check_port(const void *object)
{
	const struct port *port = object;

	return port->owed & SEND_NAME && !port->name ? "the console's port has no name to send"
						     : NULL;
}

static const struct state_table port_table = {
	.name = "console-port",
	.version = 1,
	.size = sizeof(struct port),
	.fields = port_fields,
	.check = check_port,
};

const struct state_table *const virtio_console_state_tables[] = {
	&console_table, &port_table, NULL
};

int console_state(struct virtio_dev *dev, struct state *state)
{
	struct console *c = console_of(dev);
	const uint16_t cols = c->cols, rows = c->rows;
	int ret = state_section(state, &console_table, dev->name, c);

	/* Without a terminal the guest keeps the size that it had. */
	if (cols && rows) {
		c->cols = cols;
		c->rows = rows;
	}
	return ret ? ret : state_array(state, &port_table, dev->name, c->ports, c->port_count);
}

void console_restored(struct virtio_dev *dev)
{
	struct console *c = console_of(dev);

	for (unsigned i = 0; i < c->port_count; i++) {
		struct port *port = &c->ports[i];

		if (!port->ready)
			continue;
		port->owed &= ~(unsigned)(SEND_OPEN | SEND_CLOSED);
		port->owed |= port->hung_up ? SEND_CLOSED : SEND_OPEN;
	}
	if (c->cols && c->rows)
		console_size_changed(c);
	console_control_flush(c);
}
