/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/balloon.h"

#include "base/iov.h"
#include "base/log.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>

/*
 * §5.5.2. Linux and QEMU, though, number only the queues that exist. As free_page_vq is not offered,
 * reports come on queue 3 from Linux, and on queue 4 from drivers that follow the specification.
 */
enum { INFLATEQ, DEFLATEQ, STATSQ, REPORTINGQ_OF_LINUX, REPORTINGQ, QUEUES };

enum {
	QUEUE_SIZE = 128,
	/*
	 * Bounds on what one request keeps the loop busy with; the pages beyond them stay. Linux
	 * gives 256 pages to the balloon and reports 128 MiB at once, Windows gives 1024.
	 */
	MAX_PFNS = 1024,
	MAX_REPORT = 1 << 30,
	MAX_STATS = 64,
	/* What is not offered is not in the configuration space, either. */
	CONFIG_LEN = offsetof(struct virtio_balloon_config, free_page_hint_cmd_id),
};

struct balloon {
	struct virtio_dev dev;
	struct virtio_balloon_config config;
	struct virtio_balloon_stats stats;
	bool refused; /* the host does not take memory back: said */
	uint64_t stats_interval;
	struct loop_timer ask; /* armed while the driver's buffer is held */
	bool holds;	       /* the driver's buffer, to ask by giving it back */
	uint16_t held;	       /* its head */
};

static struct balloon *to_balloon(struct virtio_dev *dev)
{
	return container_of(dev, struct balloon, dev);
}

/* Bytes that the guest is to do without. */
static uint64_t target_of(const struct balloon *b)
{
	return (uint64_t)le32toh(b->config.num_pages) << VIRTIO_BALLOON_PFN_SHIFT;
}

/* --- Memory --------------------------------------------------------------------------------- */

static void give_back(struct balloon *b, const struct iovec *piece, uint64_t *sum)
{
	ssize_t len = gmem_discard(b->dev.mem, piece->iov_base, piece->iov_len);

	if (len >= 0) {
		*sum += (uint64_t)len;
	} else if (!b->refused) {
		b->refused = true;
		log_error("%s: the host does not take memory back: %s", b->dev.name,
			  strerror((int)-len));
	}
}

static int compare_pfns(const void *a, const void *b)
{
	uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;

	return one < other ? -1 : one > other;
}

static void inflate_run(struct balloon *b, uint64_t pfn, uint64_t pages)
{
	struct iovec pieces[GMEM_MAX_SLOTS];
	/* Negative when not all of it is RAM: nothing that could be given back. */
	int n = gmem_iov(b->dev.mem, pfn << VIRTIO_BALLOON_PFN_SHIFT,
			 pages << VIRTIO_BALLOON_PFN_SHIFT, pieces, GMEM_MAX_SLOTS);

	for (int i = 0; i < n; i++)
		give_back(b, &pieces[i], &b->stats.inflated);
}

/* In runs, for the host's pages may be larger than the 4 KiB of a PFN. */
static void inflate(struct balloon *b, const struct virtq_chain *chain)
{
	uint32_t pfns[MAX_PFNS];
	size_t len = iov_read(chain->iov, chain->out_count, 0, pfns, sizeof(pfns));
	size_t count = len / sizeof(*pfns), end;

	for (size_t i = 0; i < count; i++)
		pfns[i] = le32toh(pfns[i]);
	qsort(pfns, count, sizeof(*pfns), compare_pfns);
	for (size_t start = 0; start < count; start = end) {
		for (end = start + 1; end < count && pfns[end] - pfns[end - 1] <= 1;)
			end++;
		inflate_run(b, pfns[start], pfns[end - 1] - pfns[start] + 1);
	}
}

/* The buffers are the free pages themselves. */
static void report(struct balloon *b, const struct virtq_chain *chain)
{
	uint64_t left = MAX_REPORT;

	for (unsigned i = 0; i < chain->in_count && left; i++) {
		struct iovec piece = chain->iov[chain->out_count + i];

		if (piece.iov_len > left)
			piece.iov_len = left;
		left -= piece.iov_len;
		give_back(b, &piece, &b->stats.reported);
	}
}

/* --- Statistics ----------------------------------------------------------------------------- */

static void read_stats(struct balloon *b, const struct virtq_chain *chain)
{
	struct virtio_balloon_stat stats[MAX_STATS];
	size_t len = iov_read(chain->iov, chain->out_count, 0, stats, sizeof(stats));

	memset(b->stats.guest, 0, sizeof(b->stats.guest));
	for (size_t i = 0; i < len / sizeof(*stats); i++)
		if (le16toh(stats[i].tag) < VIRTIO_BALLOON_S_NR)
			b->stats.guest[le16toh(stats[i].tag)] = le64toh(stats[i].val);
}

/* §5.5.6.3: a used buffer is the question, the next one the answer. */
static void ask(struct balloon *b)
{
	if (b->holds)
		virtq_push(&b->dev.queues[STATSQ], b->held, 0);
	b->holds = false;
}

static void ask_again(struct loop_timer *timer)
{
	struct balloon *b = container_of(timer, struct balloon, ask);

	pthread_mutex_lock(&b->dev.lock);
	virtio_count(&b->dev.loop_wakeups);
	ask(b);
	virtq_notify(&b->dev.queues[STATSQ]);
	pthread_mutex_unlock(&b->dev.lock);
}

/* A driver that has given a second one, which it must not, gets the first back. */
static void hold(struct balloon *b, uint16_t head)
{
	ask(b);
	b->holds = true;
	b->held = head;
	loop_timer_set(&b->ask, b->stats_interval);
}

/* --- Device --------------------------------------------------------------------------------- */

static void take(struct balloon *b, struct virtq *q, const struct virtq_chain *chain)
{
	if (q->index == STATSQ && virtio_has(&b->dev, VIRTIO_BALLOON_F_STATS_VQ)) {
		read_stats(b, chain);
		hold(b, chain->head);
		return;
	}
	if (q->index == INFLATEQ)
		inflate(b, chain);
	else if (q->index != DEFLATEQ && virtio_has(&b->dev, VIRTIO_BALLOON_F_REPORTING))
		report(b, chain);
	virtq_push(q, chain->head, 0);
}

/* One request a turn: each may take milliseconds, and drivers wait for its end before the next. */
static void balloon_serve(struct virtio_dev *dev, struct virtq *q)
{
	struct virtq_chain chain;
	int ret;

	virtq_disable_kicks(q);
	ret = virtq_pop(q, &chain);
	if (ret > 0)
		take(to_balloon(dev), q, &chain);
	virtio_end_turn(q, ret < 0 ? ret : 0, "a ring is damaged");
}

static void balloon_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	memcpy(buf, (const char *)&to_balloon(dev)->config + off, len);
}

static void balloon_config_write(struct virtio_dev *dev, unsigned off, const void *buf,
				 unsigned len)
{
	struct balloon *b = to_balloon(dev);

	if (off < offsetof(struct virtio_balloon_config, actual))
		return;
	memcpy((char *)&b->config + off, buf, len);
	b->stats.actual = (uint64_t)le32toh(b->config.actual) << VIRTIO_BALLOON_PFN_SHIFT;
}

static void balloon_quiesce(struct virtio_dev *dev)
{
	struct balloon *b = to_balloon(dev);

	/* It is the last one taken: it is read again when the queue runs again. */
	if (b->holds)
		virtq_unpop(&dev->queues[STATSQ], b->held);
	b->holds = false;
	loop_timer_set(&b->ask, 0);
}

static void balloon_reset(struct virtio_dev *dev)
{
	to_balloon(dev)->config.actual = 0;
}

static const struct state_field balloon_fields[] = {
	STATE_NUMBER(struct balloon, config.num_pages),
	STATE_NUMBER(struct balloon, config.actual),
	STATE_END,
};

/* What the driver said last stays after its reset, for the report. */
static const struct state_field answer_fields[] = {
	STATE_NUMBER(struct balloon, stats.actual),
	STATE_NUMBERS(struct balloon, stats.guest),
	STATE_END,
};

static const char *check_balloon(const void *object)
{
	const struct balloon *b = object;

	return target_of(b) < b->dev.mem->size ? NULL : "num_pages is all of the guest's memory";
}

static const struct state_table balloon_table = {
	.name = "balloon",
	.version = 1,
	.size = sizeof(struct balloon),
	.fields = balloon_fields,
	.check = check_balloon,
};

static const struct state_table answer_table = {
	.name = "balloon-stats",
	.version = 1,
	.size = sizeof(struct balloon),
	.fields = answer_fields,
};

const struct state_table *const virtio_balloon_state_tables[] = {
	&balloon_table, &answer_table, NULL
};

/* Not what was given back: this process has counted that. */
static int balloon_state(struct virtio_dev *dev, struct state *state)
{
	struct balloon *b = to_balloon(dev);
	int ret = state_section(state, &balloon_table, dev->name, b);

	b->stats.target = target_of(b);
	return ret ? ret : state_section(state, &answer_table, dev->name, b);
}

static void balloon_destroy(struct virtio_dev *dev)
{
	struct balloon *b = to_balloon(dev);

	loop_timer_remove(dev->loop, &b->ask);
	virtio_dev_destroy(dev);
	free(b);
}

void virtio_balloon_get_stats(struct virtio_dev *dev, struct virtio_balloon_stats *stats)
{
	struct balloon *b = to_balloon(dev);

	pthread_mutex_lock(&dev->lock);
	*stats = b->stats;
	pthread_mutex_unlock(&dev->lock);
}

static int balloon_resize(struct virtio_dev *dev, uint64_t bytes)
{
	struct balloon *b = to_balloon(dev);

	if (bytes >= dev->mem->size || bytes % (1 << VIRTIO_BALLOON_PFN_SHIFT))
		return -EINVAL;
	pthread_mutex_lock(&dev->lock);
	b->config.num_pages = htole32((uint32_t)(bytes >> VIRTIO_BALLOON_PFN_SHIFT));
	b->stats.target = bytes;
	virtio_config_changed(dev);
	pthread_mutex_unlock(&dev->lock);
	return 0;
}

/* In MiB. */
static void balloon_print_stats(struct virtio_dev *dev)
{
	struct virtio_balloon_stats stats;
	const uint64_t *guest = stats.guest;

	virtio_balloon_get_stats(dev, &stats);
	log_error("%s: %" PRIu64 " of %" PRIu64 " MiB in the balloon; given back: %" PRIu64
		  " MiB from it, %" PRIu64 " MiB reported free",
		  dev->name, stats.actual >> 20, stats.target >> 20, stats.inflated >> 20,
		  stats.reported >> 20);
	if (guest[VIRTIO_BALLOON_S_MEMTOT])
		log_error("%s: the guest has %" PRIu64 " MiB: %" PRIu64 " free, %" PRIu64
			  " available, %" PRIu64 " caches; %" PRIu64 " swapped in, %" PRIu64
			  " out; %" PRIu64 " major faults",
			  dev->name, guest[VIRTIO_BALLOON_S_MEMTOT] >> 20,
			  guest[VIRTIO_BALLOON_S_MEMFREE] >> 20,
			  guest[VIRTIO_BALLOON_S_AVAIL] >> 20,
			  guest[VIRTIO_BALLOON_S_CACHES] >> 20,
			  guest[VIRTIO_BALLOON_S_SWAP_IN] >> 20,
			  guest[VIRTIO_BALLOON_S_SWAP_OUT] >> 20, guest[VIRTIO_BALLOON_S_MAJFLT]);
}

/* The guest's are those that it has answered. */
static unsigned balloon_stats(struct virtio_dev *dev, struct virtio_stat *numbers)
{
	static const char *const guests[VIRTIO_BALLOON_S_NR] = {
		[VIRTIO_BALLOON_S_SWAP_IN] = "guest_swap_in",
		[VIRTIO_BALLOON_S_SWAP_OUT] = "guest_swap_out",
		[VIRTIO_BALLOON_S_MAJFLT] = "guest_major_faults",
		[VIRTIO_BALLOON_S_MEMFREE] = "guest_free",
		[VIRTIO_BALLOON_S_MEMTOT] = "guest_memory",
		[VIRTIO_BALLOON_S_AVAIL] = "guest_available",
		[VIRTIO_BALLOON_S_CACHES] = "guest_caches",
	};
	struct virtio_balloon_stats stats;
	unsigned count = 4;

	virtio_balloon_get_stats(dev, &stats);
	numbers[0] = (struct virtio_stat){ "target", stats.target };
	numbers[1] = (struct virtio_stat){ "actual", stats.actual };
	numbers[2] = (struct virtio_stat){ "given_back", stats.inflated };
	numbers[3] = (struct virtio_stat){ "reported_free", stats.reported };
	for (unsigned i = 0; i < ARRAY_SIZE(guests); i++)
		if (guests[i] && stats.guest[VIRTIO_BALLOON_S_MEMTOT])
			numbers[count++] = (struct virtio_stat){ guests[i], stats.guest[i] };
	return count;
}

static const struct virtio_model balloon_model = {
	.name = "virtio-balloon",
	.id = VIRTIO_ID_BALLOON,
	.pci_class = 0xff0000, /* no PCI class exists for it */
	.config_read = balloon_config_read,
	.config_write = balloon_config_write,
	.serve = balloon_serve,
	.reset = balloon_reset,
	.quiesce = balloon_quiesce,
	.state = balloon_state,
	.destroy = balloon_destroy,
	.resize = balloon_resize,
	.print_stats = balloon_print_stats,
	.get_stats = balloon_stats,
};

static uint64_t balloon_features(const struct balloon_config *config)
{
	return VIRTQ_FEATURES | 1ULL << VIRTIO_BALLOON_F_STATS_VQ |
	       (uint64_t)config->deflate_on_oom << VIRTIO_BALLOON_F_DEFLATE_ON_OOM |
	       (uint64_t)config->free_page_reporting << VIRTIO_BALLOON_F_REPORTING;
}

int virtio_balloon_check(const void *item, const struct device_ram *ram)
{
	const struct balloon_config *config = item;

	if (ram->hugepages)
		log_error("--balloon: huge pages are not given back; leave out --hugepages");
	else if (config->size >= ram->size)
		log_error("--balloon: the guest has no more than %" PRIu64 " MiB; give less",
			  ram->size >> 20);
	else
		return 0;
	return -EINVAL;
}

int virtio_balloon_new(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		       const struct balloon_config *config)
{
	unsigned queues = config->free_page_reporting ? QUEUES : STATSQ + 1;
	_cleanup_free_ struct balloon *b = NULL;
	const struct device_ram ram = { env->mem->size, env->mem->hugepages };
	int ret = virtio_balloon_check(config, &ram);

	if (ret)
		return ret;
	ret = -ENOMEM;
	b = calloc(1, sizeof(*b));
	if (!b)
		goto err;
	ret = virtio_dev_init(&b->dev, &balloon_model, env, instance, balloon_features(config),
			      CONFIG_LEN, queues, QUEUE_SIZE);
	if (ret)
		goto err;
	b->config.num_pages = htole32((uint32_t)(config->size >> VIRTIO_BALLOON_PFN_SHIFT));
	b->stats.target = config->size;
	b->stats_interval = config->stats_interval;
	b->ask.fn = ask_again;
	ret = loop_timer_add(env->loop, &b->ask);
	if (ret)
		goto err_dev;
	*out = &steal_ptr(b)->dev;
	return 0;

err_dev:
	virtio_dev_destroy(&b->dev);
err:
	log_error("virtio-balloon %u: %s", instance, strerror(-ret));
	return ret;
}
