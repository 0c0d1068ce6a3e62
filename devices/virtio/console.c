/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/console.h"

#include "base/iov.h"
#include "base/le.h"
#include "base/log.h"

#include <linux/virtio_console.h>
#include <stddef.h>
#include <string.h>

/* Queues in the order of §5.3.2. */
enum {
	QUEUE_INPUT_0,
	QUEUE_OUTPUT_0,
	QUEUE_CONTROL_TO_DRIVER,
	QUEUE_CONTROL_FROM_DRIVER,
	QUEUE_INPUT_1,
	QUEUE_OUTPUT_1,
	QUEUES,
};

enum { PORT_CONSOLE, PORT_STATUS, PORTS };

enum {
	QUEUE_SIZE = 32,
	CONFIG_LEN = offsetof(struct virtio_console_config, emerg_wr),
	/* Work for one turn of a queue, so that it cannot keep others from theirs. */
	TURN_BYTES = 64 << 10,
	TURN_CHAINS = QUEUE_SIZE,
	MAX_MESSAGE = 32,
};

static const char status_port_name[] = "kinglet.status";

/*
 * Control messages that are owed to the driver. They wait as bits, not as a list, so that a driver
 * that asks and gives no buffers makes nothing grow. Sent in this order.
 */
enum message {
	SEND_ADD = 1 << 0,
	SEND_CONSOLE = 1 << 1,
	SEND_NAME = 1 << 2,
	SEND_RESIZE = 1 << 3,
	SEND_OPEN = 1 << 4,
	SEND_END = 1 << 5,
};

struct port {
	unsigned owed;    /* enum message */
	bool open;        /* the guest has it open */
	bool ready;       /* the driver knows the port and what it is */
	uint64_t written; /* bytes of the next output chain that were passed on in earlier turns */
};

struct console {
	struct virtio_dev dev;
	const struct virtio_console_ops *ops;
	void *owner;
	uint16_t cols, rows;
	struct port ports[PORTS];
	bool input_refused;  /* and its owner waits for input_wanted() */
	bool output_refused; /* and we wait for virtio_console_output_ready() */
	char line[8];       /* of the status port; a longer one is garbage */
	unsigned line_len;
	bool garbage_logged;
	struct virtq_chain chain; /* scratch */
};

static struct console *console_of(struct virtio_dev *dev)
{
	return container_of(dev, struct console, dev);
}

/* --- Status port ------------------------------------------------------------------------------ */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* The end of a line, or of the file. */
static void status_finish(struct console *c)
{
	bool valid = c->line_len <= sizeof(c->line);
	const char *at = c->line, *end = c->line + (valid ? c->line_len : 0);
	unsigned value = 0;

	c->line_len = 0;
	while (at < end && is_blank(*at))
		at++;
	while (at < end && is_blank(end[-1]))
		end--;
	if (valid && at == end)
		return;
	for (; valid && at < end; at++) {
		valid = *at >= '0' && *at <= '9';
		value = value * 10 + (unsigned)(*at - '0');
	}
	if (valid && value <= UINT8_MAX) {
		c->ops->status(c->owner, (uint8_t)value);
	} else if (!c->garbage_logged) {
		c->garbage_logged = true;
		log_warning("%s: %s: ignored a line that is not a number from 0 to 255",
			    c->dev.name, status_port_name);
	}
}

static void status_write(struct console *c, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n')
			status_finish(c);
		else if (c->line_len < sizeof(c->line))
			c->line[c->line_len++] = (char)data[i];
		else
			c->line_len = sizeof(c->line) + 1;
	}
}

/* --- Output queues ---------------------------------------------------------------------------- */

/*
 * Ends a turn. `rc` is what the last virtq_pop() said; when there is more to do, the queue kicks
 * itself, so that others have their turn before.
 */
static void turn_end(struct console *c, struct virtq *q, int rc, const char *broken)
{
	virtq_notify(q);
	if (rc < 0)
		virtio_broken(&c->dev, broken);
	else if (rc > 0 || virtq_enable_kicks(q))
		eventfd_signal(q->kick_fd);
}

/* How many of `len` bytes their receiver took. */
static size_t output_write(struct console *c, unsigned id, const uint8_t *data, size_t len)
{
	size_t taken;

	if (id == PORT_STATUS) {
		status_write(c, data, len);
		return len;
	}
	taken = c->ops->output(c->owner, data, len);
	c->output_refused = taken < len;
	return taken;
}

/*
 * Passes on at most `max` bytes of the popped chain, from where the last turn ended, and fewer when
 * their receiver has no room.
 */
static size_t output_pass(struct console *c, unsigned id, size_t max)
{
	uint64_t skip = c->ports[id].written;
	size_t passed = 0;

	for (unsigned i = 0; i < c->chain.out_count && passed < max; i++) {
		const uint8_t *data = c->chain.iov[i].iov_base;
		size_t len = c->chain.iov[i].iov_len;
		size_t taken;

		if (skip >= len) {
			skip -= len;
			continue;
		}
		data += skip;
		len -= skip;
		skip = 0;
		if (len > max - passed)
			len = max - passed;
		taken = output_write(c, id, data, len);
		passed += taken;
		if (taken < len)
			break;
	}
	c->ports[id].written += passed;
	return passed;
}

/*
 * A chain may describe 4 GiB: what is over the turn's share stays in the ring, and `written` says
 * where to go on.
 */
static void output_serve(struct console *c, unsigned id, struct virtq *q)
{
	unsigned budget = TURN_CHAINS;
	size_t bytes = TURN_BYTES;
	int rc;

	if (id == PORT_CONSOLE && c->output_refused)
		return;
	virtq_disable_kicks(q);
	while ((rc = virtq_pop(q, &c->chain)) > 0) {
		bytes -= output_pass(c, id, bytes);
		if (c->ports[id].written < c->chain.out_len) {
			virtq_unpop(q, &c->chain);
			break;
		}
		c->ports[id].written = 0;
		virtq_push(q, c->chain.head, 0);
		if (!--budget)
			break;
	}
	if (rc > 0 && id == PORT_CONSOLE && c->output_refused)
		virtq_notify(q);
	else
		turn_end(c, q, rc, "output queue: broken ring");
}

void virtio_console_output_ready(struct virtio_dev *dev)
{
	struct console *c = console_of(dev);

	pthread_mutex_lock(&dev->lock);
	if (c->output_refused)
		eventfd_signal(dev->queues[QUEUE_OUTPUT_0].kick_fd);
	c->output_refused = false;
	pthread_mutex_unlock(&dev->lock);
}

/* --- Input queue of the console --------------------------------------------------------------- */

static bool console_is_open(const struct console *c)
{
	return c->dev.started &&
	       (!virtio_has(&c->dev, VIRTIO_CONSOLE_F_MULTIPORT) || c->ports[PORT_CONSOLE].open);
}

static void input_wake(struct console *c)
{
	if (!c->input_refused || !console_is_open(c))
		return;
	c->input_refused = false;
	c->ops->input_wanted(c->owner);
}

static size_t input_fill(struct console *c, const uint8_t *data, size_t len)
{
	struct virtq *q = &c->dev.queues[QUEUE_INPUT_0];
	struct virtq_chain *chain = &c->chain;
	unsigned budget = TURN_CHAINS;
	size_t taken = 0;
	int rc = 0;

	while (taken < len && budget-- && (rc = virtq_pop(q, chain)) > 0) {
		size_t n = iov_write(chain->iov + chain->out_count, chain->in_count, 0,
				     data + taken, len - taken);

		virtq_push(q, chain->head, (uint32_t)n);
		taken += n;
	}
	virtq_notify(q);
	if (rc < 0)
		virtio_broken(&c->dev, "input queue: broken ring");
	else if (taken < len && virtq_enable_kicks(q))
		eventfd_signal(q->kick_fd);
	return taken;
}

size_t virtio_console_input(struct virtio_dev *dev, const uint8_t *data, size_t len)
{
	struct console *c = console_of(dev);
	size_t taken = 0;

	pthread_mutex_lock(&dev->lock);
	if (console_is_open(c))
		taken = input_fill(c, data, len);
	if (taken < len)
		c->input_refused = true;
	pthread_mutex_unlock(&dev->lock);
	return taken;
}

/* --- Control queues (§5.3.6.2) ---------------------------------------------------------------- */

static size_t message_write(const struct console *c, unsigned port, enum message message,
			    uint8_t buf[MAX_MESSAGE])
{
	static const uint16_t events[SEND_END] = {
		[SEND_ADD] = VIRTIO_CONSOLE_PORT_ADD,
		[SEND_CONSOLE] = VIRTIO_CONSOLE_CONSOLE_PORT,
		[SEND_NAME] = VIRTIO_CONSOLE_PORT_NAME,
		[SEND_RESIZE] = VIRTIO_CONSOLE_RESIZE,
		[SEND_OPEN] = VIRTIO_CONSOLE_PORT_OPEN,
	};
	size_t len = sizeof(struct virtio_console_control);

	put_le32(buf + offsetof(struct virtio_console_control, id), port);
	put_le16(buf + offsetof(struct virtio_console_control, event), events[message]);
	put_le16(buf + offsetof(struct virtio_console_control, value), 1);
	if (message == SEND_NAME) {
		_Static_assert(sizeof(struct virtio_console_control) + sizeof(status_port_name) <=
				       MAX_MESSAGE,
			       "the name fits");
		memcpy(buf + len, status_port_name, sizeof(status_port_name) - 1);
		len += sizeof(status_port_name) - 1;
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
	int rc = virtq_pop(q, chain);

	/* Buffers that came just now: one more try, and else their kick brings us back. */
	if (!rc && virtq_enable_kicks(q))
		rc = virtq_pop(q, chain);
	if (rc <= 0) {
		if (rc < 0)
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

/* Sends what is owed, as far as the driver gave buffers. */
static void control_flush(struct console *c)
{
	for (unsigned i = 0; i < PORTS; i++) {
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

static void port_opened(struct console *c, unsigned id, bool open)
{
	c->ports[id].open = open;
	if (id == PORT_CONSOLE) {
		input_wake(c);
	} else if (!open) {
		/* What was written before the close may still wait in the other queue. */
		output_serve(c, PORT_STATUS, &c->dev.queues[QUEUE_OUTPUT_1]);
		status_finish(c);
	}
}

static void port_ready(struct console *c, unsigned id, bool ready)
{
	struct port *port = &c->ports[id];

	port->ready = ready;
	port->owed = 0;
	if (!ready)
		return;
	port->owed = SEND_OPEN;
	if (id == PORT_STATUS)
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
		for (unsigned i = 0; i < PORTS; i++)
			c->ports[i] = (struct port){ .owed = value ? SEND_ADD : 0,
						     .written = c->ports[i].written };
	} else if (id < PORTS && event == VIRTIO_CONSOLE_PORT_READY) {
		port_ready(c, id, value);
	} else if (id < PORTS && event == VIRTIO_CONSOLE_PORT_OPEN) {
		port_opened(c, id, value);
	}
}

static void control_serve(struct console *c, struct virtq *q)
{
	uint8_t message[sizeof(struct virtio_console_control)];
	unsigned budget = TURN_CHAINS;
	int rc;

	virtq_disable_kicks(q);
	while ((rc = virtq_pop(q, &c->chain)) > 0) {
		uint16_t head = c->chain.head;

		if (iov_read(c->chain.iov, c->chain.out_count, 0, message, sizeof(message)) ==
		    sizeof(message))
			control_handle(c, message);
		/* Linux waits for this: after close(2) the status has been seen. */
		virtq_push(q, head, 0);
		if (!--budget)
			break;
	}
	turn_end(c, q, rc, "control queue: broken ring");
	control_flush(c);
}

/* --- Size ------------------------------------------------------------------------------------- */

void virtio_console_resize(struct virtio_dev *dev, uint16_t cols, uint16_t rows)
{
	struct console *c = console_of(dev);
	struct port *port = &c->ports[PORT_CONSOLE];

	pthread_mutex_lock(&dev->lock);
	if (c->cols != cols || c->rows != rows) {
		c->cols = cols;
		c->rows = rows;
		if (virtio_has(dev, VIRTIO_CONSOLE_F_SIZE))
			virtio_config_changed(dev);
		/* §5.3.6.2: with several ports, drivers go by the message. */
		if (dev->started && port->ready) {
			port->owed |= SEND_RESIZE;
			control_flush(c);
		}
	}
	pthread_mutex_unlock(&dev->lock);
}

static void console_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	struct console *c = console_of(dev);
	uint8_t config[CONFIG_LEN];

	put_le16(config + offsetof(struct virtio_console_config, cols), c->cols);
	put_le16(config + offsetof(struct virtio_console_config, rows), c->rows);
	put_le32(config + offsetof(struct virtio_console_config, max_nr_ports), PORTS);
	memcpy(buf, config + off, len);
}

/* --- Life ------------------------------------------------------------------------------------- */

static void console_serve(struct virtio_dev *dev, struct virtq *q)
{
	struct console *c = console_of(dev);

	switch (q->index) {
	case QUEUE_INPUT_0:
		input_wake(c);
		break;
	case QUEUE_OUTPUT_0:
		output_serve(c, PORT_CONSOLE, q);
		break;
	case QUEUE_OUTPUT_1:
		output_serve(c, PORT_STATUS, q);
		break;
	case QUEUE_CONTROL_TO_DRIVER:
		control_flush(c);
		break;
	case QUEUE_CONTROL_FROM_DRIVER:
		control_serve(c, q);
		break;
	case QUEUE_INPUT_1:
		/* Nothing is ever said on the status port. */
		break;
	}
}

static void console_reset(struct virtio_dev *dev)
{
	struct console *c = console_of(dev);

	/* What was refused stays so: whoever waits still does. */
	memset(c->ports, 0, sizeof(c->ports));
	c->line_len = 0;
}

static void console_destroy(struct virtio_dev *dev)
{
	virtio_dev_destroy(dev);
	free(console_of(dev));
}

static const struct virtio_model console_model = {
	.name = "virtio-console",
	.id = VIRTIO_ID_CONSOLE,
	.pci_class = 0x078000,
	.config_read = console_config_read,
	.serve = console_serve,
	.reset = console_reset,
	.destroy = console_destroy,
};

struct virtio_dev *virtio_console_new(const struct virtio_env *env, unsigned instance,
				      const struct virtio_console_ops *ops, void *owner)
{
	const uint64_t features = 1ULL << VIRTIO_CONSOLE_F_SIZE |
				  1ULL << VIRTIO_CONSOLE_F_MULTIPORT | VIRTQ_FEATURES;
	struct console *c = calloc(1, sizeof(*c));
	int rc = -ENOMEM;

	if (!c)
		goto err_log;
	c->ops = ops;
	c->owner = owner;
	rc = virtio_dev_init(&c->dev, &console_model, env, instance, features, CONFIG_LEN, QUEUES,
			     QUEUE_SIZE);
	if (rc)
		goto err_free;
	return &c->dev;

err_free:
	free(c);
err_log:
	log_error("virtio-console %u: %s", instance, strerror(-rc));
	return NULL;
}
