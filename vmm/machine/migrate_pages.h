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

struct page_run {
	struct pages_header header;
	const uint8_t *pages; /* in RAM */
	size_t len;	      /* bytes that follow the header; 0: zeros */
};

/* dirty_log_clear(), for some MiB before the first of their pages is read. */
typedef int page_clear_fn(void *owner, const struct gmem_slot *slot, uint64_t first,
			  uint32_t count, uint64_t *words);

struct page_set {
	struct gmem *mem; /* borrowed */
	uint64_t *words;  /* owned: bit n is page n of all RAM, slot by slot */
	uint64_t count;	  /* of those set */
	uint64_t at;	  /* where page_set_take() goes on */
	uint64_t cleared; /* up to here `clear` has been called for what is to be taken */

	page_clear_fn *clear; /* NULL: none */
	void *owner;
};

/* Has every page of RAM. -ENOMEM. */
__must_check int page_set_init(struct page_set *set, struct gmem *mem, page_clear_fn *clear,
			       void *owner);
void page_set_destroy(struct page_set *set);

/* For dirty_log_read(); `set` is a struct page_set. What is not RAM is ignored. */
void page_set_add(void *set, uint64_t gpa);

/*
 * Takes the next pages out of the set, which are all zeros or none is: 1. 0: the set is empty. A
 * page that changes before it is sent must be added again. Negative errno of `clear`.
 */
__must_check int page_set_take(struct page_set *set, struct page_run *run);

/*
 * For a header, and `len` bytes that follow it: puts zeros into RAM, and *to is where the bytes go.
 * How many pages, or -EBADMSG: it is no such payload, or not of this RAM.
 */
__must_check int pages_place(struct gmem *mem, const struct pages_header *header, size_t len,
			     uint8_t **to);

#endif
