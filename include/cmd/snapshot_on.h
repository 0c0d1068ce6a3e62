/* SPDX-License-Identifier: Apache-2.0 */
/* --snapshot-on TEXT: a line of a console asks for the snapshot. An observer. */
#ifndef KINGLET_CMD_SNAPSHOT_ON_H
#define KINGLET_CMD_SNAPSHOT_ON_H

#include "guestlog/guest_log.h"
#include "machine/observer.h"

struct snapshot_on {
	const char *text; /* borrowed */
	const struct machine_parts *parts;
};

/* Its owner is a struct snapshot_on. */
extern const struct machine_observer_ops snapshot_on_ops;

struct line_listener snapshot_on_listener(struct snapshot_on *on);

#endif
