/* SPDX-License-Identifier: Apache-2.0 */
/* Which pages of memory a device has written, and which vhost's write log has. */
#ifndef KINGLET_VHOST_DIRECT_PAGES_H
#define KINGLET_VHOST_DIRECT_PAGES_H

#include "driver.h"

#include "backend/vhost.h"

enum { PAGE = 4096 };

/* Turns the log on or off, as core/dirty.h does. */
void log_turn(struct host *host, bool on);

/*
 * Makes the log of a kind that does not log its data usable all the same: log_turn() would hold the
 * device still. The kind is a copy, for as long as the vhost.
 */
void log_anyway(struct vhost *vhost, struct vhost_kind *copy);

/* What happens between begin and end. The log is on. */
struct pages {
	struct host *host;
	uint8_t *before[GMEM_MAX_SLOTS];  /* owned; of each slot */
	uint64_t *logged[GMEM_MAX_SLOTS]; /* owned; bits by page of the slot */
};

/* Nothing writes memory during a call; between them only the device, or it is found unlogged. */
void pages_begin(struct pages *pages, struct host *host);
void pages_end(struct pages *pages);
void pages_free(struct pages *pages);

struct tally {
	unsigned written, logged, both;
};

/* Of all memory; of the pages that these bytes of one slot touch. */
struct tally pages_all(const struct pages *pages);
struct tally pages_of(const struct pages *pages, uint64_t gpa, uint64_t len);
/* Prints one: "scsi data: 16 written, 0 in the log, 0 in both". */
void tally_say(const char *what, struct tally tally);

#endif
