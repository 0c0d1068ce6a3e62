/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_vdpa.h"

#include <linux/virtio_config.h>
#include <string.h>

#define PLATFORM (1ULL << VIRTIO_F_ACCESS_PLATFORM)

void fake_vdpa_init(struct fake_vdpa *vdpa, struct loop *loop, uint64_t features)
{
	*vdpa = (struct fake_vdpa){
		.backend_features = 1ULL << VHOST_BACKEND_F_IOTLB_MSG_V2 |
				    1ULL << VHOST_BACKEND_F_IOTLB_BATCH |
				    1ULL << VHOST_BACKEND_F_IOTLB_ASID |
				    1ULL << VHOST_BACKEND_F_SUSPEND,
		.id = 42,
		.queues = FAKE_VHOST_RINGS,
		.queue_size = 256,
		.config_len = FAKE_VDPA_CONFIG,
		.range = { 0, UINT64_MAX },
		.changed = -1,
	};
	fake_vhost_init(&vdpa->vhost, loop, features | PLATFORM);
}

/* --- IOTLB ------------------------------------------------------------------------------------ */

/* The device gets all maps of the node at once: vdpasim_set_map(). */
static int set_map(struct fake_vdpa *vdpa)
{
	struct vhost_table {
		uint32_t nregions, padding;
		struct vhost_memory_region regions[GMEM_MAX_SLOTS];
	} table = { .nregions = vdpa->map_count };

	for (unsigned i = 0; i < vdpa->map_count; i++)
		table.regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = vdpa->maps[i].iova,
			.memory_size = vdpa->maps[i].size,
			.userspace_addr = vdpa->maps[i].uaddr,
		};
	return fake_vhost_ioctl(&vdpa->vhost, VHOST_SET_MEM_TABLE, &table);
}

static bool overlaps(const struct vhost_iotlb_msg *a, const struct vhost_iotlb_msg *b)
{
	return a->iova < b->iova + b->size && b->iova < a->iova + a->size;
}

static int update(struct fake_vdpa *vdpa, const struct vhost_iotlb_msg *message)
{
	if (vdpa->map_errno)
		return -vdpa->map_errno;
	if (!message->size || message->iova < vdpa->range.first ||
	    message->iova + (message->size - 1) > vdpa->range.last ||
	    message->perm != VHOST_ACCESS_RW || vdpa->map_count == GMEM_MAX_SLOTS)
		return -EINVAL;
	for (unsigned i = 0; i < vdpa->map_count; i++)
		if (overlaps(&vdpa->maps[i], message))
			return -EEXIST;
	vdpa->maps[vdpa->map_count++] = *message;
	return vdpa->in_batch ? 0 : set_map(vdpa);
}

static int invalidate(struct fake_vdpa *vdpa, const struct vhost_iotlb_msg *message)
{
	for (unsigned i = vdpa->map_count; i--;)
		if (overlaps(&vdpa->maps[i], message))
			vdpa->maps[i] = vdpa->maps[--vdpa->map_count];
	return vdpa->in_batch ? 0 : set_map(vdpa);
}

static int message(struct fake_vdpa *vdpa, const struct vhost_msg_v2 *message)
{
	if (!vdpa->vhost.owned || message->type != VHOST_IOTLB_MSG_V2 || message->asid)
		return -EINVAL;
	switch (message->iotlb.type) {
	case VHOST_IOTLB_UPDATE:
		return update(vdpa, &message->iotlb);
	case VHOST_IOTLB_INVALIDATE:
		return invalidate(vdpa, &message->iotlb);
	case VHOST_IOTLB_BATCH_BEGIN:
		vdpa->in_batch = true;
		return 0;
	case VHOST_IOTLB_BATCH_END:
		vdpa->in_batch = false;
		return set_map(vdpa);
	default:
		return -EINVAL;
	}
}

/* --- Rings ------------------------------------------------------------------------------------ */

static uint64_t translate(const struct fake_vdpa *vdpa, uint64_t iova)
{
	for (unsigned i = 0; i < vdpa->map_count; i++)
		if (iova - vdpa->maps[i].iova < vdpa->maps[i].size)
			return vdpa->maps[i].uaddr + (iova - vdpa->maps[i].iova);
	return 0;
}

/* The rings by addresses of this process; then all run. */
static int go(struct fake_vdpa *vdpa)
{
	int ret = 0, on = 1;

	for (unsigned i = 0; i < FAKE_VHOST_RINGS && !ret; i++) {
		struct vhost_vring_addr addr = {
			.index = i,
			.desc_user_addr = translate(vdpa, vdpa->addr[i].desc_user_addr),
			.avail_user_addr = translate(vdpa, vdpa->addr[i].avail_user_addr),
			.used_user_addr = translate(vdpa, vdpa->addr[i].used_user_addr),
		};

		/* Kinglet enables what it sets up, and nothing else. */
		if (vdpa->enabled[i] != (vdpa->vhost.rings[i].kick >= 0))
			return -EINVAL;
		if (vdpa->enabled[i])
			ret = fake_vhost_ioctl(&vdpa->vhost, VHOST_SET_VRING_ADDR, &addr);
	}
	return ret ? ret : fake_vhost_ioctl(&vdpa->vhost, VHOST_VSOCK_SET_RUNNING, &on);
}

static int rest(struct fake_vdpa *vdpa)
{
	int off = 0;

	return fake_vhost_ioctl(&vdpa->vhost, VHOST_VSOCK_SET_RUNNING, &off);
}

/* The maps of the device go, those of the node stay. */
static int reset(struct fake_vdpa *vdpa)
{
	int ret = rest(vdpa);

	for (unsigned i = 0; i < FAKE_VHOST_RINGS; i++)
		vdpa->vhost.rings[i].base = 0;
	memset(vdpa->enabled, 0, sizeof(vdpa->enabled));
	vdpa->vhost.memory.nregions = 0;
	vdpa->vhost.features = vdpa->acked = 0;
	vdpa->status = 0;
	vdpa->suspended = false;
	vdpa->resets++;
	return ret;
}

static int set_status(struct fake_vdpa *vdpa, uint8_t status)
{
	const uint8_t before = vdpa->status;

	if (!status)
		return reset(vdpa);
	if (before & ~status)
		return -EINVAL;
	if (vdpa->refuses_features)
		status &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
	vdpa->status = status;
	if (!(status & ~before & VIRTIO_CONFIG_S_DRIVER_OK))
		return 0;
	return status & VIRTIO_CONFIG_S_FEATURES_OK ? go(vdpa) : -EINVAL;
}

static int set_features(struct fake_vdpa *vdpa, uint64_t features)
{
	const uint64_t rest = features & ~PLATFORM;

	if (vdpa->status & VIRTIO_CONFIG_S_FEATURES_OK)
		return -EBUSY;
	if (!(features & PLATFORM) || !(vdpa->status & VIRTIO_CONFIG_S_DRIVER))
		return -EINVAL;
	vdpa->acked = features;
	return fake_vhost_ioctl(&vdpa->vhost, VHOST_SET_FEATURES, (void *)(uintptr_t)&rest);
}

static int access_config(struct fake_vdpa *vdpa, bool write, void *arg)
{
	struct {
		uint32_t off, len;
		uint8_t bytes[FAKE_VDPA_CONFIG];
	} *space = arg;

	if (!space->len || space->off > vdpa->config_len ||
	    space->len > vdpa->config_len - space->off)
		return -EINVAL;
	if (write)
		memcpy(vdpa->config + space->off, space->bytes, space->len);
	else
		memcpy(space->bytes, vdpa->config + space->off, space->len);
	return 0;
}

static int ring_ioctl(struct fake_vdpa *vdpa, unsigned long request, void *arg)
{
	const struct vhost_vring_addr *addr = arg;
	const struct vhost_vring_state *state = arg;

	if (state->index >= vdpa->queues)
		return -ENOBUFS;
	if (request == VHOST_SET_VRING_ADDR) {
		vdpa->addr[addr->index] = *addr;
		return 0;
	}
	if (request == VHOST_VDPA_SET_VRING_ENABLE) {
		vdpa->enabled[state->index] = state->num;
		return 0;
	}
	/* Of a device that runs it would be out of date. */
	if (request == VHOST_GET_VRING_BASE && !vdpa->suspended)
		return -EINVAL;
	return fake_vhost_ioctl(&vdpa->vhost, request, arg);
}

#define ANSWER(arg, value) (memcpy(arg, &(value), sizeof(value)), 0)

static int answer(struct fake_vdpa *vdpa, unsigned long request, void *arg)
{
	switch (request) {
	case VHOST_GET_BACKEND_FEATURES:
		return ANSWER(arg, vdpa->backend_features);
	case VHOST_VDPA_GET_DEVICE_ID:
		return ANSWER(arg, vdpa->id);
	case VHOST_VDPA_GET_VQS_COUNT:
		return ANSWER(arg, vdpa->queues);
	case VHOST_VDPA_GET_VRING_NUM:
		return ANSWER(arg, vdpa->queue_size);
	case VHOST_VDPA_GET_CONFIG_SIZE:
		return ANSWER(arg, vdpa->config_len);
	case VHOST_VDPA_GET_IOVA_RANGE:
		return ANSWER(arg, vdpa->range);
	case VHOST_VDPA_GET_STATUS:
		return ANSWER(arg, vdpa->status);
	case VHOST_SET_OWNER:
	case VHOST_GET_FEATURES:
		return fake_vhost_ioctl(&vdpa->vhost, request, arg);
	default:
		return FAKE_PASS;
	}
}

static int command(struct fake_vdpa *vdpa, unsigned long request, void *arg)
{
	switch (request) {
	case FAKE_WRITE:
		return message(vdpa, arg);
	case VHOST_SET_BACKEND_FEATURES:
		vdpa->acked_backend = *(const uint64_t *)arg;
		return vdpa->acked_backend & ~vdpa->backend_features ? -EOPNOTSUPP : 0;
	case VHOST_SET_FEATURES:
		return set_features(vdpa, *(const uint64_t *)arg);
	case VHOST_VDPA_SET_STATUS:
		return set_status(vdpa, *(const uint8_t *)arg);
	case VHOST_VDPA_GET_CONFIG:
		return access_config(vdpa, false, arg);
	case VHOST_VDPA_SET_CONFIG:
		return access_config(vdpa, true, arg);
	case VHOST_VDPA_SET_CONFIG_CALL:
		vdpa->changed = *(const int *)arg;
		return 0;
	case VHOST_VDPA_SUSPEND:
		vdpa->suspended = true;
		return rest(vdpa);
	case VHOST_SET_MEM_TABLE:
	case VHOST_SET_LOG_BASE:
		return -ENOTTY;
	default:
		return ring_ioctl(vdpa, request, arg);
	}
}

int fake_vdpa_ioctl(struct fake_vdpa *vdpa, unsigned long request, void *arg)
{
	int ret;

	if (request != FAKE_WRITE && _IOC_TYPE(request) != VHOST_VIRTIO)
		return FAKE_PASS;
	ret = answer(vdpa, request, arg);
	if (ret == FAKE_PASS)
		ret = command(vdpa, request, arg);
	vdpa->vhost.refusals += ret < 0;
	/* The node's write says no more than that. */
	return ret < 0 && request == FAKE_WRITE ? -EFAULT : ret;
}
