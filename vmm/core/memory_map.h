/* SPDX-License-Identifier: Apache-2.0 */
/* The host's mapping of guest RAM. Private to memory*.c. */
#ifndef KINGLET_CORE_MEMORY_MAP_H
#define KINGLET_CORE_MEMORY_MAP_H

#include "core/memory.h"

enum { GMEM_HUGE_PAGE = 2 << 20, GMEM_MAX_BLOCKS = 4096 };

/*
 * The file that RAM is a private mapping of. RAM is divided into blocks, as many as there may be
 * mappings; those that were given back to the host are anonymous memory.
 */
struct gmem_origin {
	int fd;                                  /* owned */
	uint64_t page;                           /* of the host, bytes */
	uint64_t block;                          /* bytes; a power of two */
	uint64_t released[GMEM_MAX_BLOCKS / 64]; /* atomic; by block */
};

/* Maps mem->size bytes. -ECANCELED, or errno of the system calls that gmem_init() names. */
__must_check int memory_map(struct gmem *mem, const struct gmem_options *options);

/* Also what memory_map() left when it failed. Idempotent. */
void memory_unmap(struct gmem *mem);

/* Asked between pieces of work on all RAM: whether to return -ECANCELED. */
bool memory_stop_wanted(const struct gmem *mem);

/*
 * Calls `work` for the data of a memory file, in pieces, without its holes. -EINVAL when there is
 * data after the end of RAM; -ECANCELED; errno of lseek(2); what work() returned.
 */
__must_check int memory_for_data(const struct gmem *mem, int file,
				 int (*work)(void *owner, uint64_t at, uint64_t len), void *owner);

/* Whether the block with this byte of RAM is anonymous memory, that is not the file's. */
bool memory_is_released(const struct gmem_origin *origin, uint64_t offset);

#endif
