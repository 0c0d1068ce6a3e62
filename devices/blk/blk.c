/* SPDX-License-Identifier: Apache-2.0 */
#include "identity.h"

#include "base/iov.h"
#include "base/log.h"

#include <endian.h>
#include <stddef.h>
#include <string.h>

enum {
	QUEUE_SIZE = VIRTIO_BLK_QUEUE_SIZE,
	/* A request that fills the queue, minus its header and its status byte. */
	SEG_MAX = QUEUE_SIZE - 2,
	/* A segment that spans slots of guest RAM needs an entry for each. */
	REQUEST_IOV = SEG_MAX + GMEM_MAX_SLOTS,
	/* Limits on the work of one request; Linux splits larger ones. */
	MAX_DISCARD_SECTORS = (1 << 30) / IMAGE_SECTOR,
	MAX_ZERO_SECTORS = (32 << 20) / IMAGE_SECTOR,
};

/* One for each head of each queue; in use while its chain is in flight. */
struct blk_request {
	struct image_request io;
	struct virtq *q;
	uint16_t head;
	uint8_t *status;   /* in guest RAM */
	uint64_t in_len;   /* bytes of the writable part, status included */
	uint64_t returned; /* bytes of data written to it on success */
	struct iovec iov[REQUEST_IOV];
};

struct blk {
	struct virtio_dev dev;
	struct image image;
	struct loop_event event; /* finished I/O */
	struct virtio_blk_config config;
	char serial[VIRTIO_BLK_ID_BYTES];
	uint32_t pushed;	      /* bit per queue: chains pushed, not yet notified */
	struct blk_request *requests; /* QUEUE_SIZE for each queue, untouched before use */
};

static struct blk *to_blk(struct virtio_dev *dev)
{
	return container_of(dev, struct blk, dev);
}

/* --- Completion ----------------------------------------------------------------------------- */

static uint8_t status_of(int result)
{
	switch (result) {
	case 0:
		return VIRTIO_BLK_S_OK;
	case -EOPNOTSUPP:
		return VIRTIO_BLK_S_UNSUPP;
	default:
		return VIRTIO_BLK_S_IOERR;
	}
}

static void finish(struct blk_request *req, int result)
{
	uint64_t written = result ? 0 : req->returned;

	*req->status = status_of(result);
	/* §2.7.8.2: this many bytes, from the first; the status is the last byte. */
	if (written == req->in_len - 1)
		written++;
	virtq_push(req->q, req->head, (uint32_t)written);
	to_blk(req->q->dev)->pushed |= 1U << req->q->index;
}

static void io_done(struct image_request *io, int result)
{
	struct blk_request *req = container_of(io, struct blk_request, io);
	struct virtio_dev *dev = req->q->dev;
	bool stable = io->op == IMAGE_READ || io->op == IMAGE_FLUSH;

	/* §5.2.6.2: a driver that did not accept FLUSH expects each write to be stable. */
	if (!result && !stable && !virtio_has(dev, VIRTIO_BLK_F_FLUSH)) {
		io->op = IMAGE_FLUSH;
		result = image_submit(&to_blk(dev)->image, io);
		if (!result)
			return;
	}
	finish(req, result);
}

static void notify_pushed(struct blk *blk)
{
	for (unsigned i = 0; blk->pushed; i++, blk->pushed >>= 1)
		if (blk->pushed & 1)
			virtq_notify(&blk->dev.queues[i]);
}

static void image_event(struct loop_event *event, uint32_t events)
{
	struct blk *blk = container_of(event, struct blk, event);

	(void)events;
	pthread_mutex_lock(&blk->dev.lock);
	virtio_count(&blk->dev.loop_wakeups);
	image_process(&blk->image);
	notify_pushed(blk);
	pthread_mutex_unlock(&blk->dev.lock);
}

static void blk_quiesce(struct virtio_dev *dev)
{
	struct blk *blk = to_blk(dev);

	if (virtio_resumes(dev))
		image_finish(&blk->image);
	else
		image_drain(&blk->image);
	notify_pushed(blk);
}

/* --- Requests ------------------------------------------------------------------------------- */

/* The `len` bytes from `skip` become the request's data. */
static int take_data(struct blk_request *req, const struct iovec *iov, unsigned count,
		     uint64_t skip, uint64_t len)
{
	unsigned n = 0;

	for (unsigned i = 0; i < count && len; i++) {
		struct iovec piece = iov[i];

		if (skip >= piece.iov_len) {
			skip -= piece.iov_len;
			continue;
		}
		piece.iov_base = (char *)piece.iov_base + skip;
		piece.iov_len -= skip;
		skip = 0;
		if (piece.iov_len > len)
			piece.iov_len = len;
		if (n == REQUEST_IOV)
			return -EINVAL; /* more than SEG_MAX segments */
		req->iov[n++] = piece;
		len -= piece.iov_len;
	}
	req->io.iov = req->iov;
	req->io.iov_count = n;
	return 0;
}

static int plan_io(struct blk_request *req, enum image_op op, uint64_t sector, uint64_t len)
{
	req->io.op = op;
	req->io.len = len;
	if (__builtin_mul_overflow(sector, (uint64_t)IMAGE_SECTOR, &req->io.offset))
		return -EINVAL;
	return 0;
}

static int plan_read(struct blk_request *req, const struct virtq_chain *chain,
		     const struct virtio_blk_outhdr *header)
{
	uint64_t len = chain->in_len - 1;
	int ret = take_data(req, &chain->iov[chain->out_count], chain->in_count, 0, len);

	if (ret || len % IMAGE_SECTOR)
		return -EINVAL;
	req->returned = len;
	return plan_io(req, IMAGE_READ, le64toh(header->sector), len);
}

static int plan_write(struct blk_request *req, const struct virtq_chain *chain,
		      const struct virtio_blk_outhdr *header)
{
	uint64_t len = chain->out_len - sizeof(*header);
	int ret = take_data(req, chain->iov, chain->out_count, sizeof(*header), len);

	if (ret || len % IMAGE_SECTOR)
		return -EINVAL;
	return plan_io(req, IMAGE_WRITE, le64toh(header->sector), len);
}

static int plan_flush(struct blk_request *req, const struct virtq_chain *chain,
		      const struct virtio_blk_outhdr *header)
{
	(void)chain;
	(void)header;
	return plan_io(req, IMAGE_FLUSH, 0, 0);
}

/* Discard and write zeroes: one segment, as in the configuration space. */
static int plan_range(struct blk_request *req, const struct virtq_chain *chain,
		      const struct virtio_blk_outhdr *header)
{
	bool discard = le32toh(header->type) == VIRTIO_BLK_T_DISCARD;
	const uint32_t max = discard ? MAX_DISCARD_SECTORS : MAX_ZERO_SECTORS;
	const uint32_t known = discard ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	enum image_op op = discard ? IMAGE_DISCARD : IMAGE_ZERO;
	struct virtio_blk_discard_write_zeroes range;
	uint32_t sectors, flags;

	if (chain->out_len != sizeof(*header) + sizeof(range))
		return -EINVAL;
	iov_read(chain->iov, chain->out_count, sizeof(*header), &range, sizeof(range));
	sectors = le32toh(range.num_sectors);
	flags = le32toh(range.flags);
	if (flags & ~known) /* §5.2.6.2 */
		return -EOPNOTSUPP;
	if (sectors > max)
		return -EINVAL;
	if (flags)
		op = IMAGE_ZERO_UNMAP;
	return plan_io(req, op, le64toh(range.sector), (uint64_t)sectors * IMAGE_SECTOR);
}

static int get_id(struct blk_request *req, const struct virtq_chain *chain,
		  const struct virtio_blk_outhdr *header)
{
	const struct blk *blk = to_blk(req->q->dev);
	uint64_t room = chain->in_len - 1;

	(void)header;
	if (room > sizeof(blk->serial))
		room = sizeof(blk->serial);
	req->returned = iov_write(&chain->iov[chain->out_count], chain->in_count, 0, blk->serial,
				  room);
	return 1;
}

static const struct command {
	uint32_t type;
	uint64_t feature; /* its bit, which the driver must have acked; 0: none needed */
	/* 0: req->io is planned; 1: done without I/O; else a negative errno. */
	int (*plan)(struct blk_request *req, const struct virtq_chain *chain,
		    const struct virtio_blk_outhdr *header);
} commands[] = {
	{ VIRTIO_BLK_T_IN, 0, plan_read },
	{ VIRTIO_BLK_T_OUT, 0, plan_write },
	{ VIRTIO_BLK_T_FLUSH, 0, plan_flush },
	{ VIRTIO_BLK_T_GET_ID, 0, get_id },
	{ VIRTIO_BLK_T_DISCARD, 1ULL << VIRTIO_BLK_F_DISCARD, plan_range },
	{ VIRTIO_BLK_T_WRITE_ZEROES, 1ULL << VIRTIO_BLK_F_WRITE_ZEROES, plan_range },
};

static int plan(struct blk_request *req, const struct virtq_chain *chain)
{
	struct virtio_blk_outhdr header;

	if (iov_read(chain->iov, chain->out_count, 0, &header, sizeof(header)) < sizeof(header))
		return -EINVAL;
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
		if (le32toh(header.type) != commands[i].type)
			continue;
		if (commands[i].feature & ~req->q->dev->acked)
			break;
		return commands[i].plan(req, chain, &header);
	}
	return -EOPNOTSUPP;
}

/* A driver may split header, data and status over descriptors in any way (§2.7.4). */
static void handle(struct blk *blk, struct virtq *q, const struct virtq_chain *chain)
{
	const struct iovec *last = &chain->iov[chain->out_count + chain->in_count - 1];
	struct blk_request *req = &blk->requests[q->index * QUEUE_SIZE + chain->head];
	int result;

	req->q = q;
	req->head = chain->head;
	req->status = (uint8_t *)last->iov_base + last->iov_len - 1;
	req->in_len = chain->in_len;
	req->returned = 0;
	req->io.done = io_done;
	result = plan(req, chain);
	if (!result) {
		result = image_submit(&blk->image, &req->io);
		if (!result)
			return;
	}
	finish(req, result > 0 ? 0 : result);
}

static void blk_serve(struct virtio_dev *dev, struct virtq *q)
{
	struct blk *blk = to_blk(dev);
	struct virtq_chain chain;
	const char *broken = NULL;
	unsigned budget = q->state.size;
	int popped = 0;

	do {
		virtq_disable_kicks(q);
		while (budget && !broken && (popped = virtq_pop(q, &chain)) > 0) {
			budget--;
			if (chain.in_len)
				handle(blk, q, &chain);
			else
				broken = "a request has no status byte";
		}
		if (popped < 0)
			broken = "the ring is damaged";
	} while (budget && !broken && virtq_enable_kicks(q));

	image_process(&blk->image);
	notify_pushed(blk);
	if (broken)
		virtio_broken(dev, broken);
	else if (!budget)
		eventfd_signal(q->kick_fd); /* let the loop serve others, then continue */
}

/* --- Device --------------------------------------------------------------------------------- */

static void blk_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	memcpy(buf, (const char *)&to_blk(dev)->config + off, len);
}

static int blk_state(struct virtio_dev *dev, struct state *state)
{
	const struct blk *blk = to_blk(dev);

	return blk_identity(dev, state, &blk->image, blk->serial);
}

static int blk_sync(struct virtio_dev *dev)
{
	return image_sync(&to_blk(dev)->image);
}

static int blk_own(struct virtio_dev *dev, bool here)
{
	struct image *image = &to_blk(dev)->image;

	return here ? image_take(image) : image_let_go(image);
}

static void blk_destroy(struct virtio_dev *dev)
{
	struct blk *blk = to_blk(dev);

	loop_remove(dev->loop, &blk->event);
	image_close(&blk->image);
	virtio_dev_destroy(dev);
	free(blk->requests);
	free(blk);
}

static const struct virtio_model blk_model = {
	.name = "virtio-blk",
	.id = VIRTIO_ID_BLOCK,
	.pci_class = VIRTIO_BLK_PCI_CLASS,
	.config_read = blk_config_read,
	.serve = blk_serve,
	.quiesce = blk_quiesce,
	.state = blk_state,
	.sync = blk_sync,
	.own = blk_own,
	.destroy = blk_destroy,
};

static uint64_t blk_features(const struct disk_config *config)
{
	uint64_t features = 1ULL << VIRTIO_BLK_F_SEG_MAX | 1ULL << VIRTIO_BLK_F_BLK_SIZE |
			    1ULL << VIRTIO_BLK_F_TOPOLOGY | 1ULL << VIRTIO_BLK_F_FLUSH |
			    VIRTQ_FEATURES;

	if (config->image.readonly)
		features |= 1ULL << VIRTIO_BLK_F_RO;
	else
		features |= 1ULL << VIRTIO_BLK_F_DISCARD | 1ULL << VIRTIO_BLK_F_WRITE_ZEROES;
	if (config->queues > 1)
		features |= 1ULL << VIRTIO_BLK_F_MQ;
	return features;
}

static void fill_config(struct blk *blk, unsigned queues)
{
	const struct image *image = &blk->image;
	uint32_t per_block = image->physical_block / image->logical_block;

	blk->config = (struct virtio_blk_config){
		.capacity = htole64(image->size / IMAGE_SECTOR),
		.seg_max = htole32(SEG_MAX),
		.blk_size = htole32(image->logical_block),
		.physical_block_exp = (uint8_t)__builtin_ctz(per_block),
		.min_io_size = htole16((uint16_t)per_block),
		.num_queues = htole16((uint16_t)queues),
	};
	if (image->readonly)
		return;
	blk->config.max_discard_sectors = htole32(MAX_DISCARD_SECTORS);
	blk->config.max_discard_seg = htole32(1);
	blk->config.discard_sector_alignment = htole32(image->physical_block / IMAGE_SECTOR);
	blk->config.max_write_zeroes_sectors = htole32(MAX_ZERO_SECTORS);
	blk->config.max_write_zeroes_seg = htole32(1);
	blk->config.write_zeroes_may_unmap = 1;
}

static int check_config(const struct disk_config *config)
{
	if (!config->queues || config->queues > VIRTIO_BLK_MAX_QUEUES) {
		log_error("disk %s: queues: 1 to %d are possible", config->image.path,
			  VIRTIO_BLK_MAX_QUEUES);
		return -EINVAL;
	}
	if (config->serial && strlen(config->serial) > VIRTIO_BLK_ID_BYTES) {
		log_error("disk %s: serial: longer than %d bytes", config->image.path,
			  VIRTIO_BLK_ID_BYTES);
		return -EINVAL;
	}
	return 0;
}

int virtio_blk_new(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		   const struct disk_config *config)
{
	struct image_options image = config->image;
	_cleanup_free_ struct blk_request *requests = NULL;
	_cleanup_free_ struct blk *blk = NULL;
	int ret = check_config(config);

	if (ret)
		return ret;
	image.depth = config->queues * QUEUE_SIZE;
	image.later = env->arrives;
	blk = calloc(1, sizeof(*blk));
	requests = calloc(image.depth, sizeof(*requests));
	if (!blk || !requests) {
		log_error("disk %s: %s", image.path, strerror(ENOMEM));
		return -ENOMEM;
	}
	ret = image_open(&blk->image, &image);
	if (ret)
		return ret;
	ret = virtio_dev_init(&blk->dev, &blk_model, env, instance, blk_features(config),
			      VIRTIO_BLK_CONFIG_LEN, config->queues, QUEUE_SIZE);
	if (ret)
		goto err_image;
	blk->event = (struct loop_event){ .fd = blk->image.event_fd, .fn = image_event };
	ret = loop_add(env->loop, &blk->event, EPOLLIN);
	if (ret)
		goto err_dev;
	fill_config(blk, config->queues);
	if (config->serial)
		memcpy(blk->serial, config->serial, strlen(config->serial));
	blk->requests = steal_ptr(requests);
	*out = &steal_ptr(blk)->dev;
	return 0;

err_dev:
	virtio_dev_destroy(&blk->dev);
err_image:
	image_close(&blk->image);
	log_error("disk %s: virtio-blk: %s", image.path, strerror(-ret));
	return ret;
}
