/* SPDX-License-Identifier: Apache-2.0 */
/* The control queues of virtio-console (§5.3.6.2): messages about ports, in both directions. */
#include "internal.h"

#include "base/iov.h"
#include "base/le.h"

#include <linux/virtio_console.h>
#include <stddef.h>
#include <string.h>

enum { MAX_MESSAGE = sizeof(struct virtio_console_control) + VIRTIO_CONSOLE_MAX_NAME };

static size_t message_write(const struct console *c, unsigned port, enum message message,
			    uint8_t buf[MAX_MESSAGE])
{
	static const uint16_t events[SEND_END] = {
		[SEND_ADD] = VIRTIO_CONSOLE_PORT_ADD,
		[SEND_CONSOLE] = VIRTIO_CONSOLE_CONSOLE_PORT,
		[SEND_NAME] = VIRTIO_CONSOLE_PORT_NAME,
		[SEND_RESIZE] = VIRTIO_CONSOLE_RESIZE,
		[SEND_OPEN] = VIRTIO_CONSOLE_PORT_OPEN,
		[SEND_CLOSED] = VIRTIO_CONSOLE_PORT_OPEN,
	};
	size_t len = sizeof(struct virtio_console_control);

	put_le32(buf + offsetof(struct virtio_console_control, id), port);
	put_le16(buf + offsetof(struct virtio_console_control, event), events[message]);
	put_le16(buf + offsetof(struct virtio_console_control, value),
		 message != SEND_CLOSED);
	if (message == SEND_NAME) {
		size_t name_len = strnlen(c->ports[port].name, VIRTIO_CONSOLE_MAX_NAME);

		memcpy(buf + len, c->ports[port].name, name_len);
		len += name_len;
	} else if (message == SEND_RESIZE) {
		put_le16(buf + len, c->cols);
		put_le16(buf + len + 2, c->rows);
		len += 4;
	}
	return len;
}

/* Sends one message. False when it could not be sent now. */
static bool control_send(struct console *c, unsigned port, enum message message)
{
	struct virtq *q = &c->dev.queues[QUEUE_CONTROL_TO_DRIVER];
	struct virtq_chain *chain = &c->chain;
	uint8_t buf[MAX_MESSAGE];
	size_t len = message_write(c, port, message, buf);
	int ret = virtq_pop(q, chain);

	/* Buffers that arrived meanwhile: try again; for later ones there is a kick. */
	if (!ret && virtq_enable_kicks(q))
		ret = virtq_pop(q, chain);
	if (ret <= 0) {
		if (ret < 0)
			virtio_broken(&c->dev, "control queue: broken ring");
		return false;
	}
	if (iov_write(chain->iov + chain->out_count, chain->in_count, 0, buf, len) < len) {
		virtio_broken(&c->dev, "control queue: buffer too small");
		return false;
	}
	virtq_push(q, chain->head, (uint32_t)len);
	return true;
}

void console_control_flush(struct console *c)
{
	for (unsigned i = 0; i < c->port_count; i++) {
		struct port *port = &c->ports[i];

		for (unsigned message = SEND_ADD; message < SEND_END; message <<= 1) {
			if (!(port->owed & message))
				continue;
			if (!control_send(c, i, message))
				goto out;
			port->owed &= ~message;
		}
	}
out:
	virtq_notify(&c->dev.queues[QUEUE_CONTROL_TO_DRIVER]);
}

void console_port_forget(struct port *port)
{
	port->owed = 0;
	port->open = false;
	port->ready = false;
	port->buffers = 0;
}

static void port_opened(struct console *c, unsigned id, bool open)
{
	c->ports[id].open = open;
	if (id != PORT_STATUS) {
		console_input_wake(c, id);
	} else if (!open) {
		/* Data written before the close may still be in the other queue. */
		console_output_serve(c, PORT_STATUS);
		console_status_finish(c);
	}
}

static void port_ready(struct console *c, unsigned id, bool ready)
{
	struct port *port = &c->ports[id];

	port->ready = ready;
	port->owed = 0;
	if (!ready)
		return;
	/* The driver regards every port as closed initially. */
	port->owed = port->hung_up ? 0 : SEND_OPEN;
	if (port->name)
		port->owed |= SEND_NAME;
	else
		port->owed |= SEND_CONSOLE | (c->cols && c->rows ? SEND_RESIZE : 0);
}

/* Unknown events and ports are ignored, as later specifications may add some. */
static void control_handle(struct console *c, const uint8_t *message)
{
	uint32_t id = get_le32(message + offsetof(struct virtio_console_control, id));
	uint16_t event = get_le16(message + offsetof(struct virtio_console_control, event));
	bool value = get_le16(message + offsetof(struct virtio_console_control, value));

	if (event == VIRTIO_CONSOLE_DEVICE_READY) {
		for (unsigned i = 0; i < c->port_count; i++) {
			console_port_forget(&c->ports[i]);
			c->ports[i].owed = value ? SEND_ADD : 0;
		}
	} else if (id < c->port_count && event == VIRTIO_CONSOLE_PORT_READY) {
		port_ready(c, id, value);
	} else if (id < c->port_count && event == VIRTIO_CONSOLE_PORT_OPEN) {
		port_opened(c, id, value);
	}
}

void console_control_serve(struct console *c, struct virtq *q)
{
	uint8_t message[sizeof(struct virtio_console_control)];
	unsigned budget = TURN_CHAINS;
	int ret;

	virtq_disable_kicks(q);
	while ((ret = virtq_pop(q, &c->chain)) > 0) {
		uint16_t head = c->chain.head;

		if (iov_read(c->chain.iov, c->chain.out_count, 0, message, sizeof(message)) ==
		    sizeof(message))
			control_handle(c, message);
		/* Linux waits for this: when close(2) returns, the status has been read. */
		virtq_push(q, head, 0);
		if (!--budget)
			break;
	}
	virtio_end_turn(q, ret, "control queue: broken ring");
	console_control_flush(c);
}

void virtio_console_hang_up(struct virtio_dev *dev, unsigned port)
{
	struct console *c = console_of(dev);
	struct port *p = &c->ports[port];

	pthread_mutex_lock(&dev->lock);
	if (!p->hung_up) {
		p->hung_up = true;
		p->owed &= ~(unsigned)SEND_OPEN;
		if (dev->started && p->ready) {
			p->owed |= SEND_CLOSED;
			console_control_flush(c);
		}
		console_output_resume(c, port);
	}
	pthread_mutex_unlock(&dev->lock);
}

void console_size_changed(struct console *c)
{
	struct port *port = &c->ports[PORT_CONSOLE];

	if (virtio_has(&c->dev, VIRTIO_CONSOLE_F_SIZE))
		virtio_config_changed(&c->dev);
	/* §5.3.6.2: with several ports, drivers use the message. */
	if (c->dev.started && port->ready)
		port->owed |= SEND_RESIZE;
}

void virtio_console_resize(struct virtio_dev *dev, uint16_t cols, uint16_t rows)
{
	struct console *c = console_of(dev);

	pthread_mutex_lock(&dev->lock);
	if (c->cols != cols || c->rows != rows) {
		c->cols = cols;
		c->rows = rows;
		console_size_changed(c);
		console_control_flush(c);
	}
	pthread_mutex_unlock(&dev->lock);
}
