/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio/queue.h"

#include "base/checked.h"

#include <endian.h>
#include <string.h>

/* virtio 1.2 §2.7.5.2: a chain describes at most this many bytes. */
static const uint64_t MAX_CHAIN_BYTES = 1ULL << 32;

/* A descriptor in host order, copied out of guest RAM. */
struct descriptor {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

/* Rings are shared with guest CPUs that write at any time: each field is read by one load. */
static uint16_t load_relaxed(const __virtio16 *field)
{
	return le16toh(__atomic_load_n(field, __ATOMIC_RELAXED));
}

static uint16_t load_acquire(const __virtio16 *field)
{
	return le16toh(__atomic_load_n(field, __ATOMIC_ACQUIRE));
}

static void store_relaxed(__virtio16 *field, uint16_t value)
{
	__atomic_store_n(field, htole16(value), __ATOMIC_RELAXED);
}

static void store_release(__virtio16 *field, uint16_t value)
{
	__atomic_store_n(field, htole16(value), __ATOMIC_RELEASE);
}

static uint16_t ring_mask(const struct virtq *q)
{
	return q->state.size - 1;
}

static const __virtio16 *used_event(const struct virtq *q)
{
	const struct vring_avail *avail = q->avail;

	return &avail->ring[q->state.size];
}

static __virtio16 *avail_event(const struct virtq *q)
{
	struct vring_used *used = q->used;

	return (__virtio16 *)&used->ring[q->state.size];
}

/* The ring part at gpa, or NULL when it is misaligned or not wholly inside one piece of RAM. */
static void *map_part(const struct gmem *mem, uint64_t gpa, uint64_t len, unsigned align)
{
	return gpa % align ? NULL : gmem_ptr(mem, gpa, len);
}

/* Bytes of the used ring. The event fields after the rings exist only with the feature (§2.7.8). */
static uint64_t used_len(const struct virtq *q, bool event_index)
{
	return sizeof(struct vring_used) + q->state.size * sizeof(struct vring_used_elem) +
	       (event_index ? sizeof(__virtio16) : 0);
}

int virtq_map(const struct virtq *q, const struct gmem *mem, bool event_index,
	      struct virtq_rings *rings)
{
	const struct virtq_state *s = &q->state;
	/* As at the used ring: §2.7.6. */
	unsigned event = event_index ? sizeof(__virtio16) : 0;

	if (!is_power_of_two(s->size) || s->size > q->max_size || s->size > VIRTQ_MAX_SIZE)
		return -EINVAL;

	rings->desc = map_part(mem, s->desc, s->size * sizeof(struct vring_desc),
			       VRING_DESC_ALIGN_SIZE);
	rings->avail = map_part(mem, s->avail,
				sizeof(struct vring_avail) + s->size * sizeof(__virtio16) + event,
				VRING_AVAIL_ALIGN_SIZE);
	rings->used = map_part(mem, s->used, used_len(q, event_index), VRING_USED_ALIGN_SIZE);
	return rings->desc && rings->avail && rings->used ? 0 : -EFAULT;
}

int virtq_start(struct virtq *q, const struct gmem *mem, bool event_index, bool indirect)
{
	const struct virtq_state *s = &q->state;
	struct virtq_rings rings;
	int ret = virtq_map(q, mem, event_index, &rings);

	if (ret)
		return ret;
	free(q->in_flight);
	q->in_flight = calloc((s->size + 7U) / 8, 1);
	if (!q->in_flight)
		return -ENOMEM;
	q->desc = rings.desc;
	q->avail = rings.avail;
	q->used = rings.used;
	q->mem = mem;
	q->event_index = event_index;
	q->indirect = indirect;
	q->taken = 0;
	q->signalled_used = s->used_index;
	q->signalled_valid = true;
	q->running = true;
	return 0;
}

void virtq_stop(struct virtq *q)
{
	q->running = false;
	q->desc = NULL;
	q->avail = NULL;
	q->used = NULL;
	free(q->in_flight);
	q->in_flight = NULL;
}

static bool in_flight(const struct virtq *q, uint16_t head)
{
	return q->in_flight[head / 8] >> head % 8 & 1;
}

static void set_in_flight(struct virtq *q, uint16_t head, bool on)
{
	uint8_t bit = (uint8_t)(1U << head % 8);

	if (on)
		q->in_flight[head / 8] |= bit;
	else
		q->in_flight[head / 8] &= (uint8_t)~bit;
}

/* The barrier keeps the compiler from reading the guest's copy again after the check. */
static struct descriptor copy_descriptor(const struct vring_desc *table, unsigned index)
{
	struct vring_desc raw;

	memcpy(&raw, (const char *)table + index * sizeof(raw), sizeof(raw));
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return (struct descriptor){
		.addr = le64toh(raw.addr),
		.len = le32toh(raw.len),
		.flags = le16toh(raw.flags),
		.next = le16toh(raw.next),
	};
}

/* Appends one buffer. *writable: whether a device-writable one came before (§2.7.4.2). */
static int add_buffer(const struct virtq *q, struct virtq_chain *chain, const struct descriptor *d,
		      bool *writable)
{
	unsigned taken = chain->out_count + chain->in_count;
	int n;

	if (*writable && !(d->flags & VRING_DESC_F_WRITE))
		return -EPROTO;
	*writable = d->flags & VRING_DESC_F_WRITE;

	if (chain->out_len + chain->in_len + d->len > MAX_CHAIN_BYTES)
		return -EPROTO;

	n = gmem_iov(q->mem, d->addr, d->len, &chain->iov[taken], VIRTQ_MAX_IOV - taken);
	if (n < 0)
		return n == -ENOBUFS ? -EPROTO : n;
	if (*writable) {
		chain->in_count += (unsigned)n;
		chain->in_len += d->len;
	} else {
		chain->out_count += (unsigned)n;
		chain->out_len += d->len;
	}
	return 0;
}

/*
 * The table of an indirect descriptor (§2.7.5.3), or NULL and *err. Its write flag is ignored, as
 * specified. Existing drivers use tables longer than the ring, so the limit is the largest possible
 * ring.
 */
static const struct vring_desc *indirect_table(const struct virtq *q, const struct descriptor *d,
					       unsigned *count, int *err)
{
	const struct vring_desc *table;

	*err = -EPROTO;
	if (!q->indirect || d->flags & VRING_DESC_F_NEXT)
		return NULL;
	*count = d->len / sizeof(struct vring_desc);
	if (!*count || d->len % sizeof(struct vring_desc) || *count > VIRTQ_MAX_SIZE)
		return NULL;
	table = gmem_ptr(q->mem, d->addr, d->len);
	if (!table)
		*err = -EFAULT;
	return table;
}

/* Follows the chain of this head through the ring's table, and into an indirect table. */
static int walk(const struct virtq *q, uint16_t head, struct virtq_chain *chain)
{
	const struct vring_desc *table = q->desc;
	unsigned count = q->state.size, steps = 0, next = head;
	bool writable = false, nested = false;
	int ret;

	chain->head = head;
	chain->out_count = chain->in_count = 0;
	chain->out_len = chain->in_len = 0;
	/* More steps than the table has entries: a loop. */
	while (steps++ < count && next < count) {
		struct descriptor d = copy_descriptor(table, next);

		if (d.flags & VRING_DESC_F_INDIRECT) {
			if (nested)
				return -EPROTO;
			table = indirect_table(q, &d, &count, &ret);
			if (!table)
				return ret;
			nested = true;
			next = steps = 0;
			continue;
		}
		ret = add_buffer(q, chain, &d, &writable);
		if (ret)
			return ret;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		next = d.next;
	}
	return -EPROTO;
}

int virtq_pop(struct virtq *q, struct virtq_chain *chain)
{
	const struct vring_avail *avail = q->avail;
	uint16_t ahead, head;
	int ret;

	if (!q->running)
		return 0;
	/* Acquire: entries and descriptors are read after the index that published them. */
	ahead = load_acquire(&avail->idx) - q->state.last_avail;
	if (!ahead)
		return 0;
	if (ahead > q->state.size)
		return -EPROTO;
	head = load_relaxed(&avail->ring[q->state.last_avail & ring_mask(q)]);
	if (head >= q->state.size || in_flight(q, head))
		return -EPROTO;

	ret = walk(q, head, chain);
	if (ret)
		return ret;
	set_in_flight(q, head, true);
	q->taken++;
	q->state.last_avail++;
	return 1;
}

uint16_t virtq_available(const struct virtq *q)
{
	const struct vring_avail *avail = q->avail;
	uint16_t count;

	if (!q->running)
		return 0;
	count = load_acquire(&avail->idx) - q->state.last_avail;
	return count < q->state.size ? count : q->state.size;
}

bool virtq_is_empty(const struct virtq *q)
{
	return !virtq_available(q);
}

void virtq_unpop(struct virtq *q, uint16_t head)
{
	if (!q->running)
		return;
	set_in_flight(q, head, false);
	q->taken--;
	q->state.last_avail--;
}

/* What the driver reads of the device: §2.7.8. */
static void log_ring(const struct virtq *q)
{
	gmem_written(q->mem, q->used, used_len(q, q->event_index));
}

/*
 * The writable buffers of a chain that is about to be returned, found anew: only then are they
 * needed, and the driver may not change them earlier. All of them, since not only their first
 * `written` bytes may have been written: a block request's status is the last byte.
 */
static void log_chain(const struct virtq *q, uint16_t head)
{
	struct virtq_chain chain;

	/* Of a chain that the driver has broken meanwhile, what comes before the fault. */
	(void)!walk(q, head, &chain);
	for (unsigned i = 0; i < chain.in_count; i++) {
		const struct iovec *iov = &chain.iov[chain.out_count + i];

		gmem_written(q->mem, iov->iov_base, iov->iov_len);
	}
}

void virtq_push_many(struct virtq *q, const struct virtq_used *used, unsigned n)
{
	struct vring_used *ring = q->used;
	uint16_t old = q->state.used_index, new = (uint16_t)(old + n);

	if (!q->running || !n)
		return;
	for (unsigned i = 0; i < n; i++) {
		ring->ring[(old + i) & ring_mask(q)] = (struct vring_used_elem){
			.id = htole32(used[i].head),
			.len = htole32(used[i].written),
		};
		set_in_flight(q, used[i].head, false);
		if (gmem_is_logged(q->mem))
			log_chain(q, used[i].head);
	}
	q->taken -= (uint16_t)n;
	q->state.used_index = new;
	/* Release: entries and data are visible before the index that publishes them. */
	store_release(&ring->idx, new);
	log_ring(q);

	/* The index lapped the one last signalled, so a comparison would be wrong. */
	if ((uint16_t)(new - q->signalled_used) < (uint16_t)(new - old))
		q->signalled_valid = false;
}

void virtq_push(struct virtq *q, uint16_t head, uint32_t written)
{
	struct virtq_used used = { .head = head, .written = written };

	virtq_push_many(q, &used, 1);
}

/* §2.7.7.2: what the driver requests, compared modulo 2^16. */
static bool interrupt_wanted(const struct virtq *q)
{
	const struct vring_avail *avail = q->avail;

	if (!q->event_index)
		return !(load_relaxed(&avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	return !q->signalled_valid || vring_need_event(load_relaxed(used_event(q)),
						       q->state.used_index, q->signalled_used);
}

void virtq_notify(struct virtq *q)
{
	if (!q->running || (q->signalled_valid && q->signalled_used == q->state.used_index))
		return;
	/* The used index goes out before the driver's event suppression is read, or both sides could miss. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (interrupt_wanted(q))
		irq_line_raise(&q->irq);
	q->signalled_used = q->state.used_index;
	q->signalled_valid = true;
}

void virtq_disable_kicks(struct virtq *q)
{
	struct vring_used *used = q->used;

	/* With the event index the driver suppresses kicks until avail_event anyway (§2.7.10). */
	if (!q->running || q->event_index)
		return;
	store_relaxed(&used->flags, VRING_USED_F_NO_NOTIFY);
	log_ring(q);
}

bool virtq_enable_kicks_after(struct virtq *q, uint16_t chains)
{
	const struct vring_avail *avail = q->avail;
	struct vring_used *used = q->used;
	uint16_t available;

	if (!q->running)
		return false;
	if (q->event_index)
		store_relaxed(avail_event(q), (uint16_t)(q->state.last_avail + chains - 1));
	else
		store_relaxed(&used->flags, 0);
	log_ring(q);
	/* The event index goes out before the index is read again, or a kick could be missed. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	available = load_relaxed(&avail->idx) - q->state.last_avail;
	return available >= (q->event_index ? chains : 1);
}

bool virtq_enable_kicks(struct virtq *q)
{
	return virtq_enable_kicks_after(q, 1);
}
