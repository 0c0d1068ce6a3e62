/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address decoding for port I/O and MMIO.
 *
 * vCPU threads look regions up; any thread may add or remove them. The look-up holds a lock, the
 * callback does not: a device may therefore move its own region from inside a callback (a BAR write
 * through ECAM), and one access may still reach a region that was removed a moment ago. Region
 * owners must outlive the vCPU threads.
 */
#ifndef KINGLET_CORE_BUS_H
#define KINGLET_CORE_BUS_H

#include "base/text.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * `offset` is relative to the region, `size` is 1, 2, 4 or 8 bytes, and offset + size never passes
 * the region's end. Values are numbers in host order. Called on vCPU threads, several at once:
 * devices take their own lock. `read` NULL: zero; `write` NULL: ignored.
 */
struct bus_ops {
	uint64_t (*read)(void *owner, uint64_t offset, unsigned size);
	void (*write)(void *owner, uint64_t offset, uint64_t value, unsigned size);
	/*
	 * Appends the name of the register at `offset`, for narration; nothing when it has none.
	 * Must not take locks. NULL: the region has no names.
	 */
	void (*describe)(void *owner, uint64_t offset, struct text *out);
};

struct bus_region {
	uint64_t base; /* first address; while mapped, change it only through bus_remove/bus_add */
	uint64_t len;  /* bytes, not 0 */
	const struct bus_ops *ops;
	void *owner;	  /* passed to ops, borrowed */
	const char *name; /* for narration: "COM1", "virtio-net BAR0"; borrowed */
};

struct bus {
	pthread_rwlock_t lock; /* writers go first */
	struct bus_region **regions; /* sorted by base, not overlapping; the array is owned */
	unsigned count;
};

__must_check int bus_init(struct bus *bus);
/* Regions are borrowed, so only the table is freed. */
void bus_destroy(struct bus *bus);

/* -EBUSY when it overlaps another region, -EINVAL when it is empty or wraps, -ENOMEM. */
__must_check int bus_add(struct bus *bus, struct bus_region *region);
/* Does nothing if the region is not on the bus. */
void bus_remove(struct bus *bus, struct bus_region *region);

/*
 * One guest access of 1 to 8 bytes at `data` (little endian, as in struct kvm_run). An access that
 * is not wholly inside one region reads all-ones and ignores writes; sizes other than 1, 2, 4 and 8
 * are split into bytes. Returns false when nothing answered.
 */
bool bus_read(struct bus *bus, uint64_t addr, void *data, unsigned len);
bool bus_write(struct bus *bus, uint64_t addr, const void *data, unsigned len);

/*
 * Appends the name of the region at an address to `name`, and of its register to `place`. Returns
 * false, and appends nothing, if there is no region. Either may be NULL.
 */
bool bus_describe(struct bus *bus, uint64_t addr, struct text *name, struct text *place);

#endif
