/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pages of guest RAM have been written: by vCPUs, from KVM's dirty log (KVM api.rst 4.8,
 * 4.35); by this process, from gmem_written(); by others for it (vhost), from struct gmem_listener.
 *
 * One log at a time for a struct gmem.
 */
#ifndef KINGLET_CORE_DIRTY_H
#define KINGLET_CORE_DIRTY_H

#include "core/kvm.h"
#include "core/memory.h"

/* Bit n of the words is page n of the slot, counted from its first byte. */
enum { DIRTY_PAGE = 4096 };

struct dirty_log {
	struct gmem_kvm *memslots; /* borrowed */
	struct gmem *mem;	   /* borrowed */
	uint64_t *words;	   /* owned; for the largest slot */
	bool by_hand;		   /* KVM's bits stay until dirty_log_clear() */
};

/*
 * Starts the log for all of RAM: every page counts as clean. The first write to each page becomes
 * slower. vCPUs and devices may run. Machine's thread, as the next. On a negative errno nothing is
 * logged.
 */
__must_check int dirty_log_start(struct dirty_log *log, struct gmem_kvm *memslots,
				 struct gmem *mem);
/*
 * As dirty_log_start(), but what a vCPU has written stays dirty, and a further write to it costs
 * nothing, until dirty_log_clear(); where KVM has no KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 (KVM api.rst
 * 7.18), until dirty_log_read().
 */
__must_check int dirty_log_start_by_hand(struct dirty_log *log, struct gmem_kvm *memslots,
					 struct gmem *mem);
/* Idempotent. */
void dirty_log_stop(struct dirty_log *log);

/*
 * Calls `dirty` for each page written since the start or the last call, in rising order, with its
 * guest-physical address, and counts it as clean again: a concurrent write is in this round or in
 * the next, and never missed. Negative errno of KVM_GET_DIRTY_LOG, logged.
 */
__must_check int dirty_log_read(struct dirty_log *log, void (*dirty)(void *owner, uint64_t gpa),
				void *owner);

/*
 * Of a log that was started by hand: those of the slot's pages [first, first + count) whose bit is
 * set in `words`, from bit 0, count as clean again. To be called before they are read. Both numbers
 * are multiples of 64, but for a count that ends with the slot (KVM api.rst 4.117). Negative errno
 * of KVM_CLEAR_DIRTY_LOG, logged.
 */
__must_check int dirty_log_clear(struct dirty_log *log, const struct gmem_slot *slot,
				 uint64_t first, uint32_t count, uint64_t *words);

#endif
