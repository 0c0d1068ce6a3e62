/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VM generation id (Microsoft's "Virtual Machine Generation ID"): 16 random bytes in guest RAM,
 * where the firmware tables say, and a notification that they have changed. A guest that finds
 * another id than before knows that it is a copy, and makes its random numbers differ from those of
 * the original: Linux by drivers/virt/vmgenid.c.
 *
 * Machine's thread, before vCPUs run for the first time since RAM was mapped or cleared: Linux on
 * arm64 reads the id uncached, and KVM writes caches back for pages that are new to the guest.
 */
#ifndef KINGLET_PLATFORM_VMGENID_H
#define KINGLET_PLATFORM_VMGENID_H

#include "core/memory.h"

enum { VMGENID_LEN = 16 };

struct vmgenid {
	struct gmem *mem; /* borrowed */
	uint64_t gpa;
	/* Tells the guest. A negative errno is passed on. */
	int (*notify)(void *owner);
	void *owner; /* borrowed */
};

/* A first id, for a guest that boots. -EFAULT: no RAM there; errno of getrandom(2). */
__must_check int vmgenid_boot(struct vmgenid *vmgenid);
/* Another one, for a guest that was restored, and the notification; or its errors. */
__must_check int vmgenid_renew(struct vmgenid *vmgenid);

#endif
