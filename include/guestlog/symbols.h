/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names for addresses of a kernel: from an ELF64 file's symbol table, or from a System.map.
 */
#ifndef KINGLET_GUESTLOG_SYMBOLS_H
#define KINGLET_GUESTLOG_SYMBOLS_H

#include "base/cleanup.h"

#include <stdint.h>

struct symbols;

/*
 * Reads all of them; the caller destroys *symbols. -ENOENT and other errors of open(2) and read(2);
 * -ENODATA when the file has no symbols, or is neither; -ENOEXEC when it is damaged; -ENOMEM. Does
 * not log.
 */
__must_check int symbols_load(const char *path, struct symbols **symbols);
/* NULL is allowed. */
void symbols_destroy(struct symbols *symbols);

/* The symbol that contains `address`, and the offset from its start; NULL when there is none. */
const char *symbols_find(const struct symbols *symbols, uint64_t address, uint64_t *offset);

/* The address of a symbol; 0 when there is none. */
uint64_t symbols_address(const struct symbols *symbols, const char *name);

#endif
