/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/console.h"

#include "base/iov.h"
#include "base/le.h"
#include "base/log.h"

#include <linux/virtio_console.h>
#include <stddef.h>
#include <string.h>

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
	CONFIG_LEN = offsetof(struct virtio_console_config, emerg_wr),
	/* Work for one turn of a queue, so that it cannot keep others from theirs. */
	TURN_BYTES = 64 << 10,
	TURN_CHAINS = QUEUE_SIZE,
	MAX_MESSAGE = sizeof(struct virtio_console_control) + VIRTIO_CONSOLE_MAX_NAME,
};

static const char status_port_name[] = "kinglet.status";

/*
 * Control messages that are owed to the driver. They wait as bits, not as a list, so that a driver
 * that asks and gives no buffers makes nothing grow. Sent in this order.
 */
enum message {
	SEND_ADD = 1 << 0,
	SEND_CONSOLE = 1 << 1,
	SEND_RESIZE = 1 << 2,
	SEND_OPEN = 1 << 3,
	SEND_CLOSED = 1 << 4,
	SEND_NAME = 1 << 5, /* behind the others: who finds a port by its name finds it open */
	SEND_END = 1 << 6,
};

struct port {
	const char *name; /* borrowed; NULL: the console, which has none */
	unsigned owed;    /* enum message */
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

static struct console *console_of(struct virtio_dev *dev)
{
	return container_of(dev, struct console, dev);
}

static unsigned input_queue_of(unsigned port)
{
	return port ? QUEUE_INPUT_1 + (port - 1) * QUEUE_PAIR : QUEUE_INPUT_0;
}

static struct virtq *input_queue(struct console *c, unsigned port)
{
	return &c->dev.queues[input_queue_of(port)];
}

static struct virtq *output_queue(struct console *c, unsigned port)
{
	return &c->dev.queues[input_queue_of(port) + 1];
}

/* Only for queues that are not the control queues. */
static unsigned port_of_queue(unsigned index)
{
	return index < QUEUE_CONTROL_TO_DRIVER ? PORT_CONSOLE :
						 PORT_STATUS + (index - QUEUE_INPUT_1) / QUEUE_PAIR;
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
		c->status_set = true;
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
	/* Nobody listens: the guest must not wait for room for ever. */
	if (c->ports[id].hung_up)
		return len;
	taken = c->ops->output(c->owner, id, data, len);
	c->ports[id].output_refused = taken < len;
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
static void output_serve(struct console *c, unsigned id)
{
	struct virtq *q = output_queue(c, id);
	unsigned budget = TURN_CHAINS;
	size_t bytes = TURN_BYTES;
	int rc;

	if (c->ports[id].output_refused)
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
	if (rc > 0 && c->ports[id].output_refused)
		virtq_notify(q);
	else
		turn_end(c, q, rc, "output queue: broken ring");
}

/* Locked. */
static void output_resume(struct console *c, unsigned id)
{
	if (c->ports[id].output_refused)
		eventfd_signal(output_queue(c, id)->kick_fd);
	c->ports[id].output_refused = false;
}

void virtio_console_output_ready(struct virtio_dev *dev, unsigned port)
{
	pthread_mutex_lock(&dev->lock);
	output_resume(console_of(dev), port);
	pthread_mutex_unlock(&dev->lock);
}

/* Behind a status: tells when what was written before it, on whatever port, has been passed on. */
static void report_drained(struct console *c)
{
	if (!c->status_set)
		return;
	for (unsigned i = 0; i < c->port_count; i++)
		if (!virtq_is_empty(output_queue(c, i)))
			return;
	c->status_set = false;
	if (c->ops->drained)
		c->ops->drained(c->owner);
}

/* --- Input queues ----------------------------------------------------------------------------- */

static bool port_is_open(const struct console *c, unsigned id)
{
	bool only_console = !virtio_has(&c->dev, VIRTIO_CONSOLE_F_MULTIPORT);

	return c->dev.started && (c->ports[id].open || (only_console && id == PORT_CONSOLE));
}

static void input_wake(struct console *c, unsigned id)
{
	if (!c->ports[id].input_refused || !port_is_open(c, id))
		return;
	c->ports[id].input_refused = false;
	c->ops->input_wanted(c->owner, id);
}

static size_t input_fill(struct console *c, unsigned id, const uint8_t *data, size_t len)
{
	struct virtq *q = input_queue(c, id);
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

size_t virtio_console_input(struct virtio_dev *dev, unsigned port, const uint8_t *data, size_t len)
{
	struct console *c = console_of(dev);
	size_t taken = 0;

	pthread_mutex_lock(&dev->lock);
	if (port_is_open(c, port))
		taken = input_fill(c, port, data, len);
	if (taken < len)
		c->ports[port].input_refused = true;
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

/* The driver's view of a port, as at power-on; ours stays: whoever waits for it still does. */
static void port_forget(struct port *port)
{
	port->owed = 0;
	port->open = false;
	port->ready = false;
}

static void port_opened(struct console *c, unsigned id, bool open)
{
	c->ports[id].open = open;
	if (id != PORT_STATUS) {
		input_wake(c, id);
	} else if (!open) {
		/* What was written before the close may still wait in the other queue. */
		output_serve(c, PORT_STATUS);
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
	/* To the driver every port is closed at first. */
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
			port_forget(&c->ports[i]);
			c->ports[i].owed = value ? SEND_ADD : 0;
		}
	} else if (id < c->port_count && event == VIRTIO_CONSOLE_PORT_READY) {
		port_ready(c, id, value);
	} else if (id < c->port_count && event == VIRTIO_CONSOLE_PORT_OPEN) {
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
			control_flush(c);
		}
		output_resume(c, port);
	}
	pthread_mutex_unlock(&dev->lock);
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
	put_le32(config + offsetof(struct virtio_console_config, max_nr_ports), c->port_count);
	memcpy(buf, config + off, len);
}

/* --- Life ------------------------------------------------------------------------------------- */

static void console_serve(struct virtio_dev *dev, struct virtq *q)
{
	struct console *c = console_of(dev);
	unsigned port;

	if (q->index == QUEUE_CONTROL_TO_DRIVER) {
		control_flush(c);
	} else if (q->index == QUEUE_CONTROL_FROM_DRIVER) {
		control_serve(c, q);
	} else {
		port = port_of_queue(q->index);
		if (q == output_queue(c, port))
			output_serve(c, port);
		else if (port != PORT_STATUS) /* on which nothing is ever said */
			input_wake(c, port);
	}
	report_drained(c);
}

static void console_reset(struct virtio_dev *dev)
{
	struct console *c = console_of(dev);

	for (unsigned i = 0; i < c->port_count; i++) {
		port_forget(&c->ports[i]);
		c->ports[i].written = 0;
	}
	c->line_len = 0;
	c->status_set = false;
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

int virtio_console_new(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		       const struct virtio_console_options *options)
{
	const uint64_t features = 1ULL << VIRTIO_CONSOLE_F_SIZE |
				  1ULL << VIRTIO_CONSOLE_F_MULTIPORT | VIRTQ_FEATURES;
	struct console *c = calloc(1, sizeof(*c));
	int ret = -ENOMEM;

	if (!c)
		goto err_log;
	c->ops = options->ops;
	c->owner = options->owner;
	c->ports[PORT_STATUS].name = status_port_name;
	c->port_count = PORT_FIRST_STREAM + options->stream_count;
	for (unsigned i = 0; i < options->stream_count; i++)
		c->ports[PORT_FIRST_STREAM + i].name = options->streams[i];
	ret = virtio_dev_init(&c->dev, &console_model, env, instance, features, CONFIG_LEN,
			     (c->port_count + 1) * QUEUE_PAIR, QUEUE_SIZE);
	if (ret)
		goto err_free;
	*out = &c->dev;
	return 0;

err_free:
	free(c);
err_log:
	log_error("virtio-console %u: %s", instance, strerror(-ret));
	return ret;
}
