/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes from and to the ports of virtio-console. */
#include "internal.h"

#include "base/iov.h"
#include "base/log.h"

#include <linux/virtio_console.h>

enum { TURN_BYTES = 64 << 10 }; /* of one turn, as TURN_CHAINS */

/* --- Status port ------------------------------------------------------------------------------ */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

void console_status_finish(struct console *c)
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
			    c->dev.name, c->ports[PORT_STATUS].name);
	}
}

static void status_write(struct console *c, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n')
			console_status_finish(c);
		else if (c->line_len < sizeof(c->line))
			c->line[c->line_len++] = (char)data[i];
		else
			c->line_len = sizeof(c->line) + 1;
	}
}

/* --- Output queues ---------------------------------------------------------------------------- */

/* The number of bytes that the receiver took. */
static size_t output_write(struct console *c, unsigned id, const uint8_t *data, size_t len)
{
	size_t taken;

	if (id == PORT_STATUS) {
		status_write(c, data, len);
		return len;
	}
	/* There is no receiver: the guest must not wait for room forever. */
	if (c->ports[id].hung_up)
		return len;
	taken = c->ops->output(c->owner, id, data, len);
	c->ports[id].output_refused = taken < len;
	return taken;
}

/*
 * Passes on at most `max` bytes of the popped chain, from where the last turn ended, or fewer if
 * the receiver has no room.
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
 * A chain may describe 4 GiB: what exceeds the turn's share stays in the ring, and `written` is
 * where to continue.
 */
void console_output_serve(struct console *c, unsigned id)
{
	struct virtq *q = output_queue(c, id);
	unsigned budget = TURN_CHAINS;
	size_t bytes = TURN_BYTES;
	int ret;

	if (c->ports[id].output_refused)
		return;
	virtq_disable_kicks(q);
	while ((ret = virtq_pop(q, &c->chain)) > 0) {
		bytes -= output_pass(c, id, bytes);
		if (c->ports[id].written < c->chain.out_len) {
			virtq_unpop(q, c->chain.head);
			break;
		}
		c->ports[id].written = 0;
		virtq_push(q, c->chain.head, 0);
		if (!--budget)
			break;
	}
	if (ret > 0 && c->ports[id].output_refused)
		virtq_notify(q);
	else
		virtio_end_turn(q, ret, "output queue: broken ring");
}

void console_output_resume(struct console *c, unsigned id)
{
	if (c->ports[id].output_refused)
		eventfd_signal(output_queue(c, id)->kick_fd);
	c->ports[id].output_refused = false;
}

void virtio_console_output_ready(struct virtio_dev *dev, unsigned port)
{
	pthread_mutex_lock(&dev->lock);
	console_output_resume(console_of(dev), port);
	pthread_mutex_unlock(&dev->lock);
}

void console_report_drained(struct console *c)
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

void console_input_wake(struct console *c, unsigned id)
{
	if (!c->ports[id].input_refused || !port_is_open(c, id))
		return;
	c->ports[id].input_refused = false;
	c->ops->input_wanted(c->owner, id);
}

/*
 * Linux offers a buffer again, and would kick, with each page that is read. Half of them at a time
 * spare 15 of 16 kicks and interrupts, and the rest keeps the reader busy meanwhile.
 */
static bool enable_kicks(struct virtq *q, const struct port *port)
{
	return virtq_enable_kicks_after(q, port->buffers > 1 ? port->buffers / 2 : 1);
}

static size_t input_fill(struct console *c, unsigned id, const uint8_t *data, size_t len)
{
	struct virtq *q = input_queue(c, id);
	struct virtq_chain *chain = &c->chain;
	unsigned budget = TURN_CHAINS;
	uint16_t available = virtq_available(q);
	size_t taken = 0;
	int ret = 0;

	if (c->ports[id].buffers < available)
		c->ports[id].buffers = available;
	while (taken < len && budget-- && (ret = virtq_pop(q, chain)) > 0) {
		size_t n = iov_write(chain->iov + chain->out_count, chain->in_count, 0,
				     data + taken, len - taken);

		virtq_push(q, chain->head, (uint32_t)n);
		taken += n;
	}
	virtq_notify(q);
	if (ret < 0)
		virtio_broken(&c->dev, "input queue: broken ring");
	else if (taken < len && enable_kicks(q, &c->ports[id]))
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
