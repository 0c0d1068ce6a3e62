/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/pvpanic.h"

static uint64_t pvpanic_read(void *owner, uint64_t offset, unsigned size)
{
	(void)owner;
	(void)offset;
	(void)size;
	return PVPANIC_PANICKED | PVPANIC_CRASH_LOADED;
}

static void pvpanic_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
	struct pvpanic *pvpanic = owner;

	(void)offset;
	(void)size;
	if (value & PVPANIC_PANICKED)
		pvpanic->crashed(pvpanic->owner, PVPANIC_PANICKED);
	else if (value & PVPANIC_CRASH_LOADED)
		pvpanic->crashed(pvpanic->owner, PVPANIC_CRASH_LOADED);
}

static const struct bus_ops pvpanic_ops = { .read = pvpanic_read, .write = pvpanic_write };

void pvpanic_init(struct pvpanic *pvpanic, uint64_t port,
		  void (*crashed)(void *owner, enum pvpanic_event event), void *owner)
{
	*pvpanic = (struct pvpanic){
		.region = { port, 1, &pvpanic_ops, pvpanic, "pvpanic" },
		.crashed = crashed,
		.owner = owner,
	};
}
