/* SPDX-License-Identifier: Apache-2.0 */
/* Guest RAM as a daemon gets it: all in one message, or region by region where it can. */
#include "vhost_internal.h"
#include "vhost_user_internal.h"

#include <string.h>

static struct vhost_user_region region_at(const struct vhost_table *table, unsigned i)
{
	const struct vhost_memory_region *region = &table->regions[i];

	return (struct vhost_user_region){ region->guest_phys_addr, region->memory_size,
					   region->userspace_addr, table->files[i].offset };
}

static bool is_in(const struct vhost_user_region *region, const struct vhost_user_memory *memory)
{
	for (unsigned i = 0; i < memory->count; i++)
		if (!memcmp(region, &memory->regions[i], sizeof(*region)))
			return true;
	return false;
}

static int set_all(struct vhost_user *user, const struct vhost_user_memory *wanted, const int *fds)
{
	struct vhost_user_message message = { .body.memory = *wanted };
	const struct vhost_user_exchange exchange = {
		.request = VHOST_USER_SET_MEM_TABLE,
		.size = offsetof(struct vhost_user_memory, regions) +
			wanted->count * (uint32_t)sizeof(wanted->regions[0]),
		.fds = fds,
		.count = wanted->count,
	};

	return peer_tell(&user->peer, &exchange, &message);
}

static int tell_region(struct vhost_user *user, uint32_t request,
		       const struct vhost_user_region *region, const int *fd)
{
	struct vhost_user_message message = { .body.slot.region = *region };
	const struct vhost_user_exchange exchange = { .request = request,
						      .size = sizeof(message.body.slot),
						      .fds = fd,
						      .count = fd ? 1 : 0 };

	return peer_tell(&user->peer, &exchange, &message);
}

/* What stays is not mapped anew. First those that go: the daemon's slots are limited. */
static int change(struct vhost_user *user, const struct vhost_user_memory *wanted, const int *fds)
{
	struct vhost_user_memory *told = &user->told;
	int ret = wanted->count > user->peer.slots ? -ENOSPC : 0;

	for (unsigned i = told->count; i-- && !ret;) {
		if (is_in(&told->regions[i], wanted))
			continue;
		ret = tell_region(user, VHOST_USER_REM_MEM_REG, &told->regions[i], NULL);
		if (!ret)
			told->regions[i] = told->regions[--told->count];
	}
	for (unsigned i = 0; i < wanted->count && !ret; i++) {
		if (is_in(&wanted->regions[i], told))
			continue;
		ret = tell_region(user, VHOST_USER_ADD_MEM_REG, &wanted->regions[i], &fds[i]);
		if (!ret)
			told->regions[told->count++] = wanted->regions[i];
	}
	return ret;
}

int vhost_user_set_memory(struct vhost_user *user, uint32_t request, void *arg)
{
	const struct vhost_table *table = container_of(arg, struct vhost_table, memory);
	struct vhost_user_memory wanted = { .count = table->memory.nregions };
	int fds[GMEM_MAX_SLOTS];

	(void)request;
	_Static_assert((int)GMEM_MAX_SLOTS <= (int)VHOST_USER_MAX_REGIONS,
		       "guest RAM fits into one message");
	for (uint32_t i = 0; i < wanted.count; i++) {
		fds[i] = table->files[i].fd;
		if (fds[i] < 0)
			return -EBADF;
		wanted.regions[i] = region_at(table, i);
	}
	return peer_has(&user->peer, VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS) ?
		       change(user, &wanted, fds) : set_all(user, &wanted, fds);
}
