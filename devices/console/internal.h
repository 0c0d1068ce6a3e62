/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What console.c (the device), control.c (messages about ports) and ports.c (bytes of ports) share.
 * All of it is called with the device's lock held.
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
	TURN_CHAINS = QUEUE_SIZE, /* for one turn, so that no queue keeps others from theirs */
};

struct port {
	const char *name; /* borrowed; NULL: the console, which has none */
	unsigned owed;    /* control.c: messages to the driver */
	bool open;        /* the guest has it open */
	bool ready;       /* the driver knows the port and what it is */
	uint64_t written; /* bytes of the next output chain that were passed on in earlier turns */
	/* Of our side, whatever the driver does: */
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
	bool status_set;    /* and drained() is owed */
	char line[8];       /* of the status port; a longer one is garbage */
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

/* The status port's: the end of a line, or of the file. */
void console_status_finish(struct console *c);
void console_output_serve(struct console *c, unsigned id);
/* Its receiver has room again. */
void console_output_resume(struct console *c, unsigned id);
/* The guest has opened the port, or given buffers: who waits for that is told. */
void console_input_wake(struct console *c, unsigned id);
/* After a status: tells when what was written before it, on whatever port, has been passed on. */
void console_report_drained(struct console *c);
/*
 * Ends a turn. `rc` is what the last virtq_pop() said; when there is more to do, the queue kicks
 * itself, so that others have their turn before.
 */
void console_turn_end(struct console *c, struct virtq *q, int rc, const char *broken);

/* --- control.c --- */

void console_control_serve(struct console *c, struct virtq *q);
/* Sends what is owed, as far as the driver gave buffers. */
void console_control_flush(struct console *c);
/* The driver's view of a port, as at power-on; ours stays: whoever waits for it still does. */
void console_port_forget(struct port *port);

#endif
