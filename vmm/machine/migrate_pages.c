/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate_pages.h"

#include "base/zero.h"

#include <string.h>

/* Pages of a call of `clear`: 16 MiB. */
enum { WORD_BITS = 64, CHUNK = 4096 };

_Static_assert(sizeof(struct pages_header) == 16, "wire format");

static uint64_t page_count(const struct gmem *mem)
{
	return mem->size / MIGRATE_PAGE;
}

int page_set_init(struct page_set *set, struct gmem *mem, page_clear_fn *clear, void *owner)
{
	uint64_t pages = page_count(mem), words = (pages + WORD_BITS - 1) / WORD_BITS;

	*set = (struct page_set){ .mem = mem, .count = pages, .clear = clear, .owner = owner };
	set->words = malloc(words * sizeof(*set->words));
	if (!set->words)
		return -ENOMEM;
	memset(set->words, 0xff, words * sizeof(*set->words));
	if (pages % WORD_BITS)
		set->words[words - 1] = (1ULL << pages % WORD_BITS) - 1;
	return 0;
}

void page_set_destroy(struct page_set *set)
{
	free(set->words);
	set->words = NULL;
}

void page_set_add(void *owner, uint64_t gpa)
{
	struct page_set *set = owner;

	set->cleared = 0;
	for (unsigned i = 0; i < set->mem->count; i++) {
		const struct gmem_slot *slot = &set->mem->slots[i];
		uint64_t page, bit;

		if (gpa - slot->gpa >= slot->len)
			continue;
		page = (slot->offset + gpa - slot->gpa) / MIGRATE_PAGE;
		bit = 1ULL << page % WORD_BITS;
		if (!(set->words[page / WORD_BITS] & bit))
			set->count++;
		set->words[page / WORD_BITS] |= bit;
	}
}

static bool has(const struct page_set *set, uint64_t page)
{
	return set->words[page / WORD_BITS] >> page % WORD_BITS & 1;
}

static void drop(struct page_set *set, uint64_t page)
{
	set->words[page / WORD_BITS] &= ~(1ULL << page % WORD_BITS);
	set->count--;
}

/* The next page of a set that is not empty. */
static uint64_t find_next(struct page_set *set)
{
	for (;;) {
		bool rest_is_empty;

		if (set->at >= page_count(set->mem))
			set->at = set->cleared = 0;
		if (has(set, set->at))
			return set->at;
		rest_is_empty = !(set->words[set->at / WORD_BITS] >> set->at % WORD_BITS);
		set->at += rest_is_empty ? WORD_BITS - set->at % WORD_BITS : 1;
	}
}

static const struct gmem_slot *slot_of(const struct gmem *mem, uint64_t offset)
{
	const struct gmem_slot *slot = mem->slots;

	while (offset - slot->offset >= slot->len)
		slot++;
	return slot;
}

/* The part of the slot that `page` is in, unless that has been done. */
static int clear_chunk(struct page_set *set, const struct gmem_slot *slot, uint64_t page)
{
	uint64_t begin = slot->offset / MIGRATE_PAGE, end = begin + slot->len / MIGRATE_PAGE;
	uint64_t first = (page - begin) / CHUNK * CHUNK, words[CHUNK / WORD_BITS] = { 0 };

	if (page < set->cleared)
		return 0;
	set->cleared = begin + first + CHUNK < end ? begin + first + CHUNK : end;
	if (!set->clear)
		return 0;
	for (uint64_t at = begin + first, n = 0; at + n < set->cleared; n++)
		if (has(set, at + n))
			words[n / WORD_BITS] |= 1ULL << n % WORD_BITS;
	return set->clear(set->owner, slot, first, (uint32_t)(set->cleared - begin - first), words);
}

/*
 * A page is out of the set before it is read: who writes to it later is in the next round. What
 * was found to be zero may have changed at once, and so is in that round, too.
 */
int page_set_take(struct page_set *set, struct page_run *run)
{
	const struct gmem_slot *slot;
	uint64_t first, at, end;
	bool zero = false;
	int ret;

	if (!set->count)
		return 0;
	first = find_next(set);
	slot = slot_of(set->mem, first * MIGRATE_PAGE);
	ret = clear_chunk(set, slot, first);
	if (ret < 0)
		return ret;
	end = first + PAGES_MAX < set->cleared ? first + PAGES_MAX : set->cleared;
	for (at = first; at < end && has(set, at); at++) {
		bool is = is_zero(set->mem->base + at * MIGRATE_PAGE, MIGRATE_PAGE);

		if (at > first && is != zero)
			break;
		zero = is;
		drop(set, at);
	}
	run->header.gpa = le64_of(slot->gpa + first * MIGRATE_PAGE - slot->offset);
	run->header.count = le32_of((uint32_t)(at - first));
	run->header.flags = le32_of(zero ? PAGES_ZERO : 0);
	run->pages = set->mem->base + first * MIGRATE_PAGE;
	run->len = zero ? 0 : (at - first) * MIGRATE_PAGE;
	set->at = at;
	return 1;
}

/* Pages of zeros are not touched if they are so: they would take memory. */
static void put_zeros(uint8_t *to, unsigned count)
{
	for (; count--; to += MIGRATE_PAGE)
		if (!is_zero(to, MIGRATE_PAGE))
			memset(to, 0, MIGRATE_PAGE);
}

int pages_place(struct gmem *mem, const struct pages_header *header, size_t len, uint8_t **to)
{
	uint32_t count = le32_get(header->count), flags = le32_get(header->flags);
	uint64_t gpa = le64_get(header->gpa);

	if (!count || count > PAGES_MAX || gpa % MIGRATE_PAGE || (flags & ~(uint32_t)PAGES_ZERO))
		return -EBADMSG;
	if (len != (flags & PAGES_ZERO ? 0 : count * (size_t)MIGRATE_PAGE))
		return -EBADMSG;
	*to = gmem_ptr(mem, gpa, count * (uint64_t)MIGRATE_PAGE);
	if (!*to)
		return -EBADMSG;
	if (flags & PAGES_ZERO)
		put_zeros(*to, count);
	return (int)count;
}
