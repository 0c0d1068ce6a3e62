/* SPDX-License-Identifier: Apache-2.0 */
#include "memory_log.h"

#include "base/checked.h"

#include <linux/membarrier.h>
#include <string.h>
#include <sys/syscall.h>

enum { PAGE = 4096, WORD_BITS = 64 };

static size_t log_size(const struct gmem *mem)
{
	return (mem->size / PAGE + WORD_BITS - 1) / WORD_BITS * sizeof(uint64_t);
}

int memory_log_start(struct gmem *mem)
{
	/* Kept until gmem_destroy(): another thread may be at it. */
	if (!mem->log)
		mem->log = malloc(log_size(mem));
	if (!mem->log)
		return -ENOMEM;
	memset(mem->log, 0, log_size(mem));
	__atomic_store_n(&mem->is_logged, true, __ATOMIC_RELEASE);
	/*
	 * A thread reads the flag after it has written, without a fence, which would cost each
	 * write of each machine. This is the fence for all of them (membarrier(2)).
	 */
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
	return 0;
}

void memory_log_stop(struct gmem *mem)
{
	__atomic_store_n(&mem->is_logged, false, __ATOMIC_RELEASE);
}

/* The bits of `word` that are pages [*page, end); *page advances to the first one of the next. */
static uint64_t next_mask(uint64_t *page, uint64_t end)
{
	uint64_t first = *page % WORD_BITS, count = WORD_BITS - first;

	if (count > end - *page)
		count = end - *page;
	*page += count;
	return UINT64_MAX >> (WORD_BITS - count) << first;
}

void gmem_log_write(const struct gmem *mem, const void *hva, uint64_t len)
{
	uint64_t offset = (uint64_t)((uintptr_t)hva - (uintptr_t)mem->base);
	uint64_t page = offset / PAGE, end;

	if (!len || !range_fits(offset, len, mem->size))
		return;
	end = (offset + len - 1) / PAGE + 1;
	while (page < end) {
		uint64_t *word = &mem->log[page / WORD_BITS];

		/* Release: who takes the bit sees what was written before it. */
		__atomic_fetch_or(word, next_mask(&page, end), __ATOMIC_RELEASE);
	}
}

void gmem_log_take(uint64_t *log, uint64_t first, uint64_t count, uint64_t *words)
{
	uint64_t page = first, end = first + count;

	while (page < end) {
		uint64_t at = page / WORD_BITS * WORD_BITS, mask = next_mask(&page, end), taken;
		uint64_t *word = &log[at / WORD_BITS];

		if (!__atomic_load_n(word, __ATOMIC_RELAXED))
			continue;
		taken = __atomic_fetch_and(word, ~mask, __ATOMIC_ACQUIRE) & mask;
		for (; taken; taken &= taken - 1) {
			uint64_t n = at + (unsigned)__builtin_ctzll(taken) - first;

			words[n / WORD_BITS] |= 1ULL << n % WORD_BITS;
		}
	}
}
