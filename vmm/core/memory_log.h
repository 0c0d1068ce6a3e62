/* SPDX-License-Identifier: Apache-2.0 */
/* The log of this process's writes to guest RAM, for core/dirty.h. Private to memory*.c, dirty.c.
 */
#ifndef KINGLET_CORE_MEMORY_LOG_H
#define KINGLET_CORE_MEMORY_LOG_H

#include "core/memory.h"

/*
 * gmem_written() logs from here on; every page counts as clean. Of a write that is under way on
 * another thread, either the log has its page or its bytes are in RAM when this returns. -ENOMEM.
 */
__must_check int memory_log_start(struct gmem *mem);
/* Idempotent. */
void memory_log_stop(struct gmem *mem);

#endif
