/* SPDX-License-Identifier: Apache-2.0 */
#include "core/bus.h"

#include "base/checked.h"
#include "base/le.h"

/*
 * Writers first: otherwise guest CPUs that read endlessly would starve one that moves a BAR, and
 * with it the loop, which waits for that device. No reader takes the lock twice.
 */
int bus_init(struct bus *bus)
{
	pthread_rwlockattr_t attr;
	int ret;

	*bus = (struct bus){ 0 };
	ret = -pthread_rwlockattr_init(&attr);
	if (ret)
		return ret;
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	ret = -pthread_rwlock_init(&bus->lock, &attr);
	pthread_rwlockattr_destroy(&attr);
	return ret;
}

void bus_destroy(struct bus *bus)
{
	free(bus->regions);
	bus->regions = NULL;
	bus->count = 0;
	pthread_rwlock_destroy(&bus->lock);
}

/* Index of the first region whose base is beyond addr. Lock held. */
static unsigned upper_bound(const struct bus *bus, uint64_t addr)
{
	unsigned low = 0, high = bus->count;

	while (low < high) {
		unsigned mid = low + (high - low) / 2;

		if (bus->regions[mid]->base <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int insert(struct bus *bus, struct bus_region *region)
{
	unsigned at = upper_bound(bus, region->base);
	struct bus_region **regions;

	if (at > 0 && ranges_overlap(bus->regions[at - 1]->base, bus->regions[at - 1]->len,
				     region->base, region->len))
		return -EBUSY;
	if (at < bus->count && ranges_overlap(bus->regions[at]->base, bus->regions[at]->len,
					      region->base, region->len))
		return -EBUSY;

	regions = reallocarray(bus->regions, bus->count + 1, sizeof(struct bus_region *));
	if (!regions)
		return -ENOMEM;
	bus->regions = regions;
	memmove(&bus->regions[at + 1], &bus->regions[at],
		(bus->count - at) * sizeof(struct bus_region *));
	bus->regions[at] = region;
	bus->count++;
	return 0;
}

int bus_add(struct bus *bus, struct bus_region *region)
{
	uint64_t last;
	int ret;

	if (!region->len || __builtin_add_overflow(region->base, region->len - 1, &last))
		return -EINVAL;
	pthread_rwlock_wrlock(&bus->lock);
	ret = insert(bus, region);
	pthread_rwlock_unlock(&bus->lock);
	return ret;
}

void bus_remove(struct bus *bus, struct bus_region *region)
{
	pthread_rwlock_wrlock(&bus->lock);
	for (unsigned i = 0; i < bus->count; i++) {
		if (bus->regions[i] != region)
			continue;
		memmove(&bus->regions[i], &bus->regions[i + 1],
			(bus->count - i - 1) * sizeof(struct bus_region *));
		bus->count--;
		break;
	}
	pthread_rwlock_unlock(&bus->lock);
}

/*
 * The region that holds the whole access, as a copy: its owner may move it once the lock is
 * dropped.
 */
static bool find(struct bus *bus, uint64_t addr, unsigned len, struct bus_region *found)
{
	bool hit = false;
	unsigned at;

	pthread_rwlock_rdlock(&bus->lock);
	at = upper_bound(bus, addr);
	if (at > 0) {
		const struct bus_region *region = bus->regions[at - 1];

		hit = range_fits(addr - region->base, len, region->len);
		if (hit)
			*found = *region;
	}
	pthread_rwlock_unlock(&bus->lock);
	return hit;
}

/* Bytes of the next access to a region: other sizes than register widths are split into bytes. */
static unsigned step_of(unsigned len)
{
	return len <= 8 && is_power_of_two(len) ? len : 1;
}

bool bus_read(struct bus *bus, uint64_t addr, void *data, unsigned len)
{
	unsigned step = step_of(len);
	struct bus_region region;

	if (!find(bus, addr, len, &region)) {
		memset(data, 0xff, len);
		return false;
	}
	for (unsigned done = 0; done < len; done += step) {
		uint64_t value = 0;

		if (region.ops->read)
			value = region.ops->read(region.owner, addr - region.base + done, step);
		put_le_bytes((char *)data + done, value, step);
	}
	return true;
}

bool bus_write(struct bus *bus, uint64_t addr, const void *data, unsigned len)
{
	unsigned step = step_of(len);
	struct bus_region region;

	if (!find(bus, addr, len, &region))
		return false;
	for (unsigned done = 0; done < len && region.ops->write; done += step)
		region.ops->write(region.owner, addr - region.base + done,
				  get_le_bytes((const char *)data + done, step), step);
	return true;
}

bool bus_describe(struct bus *bus, uint64_t addr, struct text *name, struct text *place)
{
	struct bus_region region;

	if (!find(bus, addr, 1, &region))
		return false;
	if (name)
		text_add(name, "%s", region.name ? region.name : "a device without a name");
	if (place && region.ops->describe)
		region.ops->describe(region.owner, addr - region.base, place);
	return true;
}
