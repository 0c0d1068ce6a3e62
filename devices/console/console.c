/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-console: configuration space, queues, creation and reset. */
#include "internal.h"

#include "base/le.h"
#include "base/log.h"

#include <linux/virtio_console.h>
#include <stddef.h>
#include <string.h>

enum { CONFIG_LEN = offsetof(struct virtio_console_config, emerg_wr) };

/* Only for queues that are not the control queues. */
static unsigned port_of_queue(unsigned index)
{
	return index < QUEUE_CONTROL_TO_DRIVER ? PORT_CONSOLE :
						 PORT_STATUS + (index - QUEUE_INPUT_1) / QUEUE_PAIR;
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

static void console_serve(struct virtio_dev *dev, struct virtq *q)
{
	struct console *c = console_of(dev);
	unsigned port;

	if (q->index == QUEUE_CONTROL_TO_DRIVER) {
		console_control_flush(c);
	} else if (q->index == QUEUE_CONTROL_FROM_DRIVER) {
		console_control_serve(c, q);
	} else {
		port = port_of_queue(q->index);
		if (q == output_queue(c, port))
			console_output_serve(c, port);
		else if (port != PORT_STATUS) /* the status port has no input */
			console_input_wake(c, port);
	}
	console_report_drained(c);
}

static void console_reset(struct virtio_dev *dev)
{
	struct console *c = console_of(dev);

	for (unsigned i = 0; i < c->port_count; i++) {
		console_port_forget(&c->ports[i]);
		c->ports[i].written = 0;
	}
	memset(c->line, 0, sizeof(c->line));
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
	.state = console_state,
	.restored = console_restored,
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
	c->ports[PORT_STATUS].name = "kinglet.status";
	c->port_count = PORT_FIRST_STREAM + options->stream_count;
	for (unsigned i = 0; i < options->stream_count; i++)
		c->ports[PORT_FIRST_STREAM + i].name = options->streams[i];
	ret = virtio_dev_init(&c->dev, &console_model, env, instance, features, CONFIG_LEN,
			     (c->port_count + 1) * QUEUE_PAIR, QUEUE_SIZE);
	if (ret)
		goto err_free;
	if (options->bulk) {
		struct virtq *q = input_queue(c, options->bulk);

		q->max_size = q->state.size = BULK_SIZE;
	}
	*out = &c->dev;
	return 0;

err_free:
	free(c);
err_log:
	log_error("virtio-console %u: %s", instance, strerror(-ret));
	return ret;
}
