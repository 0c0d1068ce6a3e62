/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/rng.h"

#include "base/iov.h"
#include "base/log.h"

#include <string.h>
#include <sys/random.h>

enum { QUEUE_SIZE = 64 };

/*
 * §5.4.6.2 allows a device to fill less than the buffer. Up to 256 bytes, getrandom(2) is neither
 * interrupted nor short, and one request cannot keep the loop busy.
 */
enum { MAX_BYTES = 256 };

static const char *fill(struct virtq *q, const struct virtq_chain *chain)
{
	uint8_t bytes[MAX_BYTES];
	size_t len = chain->in_len < MAX_BYTES ? chain->in_len : MAX_BYTES;

	/* §5.4.6.1: the driver's buffers are device-writable. */
	if (!len || chain->out_len)
		return "requestq: a buffer that cannot be filled";
	if (getrandom(bytes, len, 0) != (ssize_t)len)
		return "getrandom failed";
	iov_write(chain->iov, chain->in_count, 0, bytes, len);
	virtq_push(q, chain->head, (uint32_t)len);
	return NULL;
}

/* Returns why the device is broken, or NULL. */
static const char *serve_some(struct virtq *q)
{
	struct virtq_chain chain;

	for (unsigned n = 0; n < q->state.size; n++) {
		int ret = virtq_pop(q, &chain);
		const char *broken;

		if (ret < 0)
			return "requestq: the ring is damaged";
		if (!ret) {
			if (!virtq_enable_kicks(q))
				return NULL;
			continue;
		}
		broken = fill(q, &chain);
		if (broken)
			return broken;
	}
	/* More than one turn's share: other events first. */
	eventfd_signal(q->kick_fd);
	return NULL;
}

static void rng_serve(struct virtio_dev *dev, struct virtq *q)
{
	const char *broken;

	virtq_disable_kicks(q);
	broken = serve_some(q);
	virtq_notify(q);
	if (broken)
		virtio_broken(dev, broken);
}

static void rng_destroy(struct virtio_dev *dev)
{
	virtio_dev_destroy(dev);
	free(dev);
}

static const struct virtio_model rng_model = {
	.name = "virtio-rng",
	.id = VIRTIO_ID_RNG,
	.pci_class = 0xff0000, /* no PCI class exists for it */
	.serve = rng_serve,
	.destroy = rng_destroy,
};

int virtio_rng_new(struct virtio_dev **out, const struct virtio_env *env, unsigned instance)
{
	_cleanup_free_ struct virtio_dev *dev = calloc(1, sizeof(*dev));
	int ret = -ENOMEM;

	if (dev)
		ret = virtio_dev_init(dev, &rng_model, env, instance, VIRTQ_FEATURES, 0, 1,
				      QUEUE_SIZE);
	if (ret) {
		log_error("virtio-rng %u: %s", instance, strerror(-ret));
		return ret;
	}
	*out = steal_ptr(dev);
	return 0;
}

/* --- Kind ------------------------------------------------------------------------------------- */

static void rng_describe(FILE *out, const void *config)
{
	const struct rng_config *rng = config;

	fputs(rng->on ? "on" : "off", out);
}

static int rng_create(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		      const void *config)
{
	const struct rng_config *rng = config;

	*out = NULL;
	return rng->on ? virtio_rng_new(out, env, instance) : 0;
}

const struct device_kind rng_kind = {
	.option = {
		.name = "rng", .kind = OPTION_WORD, .words = option_on_off, .initial = "on",
		.help = "virtio entropy source",
		OPTION_FIELD(struct rng_config, on),
	},
	.describe = rng_describe,
	.create = rng_create,
};
DEVICE_CONFIG_FITS(struct rng_config);
