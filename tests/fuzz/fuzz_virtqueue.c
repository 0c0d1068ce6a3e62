/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One split virtqueue in guest RAM that the script fills arbitrarily between the device's calls.
 */
#include "fuzz.h"

#include "base/checked.h"
#include "base/le.h"
#include "virtio/queue.h"

/* RAM: two slots that touch at SEAM, a hole, and a third one. */
enum { SLOT_LEN = 0x10000, SEAM = SLOT_LEN, HOLE = 2 * SLOT_LEN, HIGH = 4 * SLOT_LEN };

/* Where the ring is most of the time, and a place for indirect tables. */
enum { DESC = 0x1000, AVAIL = 0x6000, USED = 0x8000, INDIRECT = 0xc000, ENTRIES = 16 };

struct scene {
	struct gmem mem;
	struct sys sys; /* these three are not used: the line stays HELD */
	struct kvm kvm;
	struct irqs irqs;
	struct virtq q;
	struct virtq_chain chain; /* the last one popped */
	bool can_unpop;
	uint16_t heads[VIRTQ_MAX_SIZE]; /* in flight */
	unsigned in_flight;
};

static uint64_t pick_gpa(struct fuzz_input *in)
{
	static const uint64_t bases[] = { 0, DESC, INDIRECT, SEAM - 16, SEAM, HOLE - 16, HIGH,
					  HIGH + SLOT_LEN - 16 };
	uint64_t base = bases[fuzz_pick(in, ARRAY_SIZE(bases))];

	return fuzz_pick(in, 16) ? base + fuzz_take(in, 2) % 0x2000 : fuzz_take(in, 8);
}

static void put(struct scene *s, uint64_t gpa, const void *data, uint64_t len)
{
	/* A guest may write outside RAM. */
	if (gmem_write(&s->mem, gpa, data, len))
		return;
}

static void put16(struct scene *s, uint64_t gpa, uint16_t value)
{
	struct le16 wire = le16_of(value);

	put(s, gpa, &wire, sizeof(wire));
}

static uint64_t avail_index_at(const struct scene *s)
{
	return s->q.state.avail + 2;
}

static uint16_t avail_index(struct scene *s)
{
	struct le16 index = { 0 };

	FUZZ_CHECK(!gmem_read(&s->mem, avail_index_at(s), &index, sizeof(index)));
	return le16_get(index);
}

struct desc {
	struct le64 addr;
	struct le32 len;
	struct le16 flags, next;
};
_Static_assert(sizeof(struct desc) == sizeof(struct vring_desc), "virtio 1.2 §2.7.5");

/* A descriptor in the ring's table or in an indirect one. */
static void write_desc(struct scene *s, struct fuzz_input *in)
{
	uint64_t table = fuzz_pick(in, 3) ? s->q.state.desc : INDIRECT;
	uint64_t at = table + fuzz_pick(in, ENTRIES) * sizeof(struct vring_desc);
	bool to_table = !fuzz_pick(in, 4);
	const struct desc d = {
		.addr = le64_of(to_table ? INDIRECT : pick_gpa(in)),
		.len = le32_of(to_table ? 16 * fuzz_pick(in, ENTRIES) :
					  (uint32_t)fuzz_take(in, fuzz_pick(in, 4) ? 2 : 4)),
		.flags = le16_of(to_table ? VRING_DESC_F_INDIRECT : (uint16_t)fuzz_pick(in, 8)),
		.next = le16_of((uint16_t)fuzz_pick(in, ENTRIES)),
	};

	put(s, at, &d, sizeof(d));
}

static void make_available(struct scene *s, struct fuzz_input *in)
{
	uint16_t head = (uint16_t)fuzz_pick(in, ENTRIES), index = avail_index(s);

	put16(s, s->q.state.avail + 4 + 2 * (index % s->q.state.size), head);
	put16(s, avail_index_at(s), index + 1);
}

static bool in_ram(const struct scene *s, const struct iovec *iov)
{
	uint64_t off = (uint64_t)((uint8_t *)iov->iov_base - s->mem.base);

	return iov->iov_len && range_fits(off, iov->iov_len, 3 * SLOT_LEN);
}

/* §2.7.5, a popped chain is inside its table, indirect at most once, and finite. */
static void check_chain(struct scene *s)
{
	uint64_t table = s->q.state.desc, bytes = 0;
	unsigned count = s->q.state.size, steps = 0, at = s->chain.head;
	bool nested = false;
	struct desc d;

	for (;;) {
		FUZZ_CHECK(at < count && steps++ < count);
		FUZZ_CHECK(!gmem_read(&s->mem, table + at * sizeof(d), &d, sizeof(d)));
		if (le16_get(d.flags) & VRING_DESC_F_INDIRECT) {
			FUZZ_CHECK(s->q.indirect && !nested);
			FUZZ_CHECK(!(le16_get(d.flags) & VRING_DESC_F_NEXT));
			FUZZ_CHECK(le32_get(d.len) % sizeof(d) == 0);
			table = le64_get(d.addr);
			count = le32_get(d.len) / sizeof(d);
			FUZZ_CHECK(count <= VIRTQ_MAX_SIZE);
			nested = true;
			at = steps = 0;
			continue;
		}
		bytes += le32_get(d.len);
		if (!(le16_get(d.flags) & VRING_DESC_F_NEXT))
			break;
		at = le16_get(d.next);
	}
	FUZZ_CHECK(bytes == s->chain.out_len + s->chain.in_len);
}

/* The device reads and writes every byte of its buffers, or at least the first and the last. */
static void use_chain(const struct scene *s)
{
	const struct virtq_chain *c = &s->chain;
	uint64_t out = 0, in = 0;

	FUZZ_CHECK(c->out_count <= VIRTQ_MAX_IOV && c->in_count <= VIRTQ_MAX_IOV - c->out_count);
	for (unsigned i = 0; i < c->out_count + c->in_count; i++) {
		FUZZ_CHECK(in_ram(s, &c->iov[i]));
		*(i < c->out_count ? &out : &in) += c->iov[i].iov_len;
	}
	FUZZ_CHECK(out == c->out_len && in == c->in_len && in + out <= 1ULL << 32);
	for (unsigned i = c->out_count; i < c->out_count + c->in_count; i++) {
		uint8_t *bytes = c->iov[i].iov_base;

		bytes[0] = (uint8_t)i;
		bytes[c->iov[i].iov_len - 1] = (uint8_t)i;
	}
}

static int pop(struct scene *s)
{
	const struct virtq_state before = s->q.state;
	uint16_t ahead = avail_index(s) - before.last_avail;
	int ret = virtq_pop(&s->q, &s->chain);

	s->can_unpop = ret == 1;
	FUZZ_CHECK(s->q.state.last_avail == (uint16_t)(before.last_avail + (ret == 1)));
	FUZZ_CHECK(s->q.state.used_index == before.used_index);
	FUZZ_CHECK(ahead ? ret != 0 : !ret);
	FUZZ_CHECK(ahead <= before.size || ret < 0);
	if (ret != 1)
		return ret;
	FUZZ_CHECK(s->chain.head < s->q.state.size);
	for (unsigned i = 0; i < s->in_flight; i++)
		FUZZ_CHECK(s->heads[i] != s->chain.head);
	s->heads[s->in_flight++] = s->chain.head;
	check_chain(s);
	use_chain(s);
	return ret;
}

/* As a model's serve does. */
static void serve(struct scene *s)
{
	virtq_disable_kicks(&s->q);
	for (unsigned n = 0; n < s->q.state.size; n++) {
		int ret = pop(s);

		if (ret < 0 || (!ret && !virtq_enable_kicks(&s->q)))
			break;
	}
}

static void push(struct scene *s, struct fuzz_input *in)
{
	struct virtq_used used[4];
	unsigned n = fuzz_pick(in, ARRAY_SIZE(used) + 1);
	uint16_t before = s->q.state.used_index;

	n = n < s->in_flight ? n : s->in_flight;
	for (unsigned i = 0; i < n; i++) {
		unsigned which = fuzz_pick(in, s->in_flight);

		used[i] = (struct virtq_used){ s->heads[which], (uint32_t)fuzz_take(in, 4) };
		s->heads[which] = s->heads[--s->in_flight];
		s->can_unpop = s->can_unpop && used[i].head != s->chain.head;
	}
	virtq_push_many(&s->q, used, n);
	FUZZ_CHECK(s->q.state.used_index == (uint16_t)(before + n));
}

static void unpop(struct scene *s)
{
	if (!s->can_unpop)
		return;
	virtq_unpop(&s->q, s->chain.head);
	s->can_unpop = false;
	for (unsigned i = 0; i < s->in_flight; i++)
		if (s->heads[i] == s->chain.head)
			s->heads[i] = s->heads[--s->in_flight];
}

static void step(struct scene *s, struct fuzz_input *in)
{
	uint64_t gpa;

	switch (fuzz_pick(in, 16)) {
	case 0:
		put16(s, avail_index_at(s), (uint16_t)fuzz_take(in, 2));
		break;
	case 1:
		gpa = pick_gpa(in);
		put(s, gpa, &(uint64_t){ fuzz_take(in, 8) }, 8);
		break;
	case 2:
		unpop(s);
		break;
	case 3:
		virtq_notify(&s->q);
		break;
	case 4:
		serve(s);
		break;
	case 5:
	case 6:
		push(s, in);
		break;
	case 7:
	case 8:
		pop(s);
		break;
	case 9:
	case 10:
	case 11:
		make_available(s, in);
		break;
	default:
		write_desc(s, in);
		break;
	}
}

/* The state that a transport would set, not validated yet. */
static void configure(struct scene *s, struct fuzz_input *in)
{
	struct virtq_state *state = &s->q.state;

	s->q.max_size = VIRTQ_MAX_SIZE;
	state->size = (uint16_t)(1U << fuzz_pick(in, 12));
	state->desc = DESC;
	state->avail = AVAIL;
	state->used = USED;
	switch (fuzz_pick(in, 16)) {
	case 0:
		state->size = (uint16_t)fuzz_take(in, 2);
		break;
	case 1:
		state->desc = pick_gpa(in);
		break;
	case 2:
		state->avail = pick_gpa(in);
		break;
	case 3:
		state->used = pick_gpa(in);
		break;
	case 4:
		state->last_avail = (uint16_t)fuzz_take(in, 2);
		state->used_index = (uint16_t)fuzz_take(in, 2);
		put16(s, avail_index_at(s), state->last_avail);
		break;
	}
}

static void make_ram(struct gmem *mem)
{
	static const struct gmem_range ranges[] = {
		{ .gpa = 0, .len = SLOT_LEN },
		{ .gpa = SEAM, .len = SLOT_LEN },
		{ .gpa = HIGH, .len = SLOT_LEN },
	};
	static const struct gmem_options options;

	FUZZ_CHECK(!gmem_init(mem, ranges, ARRAY_SIZE(ranges), &options));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	static struct scene s;

	if (!s.mem.count)
		make_ram(&s.mem);
	memset(s.mem.base, 0, s.mem.size);
	s.q = (struct virtq){ .index = 0 };
	s.in_flight = 0;
	s.can_unpop = false;
	s.kvm.sys = &s.sys;
	s.irqs.kvm = &s.kvm;
	FUZZ_CHECK(!irq_line_init(&s.q.irq, &s.irqs, NULL));
	configure(&s, &in);
	if (!virtq_start(&s.q, &s.mem, fuzz_pick(&in, 2), fuzz_pick(&in, 2))) {
		FUZZ_CHECK(is_power_of_two(s.q.state.size) && s.q.state.size <= VIRTQ_MAX_SIZE);
		while (in.left)
			step(&s, &in);
	} else {
		FUZZ_CHECK(!s.q.running);
	}
	virtq_stop(&s.q);
	FUZZ_CHECK(virtq_pop(&s.q, &s.chain) == 0);
	irq_line_destroy(&s.q.irq);
	return 0;
}
