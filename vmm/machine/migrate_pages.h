/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of guest RAM in a migration: those that are to be sent, and how they are. One thread.
 * Private to vmm/machine.
 */
#ifndef KINGLET_MACHINE_MIGRATE_PAGES_H
#define KINGLET_MACHINE_MIGRATE_PAGES_H

#include "base/le.h"
#include "core/memory.h"

enum {
	MIGRATE_PAGE = 4096,
	PAGES_MAX = 64, /* of a frame */
	PAGES_ZERO = 1 << 0,
};

/* The payload of FRAME_PAGES begins with this. */
struct pages_header {
	struct le64 gpa;   /* of the first one, page aligned */
	struct le32 count; /* 1 to PAGES_MAX, all in one range of RAM */
	struct le32 flags; /* PAGES_ZERO: their data does not follow */
};

enum { PAGES_LEN_MAX = sizeof(struct pages_header) + PAGES_MAX * MIGRATE_PAGE };

struct page_set {
	struct gmem *mem; /* borrowed */
	uint64_t *words;  /* owned: bit n is page n of all RAM, slot by slot */
	uint64_t count;	  /* of those set */
	uint64_t at;	  /* where page_set_take() goes on */
};

/* Has every page of RAM. -ENOMEM. */
__must_check int page_set_init(struct page_set *set, struct gmem *mem);
void page_set_destroy(struct page_set *set);

/* For dirty_log_read(); `set` is a struct page_set. What is not RAM is ignored. */
void page_set_add(void *set, uint64_t gpa);

/*
 * Takes the next pages out of the set, which are all zeros or none is, and puts them as payload
 * into `to`, of PAGES_LEN_MAX bytes. Returns its length; 0: the set is empty. A page that changes
 * meanwhile must be added again.
 */
size_t page_set_take(struct page_set *set, uint8_t *to);

/*
 * Puts the pages of a payload into RAM: how many, or -EBADMSG: it is none, or not of this RAM.
 */
__must_check int pages_apply(struct gmem *mem, const uint8_t *from, size_t len);

#endif
