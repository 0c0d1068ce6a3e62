/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a snapshot of DIR: into the folder .DIR.kinglet-new beside it, which takes DIR's place once
 * it is whole and on the disk. So DIR is the old snapshot or the new one at any moment, also after a
 * crash; a new one that a killed run has left is used by the next run. A folder that has anything but a snapshot's files
 * is left alone, and so is what a symbolic link leads to. Machine's thread. Private to vmm/machine.
 */
#ifndef KINGLET_MACHINE_SNAPSHOT_FOLDER_H
#define KINGLET_MACHINE_SNAPSHOT_FOLDER_H

#include "machine/snapshot.h"

struct snapshot_folder {
	char *dir, *temp;        /* owned */
	int fd;                  /* owned: of the new one, locked */
	int state_fd, memory_fd; /* owned: its files, empty */
	bool unsynced;           /* set by the caller: commit does not wait for the disk */
};

/*
 * Logs. -EBUSY: another process saves there; -EEXIST: DIR or the new one is there, and has other files
 * than a snapshot's; -ENOTDIR: it is no folder; -ENOMEM, and errno of mkdir(2) and open(2). Pair
 * with commit or abort.
 */
__must_check int snapshot_folder_begin(struct snapshot_folder *folder, const char *dir);
/* Syncs, and gives it its name. Logs; on failure DIR is as before. */
__must_check int snapshot_folder_commit(struct snapshot_folder *folder);
void snapshot_folder_abort(struct snapshot_folder *folder);

extern const struct state_table snapshot_info_table;

/*
 * Saves what comes before the machine's sections; sets version and machine of *info. -E2BIG: too
 * many words; -EILSEQ: one has a control character, and would be refused. (snapshot.c)
 */
__must_check int snapshot_describe(struct state *state, struct snapshot_info *info,
				   const char *const *words, unsigned count);

#endif
