/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by console.c (the device), control.c (messages about ports), ports.c (bytes of ports) and
 * state.c (what is saved).
 * Everything is called with the device's lock held.
 */
#ifndef KINGLET_CONSOLE_INTERNAL_H
#define KINGLET_CONSOLE_INTERNAL_H

#include "devices/console.h"

/* Queues in the order of §5.3.2: port 0, the control queues, then a pair for each other port. */
enum {
	QUEUE_INPUT_0,
	QUEUE_OUTPUT_0,
	QUEUE_CONTROL_TO_DRIVER,
	QUEUE_CONTROL_FROM_DRIVER,
	QUEUE_INPUT_1,
	QUEUE_OUTPUT_1,
	QUEUE_PAIR = 2,
};

enum {
	PORT_CONSOLE,
	PORT_STATUS,
	PORT_FIRST_STREAM = VIRTIO_CONSOLE_FIRST_STREAM,
	MAX_PORTS = PORT_FIRST_STREAM + VIRTIO_CONSOLE_MAX_STREAMS,
};

enum {
	QUEUE_SIZE = 32,
	BULK_SIZE = 256, /* Linux puts a page into each entry */
	TURN_CHAINS = QUEUE_SIZE, /* per turn, so that no queue delays the others */
};

/*
 * Pending control messages to the driver, as bits, not as a list, so that a driver that asks but
 * provides no buffers does not use up memory. Sent in this order.
 */
enum message {
	SEND_ADD = 1 << 0,
	SEND_CONSOLE = 1 << 1,
	SEND_RESIZE = 1 << 2,
	SEND_OPEN = 1 << 3,
	SEND_CLOSED = 1 << 4,
	SEND_NAME = 1 << 5, /* after the others: a port found by its name is already open */
	SEND_END = 1 << 6,
};

struct port {
	const char *name; /* borrowed; NULL: the console, which has none */
	unsigned owed;    /* pending messages to the driver, enum message */
	bool open;        /* the guest has it open */
	bool ready;       /* the driver has set up the port */
	uint64_t written; /* bytes of the next output chain already passed on */
	uint16_t buffers; /* for input: the most that the driver has offered at a time */
	/* The host side, independent of the driver: */
	bool hung_up;
	bool input_refused;  /* and its owner waits for input_wanted() */
	bool output_refused; /* and we wait for virtio_console_output_ready() */
};

struct console {
	struct virtio_dev dev;
	const struct virtio_console_ops *ops;
	void *owner;
	uint16_t cols, rows;
	struct port ports[MAX_PORTS];
	unsigned port_count;
	bool status_set;    /* and drained() is pending */
	char line[8];       /* of the status port; a longer one is invalid */
	unsigned line_len;
	bool garbage_logged;
	struct virtq_chain chain; /* scratch */
};

static inline struct console *console_of(struct virtio_dev *dev)
{
	return container_of(dev, struct console, dev);
}

static inline unsigned input_queue_of(unsigned port)
{
	return port ? QUEUE_INPUT_1 + (port - 1) * QUEUE_PAIR : QUEUE_INPUT_0;
}

static inline struct virtq *input_queue(struct console *c, unsigned port)
{
	return &c->dev.queues[input_queue_of(port)];
}

static inline struct virtq *output_queue(struct console *c, unsigned port)
{
	return &c->dev.queues[input_queue_of(port) + 1];
}

/* --- ports.c --- */

/* For the status port: the end of a line, or of the file. */
void console_status_finish(struct console *c);
void console_output_serve(struct console *c, unsigned id);
/* Its receiver has room again. */
void console_output_resume(struct console *c, unsigned id);
/* The guest has opened the port, or added buffers: notifies the owner if it waits. */
void console_input_wake(struct console *c, unsigned id);
/*
 * After a status: calls drained() once everything written before it, on any port, has been passed
 * on.
 */
void console_report_drained(struct console *c);

/* --- control.c --- */

void console_control_serve(struct console *c, struct virtq *q);
/* Sends pending messages, as far as there are buffers. */
void console_control_flush(struct console *c);
/*
 * Resets the driver's view of a port, as at power-on; the host side keeps its state and still
 * waits.
 */
void console_port_forget(struct port *port);
/* The size is to be told to the driver. */
void console_size_changed(struct console *c);

/* --- state.c: virtio_model.state and .restored --- */

__must_check int console_state(struct virtio_dev *dev, struct state *state);
void console_restored(struct virtio_dev *dev);

#endif
