/* SPDX-License-Identifier: Apache-2.0 */
/* How fast a migration is, and what follows from that. Private to vmm/machine. */
#ifndef KINGLET_MACHINE_MIGRATE_RATE_H
#define KINGLET_MACHINE_MIGRATE_RATE_H

#include "machine/observer.h"

#include <stddef.h>

/*
 * A round took `took_ns` for `sent` bytes of the stream, and meanwhile the guest has written to
 * `pages` pages: sets rate, written, and expected_ns.
 */
void rate_measure(struct machine_progress *progress, uint64_t took_ns, uint64_t sent,
		  uint64_t pages);

/* Why such rates do not lead to an end, and what to do: one line. */
void rate_explain(const struct machine_progress *progress, char *text, size_t len);

#endif
