/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/kind.h"

#include "devices/balloon.h"
#include "devices/blk.h"
#include "devices/fs.h"
#include "devices/generic.h"
#include "devices/net.h"
#include "devices/rng.h"
#include "devices/scsi.h"
#include "devices/vdpa.h"
#include "devices/vsock.h"

#include <string.h>

const struct device_kind *const device_kinds[] = {
	&rng_kind,
	&blk_kind,
	&net_kind,
	&scsi_kind,
	&vsock_kind,
	&balloon_kind,
	&fs_kind,
	&share_kind,
	&generic_kind,
	&vdpa_kind,
	NULL,
};

static unsigned rank(const struct device_kind *kind)
{
	unsigned i = 0;

	while (device_kinds[i] && device_kinds[i] != kind)
		i++;
	return i;
}

void *device_set_add(struct device_set *set, const struct device_kind *kind)
{
	struct device_config *at = set->items, *end = at + set->count;
	unsigned max = kind->option.max_items, instance = 0;

	for (; at < end && rank(at->kind) <= rank(kind); at++)
		instance += at->kind == kind;
	if (!max && instance) {
		at--;
		instance = 0;
	} else if ((max && instance == max) || set->count == DEVICES_MAX) {
		return NULL;
	} else {
		memmove(at + 1, at, (size_t)(end - at) * sizeof(*at));
		set->count++;
	}
	*at = (struct device_config){ .kind = kind, .instance = instance };
	return at->config;
}

const void *device_set_get(const struct device_set *set, const struct device_kind *kind,
			   unsigned instance)
{
	for (unsigned i = 0; i < set->count; i++)
		if (set->items[i].kind == kind && set->items[i].instance == instance)
			return set->items[i].config;
	return NULL;
}

const char *device_set_stays(const struct device_set *set, const char **name)
{
	for (unsigned i = 0; i < set->count; i++) {
		const struct device_config *device = &set->items[i];
		const char *why =
			device->kind->stays ? device->kind->stays(device->config) : NULL;

		*name = device->kind->option.name;
		if (why)
			return why;
	}
	return NULL;
}

bool device_set_shares_ram(const struct device_set *set)
{
	for (unsigned i = 0; i < set->count; i++) {
		const struct device_config *device = &set->items[i];

		if (device->kind->shares_ram && device->kind->shares_ram(device->config))
			return true;
	}
	return false;
}
