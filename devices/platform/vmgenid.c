/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/vmgenid.h"

#include <errno.h>
#include <sys/random.h>

int vmgenid_boot(struct vmgenid *vmgenid)
{
	uint8_t id[VMGENID_LEN];

	/* Short requests are never cut. */
	if (getrandom(id, sizeof(id), 0) < 0)
		return -errno;
	return gmem_write(vmgenid->mem, vmgenid->gpa, id, sizeof(id));
}

int vmgenid_renew(struct vmgenid *vmgenid)
{
	return vmgenid_boot(vmgenid) ?: vmgenid->notify(vmgenid->owner);
}
