/* SPDX-License-Identifier: Apache-2.0 */
/* The target of a live migration, before there is a machine: docs/migration.md. */
#ifndef KINGLET_MACHINE_MIGRATION_H
#define KINGLET_MACHINE_MIGRATION_H

#include "machine/snapshot.h"

/*
 * Waits for a source at the other end of `fd`, a stream socket, borrowed, to say what its machine
 * is: as a snapshot without memory and without the machine's sections. For machine_config.restore,
 * with .incoming. Logs. -EBADMSG: what came is no migration of this version and architecture;
 * -ETIMEDOUT, -ECONNRESET: it went away; -ENOMEM, errno of the host. Main thread.
 */
__must_check int machine_expect(struct snapshot **snapshot, int fd);

/* Such a machine cannot be built: tells the source why, in one line. */
void machine_refuse(int fd, const char *why);

#endif
