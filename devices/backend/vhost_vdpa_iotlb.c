/* SPDX-License-Identifier: Apache-2.0 */
/* Guest RAM in a vDPA device's IOTLB: its I/O virtual addresses are guest-physical ones. */
#include "vhost_vdpa_internal.h"

#include "base/log.h"

#include <string.h>
#include <sys/resource.h>

static int tell(struct vhost_vdpa *vdpa, const struct vhost_iotlb_msg *iotlb)
{
	const struct vhost_msg_v2 message = { .type = VHOST_IOTLB_MSG_V2, .iotlb = *iotlb };

	return sys_write(vdpa->vhost.sys, vdpa->vhost.fd, &message, sizeof(message));
}

/* Between the two the device is not told of each map. */
static int tell_batch(struct vhost_vdpa *vdpa, uint8_t type)
{
	if (!(vdpa->backend_features >> VHOST_BACKEND_F_IOTLB_BATCH & 1))
		return 0;
	return tell(vdpa, &(struct vhost_iotlb_msg){ .type = type });
}

/* The kernel maps whole pages of its own size. */
static int check(const struct vhost_vdpa *vdpa, const struct vhost_memory_region *region)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (region->guest_phys_addr < vdpa->range.first ||
	    region->guest_phys_addr + region->memory_size - 1 > vdpa->range.last)
		return -ERANGE;
	return (region->guest_phys_addr | region->memory_size | region->userspace_addr) % page ?
		       -EINVAL : 0;
}

static int add_map(struct vhost_vdpa *vdpa, const struct vhost_memory_region *region)
{
	int ret = check(vdpa, region);

	if (!ret)
		ret = tell(vdpa, &(struct vhost_iotlb_msg){ .type = VHOST_IOTLB_UPDATE,
							    .iova = region->guest_phys_addr,
							    .size = region->memory_size,
							    .uaddr = region->userspace_addr,
							    .perm = VHOST_ACCESS_RW });
	if (!ret)
		vdpa->maps[vdpa->map_count++] = (struct gmem_range){ region->guest_phys_addr,
								     region->memory_size };
	return ret;
}

static int remove_map(struct vhost_vdpa *vdpa, unsigned index)
{
	const struct gmem_range gone = vdpa->maps[index];
	int ret = tell(vdpa, &(struct vhost_iotlb_msg){ .type = VHOST_IOTLB_INVALIDATE,
							.iova = gone.gpa, .size = gone.len });

	if (!ret)
		vdpa->maps[index] = vdpa->maps[--vdpa->map_count];
	return ret;
}

static bool in_table(const struct vhost_table *table, const struct gmem_range *map)
{
	for (unsigned i = 0; i < table->memory.nregions; i++)
		if (table->regions[i].guest_phys_addr == map->gpa)
			return true;
	return false;
}

static bool is_mapped(const struct vhost_vdpa *vdpa, const struct vhost_memory_region *region)
{
	for (unsigned i = 0; i < vdpa->map_count; i++)
		if (vdpa->maps[i].gpa == region->guest_phys_addr)
			return true;
	return false;
}

static int follow(struct vhost_vdpa *vdpa, const struct vhost_table *table)
{
	int ret = 0;

	for (unsigned i = vdpa->map_count; i-- && !ret;)
		if (!in_table(table, &vdpa->maps[i]))
			ret = remove_map(vdpa, i);
	for (unsigned i = 0; i < table->memory.nregions && !ret; i++)
		if (!is_mapped(vdpa, &table->regions[i]))
			ret = add_map(vdpa, &table->regions[i]);
	return ret;
}

static int set_maps(struct vhost_vdpa *vdpa, const struct vhost_table *table)
{
	const bool pinned = vdpa->map_count;
	int ret, end;

	/* Before the first page is pinned. */
	if (!pinned)
		gmem_pin(vdpa->vhost.dev->mem);
	ret = tell_batch(vdpa, VHOST_IOTLB_BATCH_BEGIN);
	if (!ret) {
		ret = follow(vdpa, table);
		end = tell_batch(vdpa, VHOST_IOTLB_BATCH_END);
		ret = ret ? ret : end;
	}
	if (!vdpa->map_count)
		gmem_unpin(vdpa->vhost.dev->mem);
	return ret;
}

int vdpa_map(struct vhost_vdpa *vdpa)
{
	return set_maps(vdpa, vdpa->vhost.table);
}

int vdpa_unmap(struct vhost_vdpa *vdpa)
{
	static const struct vhost_table empty;

	return vdpa->map_count ? set_maps(vdpa, &empty) : 0;
}

/* A message that is refused for the limit comes back as EFAULT, as all others. */
void vdpa_explain_map(const struct vhost_vdpa *vdpa, int ret)
{
	const struct virtio_dev *dev = vdpa->vhost.dev;
	struct rlimit limit = { .rlim_cur = RLIM_INFINITY };

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (ret == -ERANGE)
		log_error("%s: %s reaches addresses from 0x%llx to 0x%llx, which is not all of the guest's RAM",
			  dev->name, vdpa->path, vdpa->range.first, vdpa->range.last);
	else if (limit.rlim_cur != RLIM_INFINITY)
		log_error("%s: %s cannot map the guest's RAM: %s; it pins all %llu MiB of it, and this "
			  "process may pin %llu MiB (ulimit -l, or LimitMEMLOCK= of systemd)",
			  dev->name, vdpa->path, strerror(-ret), (unsigned long long)dev->mem->size >> 20,
			  (unsigned long long)limit.rlim_cur >> 20);
	else
		log_error("%s: %s cannot map the guest's RAM: %s; is it in more than 2048 pieces on the "
			  "host? (--hugepages, or max_iotlb_entries= of vhost_vdpa and of the device's "
			  "module)", dev->name, vdpa->path, strerror(-ret));
}
