/* SPDX-License-Identifier: Apache-2.0 */
#include "pages.h"

#include <stdio.h>
#include <string.h>

void log_turn(struct host *host, bool on)
{
	for (struct gmem_listener *l = host->mem.listeners; l; l = l->next)
		require(!l->log(l, on), "no write log");
}

void log_anyway(struct vhost *vhost, struct vhost_kind *copy)
{
	*copy = *vhost->kind;
	copy->logs_data = true;
	vhost->kind = copy;
}

static void take(struct pages *pages, unsigned slot)
{
	struct gmem *mem = &pages->host->mem;

	for (struct gmem_listener *l = mem->listeners; l; l = l->next)
		l->take(l, &mem->slots[slot], pages->logged[slot]);
}

void pages_begin(struct pages *pages, struct host *host)
{
	const struct gmem *mem = &host->mem;

	*pages = (struct pages){ .host = host };
	for (unsigned i = 0; i < mem->count; i++) {
		const struct gmem_slot *slot = &mem->slots[i];

		pages->before[i] = malloc(slot->len);
		pages->logged[i] = calloc(slot->len / PAGE / 64, sizeof(uint64_t));
		require(pages->before[i] && pages->logged[i], "no memory");
		memcpy(pages->before[i], slot->hva, slot->len);
		take(pages, i);
	}
}

void pages_end(struct pages *pages)
{
	const struct gmem *mem = &pages->host->mem;

	for (unsigned i = 0; i < mem->count; i++) {
		memset(pages->logged[i], 0, mem->slots[i].len / PAGE / 8);
		take(pages, i);
	}
}

void pages_free(struct pages *pages)
{
	for (unsigned i = 0; i < GMEM_MAX_SLOTS; i++) {
		free(pages->before[i]);
		free(pages->logged[i]);
	}
}

static void count(const struct pages *pages, unsigned slot, uint64_t page, struct tally *tally)
{
	uint64_t at = page * PAGE;
	bool logged = pages->logged[slot][page / 64] >> page % 64 & 1;
	bool written = memcmp(pages->before[slot] + at, pages->host->mem.slots[slot].hva + at, PAGE);

	tally->written += written;
	tally->logged += logged;
	tally->both += written && logged;
}

struct tally pages_of(const struct pages *pages, uint64_t gpa, uint64_t len)
{
	const struct gmem *mem = &pages->host->mem;
	struct tally tally = { 0 };
	unsigned i = 0;

	while (gpa - mem->slots[i].gpa >= mem->slots[i].len)
		require(++i < mem->count, "an address that is not memory");
	gpa -= mem->slots[i].gpa;
	for (uint64_t page = gpa / PAGE; page <= (gpa + len - 1) / PAGE; page++)
		count(pages, i, page, &tally);
	return tally;
}

struct tally pages_all(const struct pages *pages)
{
	struct tally all = { 0 };

	for (unsigned i = 0; i < pages->host->mem.count; i++) {
		const struct gmem_slot *slot = &pages->host->mem.slots[i];
		struct tally tally = pages_of(pages, slot->gpa, slot->len);

		all.written += tally.written;
		all.logged += tally.logged;
		all.both += tally.both;
	}
	return all;
}

void tally_say(const char *what, struct tally tally)
{
	printf("%s: %u written, %u in the log, %u in both\n", what, tally.written,
	       tally.logged, tally.both);
}
