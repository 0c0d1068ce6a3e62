/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machines that `kinglet exec` has saved when their init waited for its program, for later runs:
 * $XDG_CACHE_HOME/kinglet/exec, or ~/.cache/kinglet/exec, with a folder for each key. Only an attempt
 * is ever lost with it: so functions return errors and log nothing, and processes do not wait for
 * each other. Main thread.
 */
#ifndef KINGLET_CMD_EXEC_CACHE_H
#define KINGLET_CMD_EXEC_CACHE_H

#include "machine/snapshot.h"

/* What a saved machine depends on; and on Kinglet, and on the host since its boot. All borrowed. */
struct exec_cache_key {
	const char *kernel;  /* path; the file counts, as it is */
	const char *cmdline; /* of the kernel */
	uint64_t base;       /* exec_base_hash() */
	uint64_t memory;     /* bytes */
	unsigned cpus;
};

/* All owned. */
struct exec_cache {
	char *folder; /* of all */
	char *key;    /* one line, also the only word of the snapshot */
	char *dir;    /* the key's: where to save it */
};

/*
 * Makes the folder, for this user only, if there is none. -ENOENT: there is no place for it; -EPERM:
 * the place is another user's, or others can write to it; -ENOMEM; errno of stat(2) or mkdir(2).
 */
__must_check int exec_cache_init(struct exec_cache *cache, const struct exec_cache_key *key);
void exec_cache_destroy(struct exec_cache *cache);

/*
 * The machine of the key, for snapshot_free(), which is now the one used last; NULL: there is none,
 * any more if it was damaged.
 */
struct snapshot *exec_cache_open(const struct exec_cache *cache, const struct exec_cache_key *key);
/* The machine of the key is of no use. */
void exec_cache_remove(const struct exec_cache *cache);
/*
 * Removes what killed runs have left, and the machines used longest ago, until the others take at
 * most `max` bytes of the disk.
 */
void exec_cache_trim(const struct exec_cache *cache, uint64_t max);

#endif
