/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of a command that restores a saved machine: what the machine is, the snapshot says;
 * where its devices find their host's part, the command line may say anew. Main thread.
 */
#ifndef KINGLET_CMD_RESTORED_H
#define KINGLET_CMD_RESTORED_H

#include "cmd/run_options.h"
#include "machine/snapshot.h"

/* All zeroes at the start, but for a snapshot that is open already. */
struct restored {
	struct snapshot *snapshot; /* one of its users */
	struct run_options saved;  /* the snapshot's words, parsed */
	const char *words[OPTIONS_SAVED_MAX];
	unsigned word_count;
};

/*
 * Opens the snapshot, and completes and checks the options of the command line, which have been
 * parsed, with what it says: *restored must live as long as they do. Options of a kind of device
 * replace all those of the snapshot's devices of this kind, in order. argv: what stands after --,
 * for the guest's runner. Logs. -EINVAL: an option that the snapshot decides about, or a device too
 * many or too few; errors of snapshot_open(); -ENOMEM.
 */
__must_check int restored_open(struct restored *restored, struct run_options *options,
			       const char *dir, int argc, char **argv);
/* Idempotent. */
void restored_close(struct restored *restored);

#endif
