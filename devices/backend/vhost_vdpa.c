/* SPDX-License-Identifier: Apache-2.0 */
#include "vhost_vdpa_internal.h"

#include "base/log.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

enum { ALIVE = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER };

/* RESUME is not needed: what was suspended is reset, and starts where it was. */
static const uint64_t WANTED = 1ULL << VHOST_BACKEND_F_IOTLB_MSG_V2 |
			       1ULL << VHOST_BACKEND_F_IOTLB_BATCH |
			       1ULL << VHOST_BACKEND_F_SUSPEND;

const struct vhost_vdpa_info *vhost_vdpa_info(const struct vhost *vhost)
{
	return &vdpa_of(vhost)->info;
}

const uint8_t *vhost_vdpa_config(const struct vhost *vhost)
{
	return vdpa_of(vhost)->config;
}

/* --- Configuration space ---------------------------------------------------------------------- */

struct space {
	uint32_t off, len;
	uint8_t bytes[VHOST_VDPA_CONFIG_MAX];
};
_Static_assert(offsetof(struct space, bytes) == offsetof(struct vhost_vdpa_config, buf),
	       "struct vhost_vdpa_config with its buffer");

static int get_config(struct vhost_vdpa *vdpa)
{
	struct space space = { .len = vdpa->info.config_len };
	int ret;

	if (!space.len)
		return 0;
	ret = sys_ioctl(vdpa->vhost.sys, vdpa->vhost.fd, VHOST_VDPA_GET_CONFIG, &space);
	if (ret >= 0)
		memcpy(vdpa->config, space.bytes, space.len);
	return ret < 0 ? ret : 0;
}

/* One that refuses is ignored, as a write to a read-only field is. */
void vhost_vdpa_write_config(struct vhost *vhost, unsigned off, const void *buf, unsigned len)
{
	struct space space = { .off = off, .len = len };

	memcpy(space.bytes, buf, len);
	(void)!sys_ioctl(vhost->sys, vhost->fd, VHOST_VDPA_SET_CONFIG, &space);
	(void)!get_config(vdpa_of(vhost));
}

static void config_changed(struct loop_event *event, uint32_t events)
{
	struct vhost_vdpa *vdpa = container_of(event, struct vhost_vdpa, changed);
	struct virtio_dev *dev = vdpa->vhost.dev;
	uint8_t status = 0;

	(void)events;
	pthread_mutex_lock(&dev->lock);
	virtio_count(&dev->loop_wakeups);
	eventfd_drain(event->fd);
	if (sys_ioctl(vdpa->vhost.sys, vdpa->vhost.fd, VHOST_VDPA_GET_STATUS, &status) >= 0 &&
	    status & VIRTIO_CONFIG_S_NEEDS_RESET)
		virtio_broken(dev, "the vDPA device says so");
	else if (!get_config(vdpa))
		virtio_config_changed(dev);
	pthread_mutex_unlock(&dev->lock);
}

/* --- Requests --------------------------------------------------------------------------------- */

static int set_status(struct vhost_vdpa *vdpa, uint8_t status)
{
	return vhost_request(&vdpa->vhost, VHOST_VDPA_SET_STATUS, &status);
}

/* virtio 1.2 §3.1.1, steps 1 to 6, as the driver has done them with Kinglet. */
static int set_features(struct vhost_vdpa *vdpa, const struct sys_site *site, const uint64_t *acked)
{
	uint64_t features = *acked | vdpa->own_features;
	uint8_t status = 0;
	int ret = set_status(vdpa, 0);

	if (ret >= 0)
		ret = set_status(vdpa, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	if (ret >= 0)
		ret = set_status(vdpa, ALIVE);
	if (ret >= 0)
		ret = vhost_ioctl(&vdpa->vhost, site, VHOST_SET_FEATURES, &features);
	if (ret >= 0)
		ret = set_status(vdpa, ALIVE | VIRTIO_CONFIG_S_FEATURES_OK);
	if (ret >= 0)
		ret = vhost_request(&vdpa->vhost, VHOST_VDPA_GET_STATUS, &status);
	if (ret < 0)
		return ret;
	return status & VIRTIO_CONFIG_S_FEATURES_OK ? 0 : -EOPNOTSUPP;
}

/* They have been checked as addresses of this process; the device has the guest's. */
static int set_addresses(struct vhost_vdpa *vdpa, const struct sys_site *site,
			 const struct vhost_vring_addr *checked)
{
	const struct virtq_state *ring = &vdpa->vhost.rings[checked->index].q->state;
	struct vhost_vring_addr addr = {
		.index = checked->index, .desc_user_addr = ring->desc,
		.avail_user_addr = ring->avail, .used_user_addr = ring->used
	};

	return vhost_ioctl(&vdpa->vhost, site, VHOST_SET_VRING_ADDR, &addr);
}

/*
 * Without SUSPEND no answer would be true: the used index is where to go on, unless what is in flight
 * may be used in another order.
 */
static int get_base(struct vhost_vdpa *vdpa, const struct sys_site *site,
		    struct vhost_vring_state *state)
{
	const struct virtio_dev *dev = vdpa->vhost.dev;
	uint16_t avail, used = vdpa->vhost.rings[state->index].q->state.last_avail;
	int ret = 0;

	if (vdpa->suspended)
		return vhost_ioctl(&vdpa->vhost, site, VHOST_GET_VRING_BASE, state);
	if (vdpa->live)
		ret = vhost_read_indices(&vdpa->vhost, state->index, &avail, &used);
	if (!ret && vdpa->live && avail != used && vdpa->info.id != VIRTIO_ID_NET)
		ret = -EBUSY;
	state->num = used;
	return virtio_resumes(dev) ? ret : 0;
}

static int request(struct vhost *vhost, const struct sys_site *site, unsigned long request,
		   void *arg)
{
	struct vhost_vdpa *vdpa = vdpa_of(vhost);

	switch (request) {
	case VHOST_SET_FEATURES:
		return set_features(vdpa, site, arg);
	case VHOST_SET_MEM_TABLE:
		return vdpa_map(vdpa);
	case VHOST_SET_VRING_ADDR:
		return set_addresses(vdpa, site, arg);
	case VHOST_GET_VRING_BASE:
		return get_base(vdpa, site, arg);
	default:
		return vhost_ioctl(vhost, site, request, arg);
	}
}

static bool explain(const struct vhost *vhost, unsigned long request, int ret)
{
	if (request != VHOST_SET_MEM_TABLE)
		return false;
	vdpa_explain_map(vdpa_of(vhost), ret);
	return true;
}

/* --- Start and stop --------------------------------------------------------------------------- */

static int run(struct vhost *vhost)
{
	struct vhost_vdpa *vdpa = vdpa_of(vhost);
	int ret = 0;

	for (unsigned i = 0; i < vhost->ring_count && ret >= 0; i++) {
		struct vhost_vring_state on = { i, 1 };

		if (vhost->rings[i].bound)
			ret = vhost_request(vhost, VHOST_VDPA_SET_VRING_ENABLE, &on);
	}
	if (ret >= 0)
		ret = set_status(vdpa, ALIVE | VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
	vdpa->live = ret >= 0;
	return ret;
}

/* A reset forgets how far the rings have got. */
static void halt(struct vhost *vhost)
{
	struct vhost_vdpa *vdpa = vdpa_of(vhost);

	vdpa->suspended = vdpa->backend_features >> VHOST_BACKEND_F_SUSPEND & 1 &&
			  vhost_request(vhost, VHOST_VDPA_SUSPEND, NULL) >= 0;
	if (!vdpa->suspended)
		(void)!set_status(vdpa, 0);
}

static void reset(struct vhost_vdpa *vdpa)
{
	(void)!set_status(vdpa, 0);
	vdpa->live = vdpa->suspended = false;
	(void)!vdpa_unmap(vdpa);
}

static int start(struct backend *backend, struct virtio_dev *dev)
{
	struct vhost_vdpa *vdpa = container_of(backend, struct vhost_vdpa, vhost.backend);
	int ret = vdpa_unmap(vdpa); /* what the last reset may have left */

	if (!ret)
		ret = vhost_start(backend, dev);
	if (ret < 0)
		reset(vdpa);
	return ret;
}

static void stop(struct backend *backend, struct virtio_dev *dev)
{
	struct vhost_vdpa *vdpa = container_of(backend, struct vhost_vdpa, vhost.backend);

	if (!vdpa->vhost.started)
		return;
	vhost_stop(backend, dev);
	reset(vdpa);
}

/* --- Open and close --------------------------------------------------------------------------- */

static void destroy(struct backend *backend)
{
	struct vhost_vdpa *vdpa = container_of(backend, struct vhost_vdpa, vhost.backend);

	if (vdpa->vhost.dev)
		loop_eventfd_remove(vdpa->vhost.dev->loop, &vdpa->changed);
	vhost_free(&vdpa->vhost);
}

/* It says itself that it has no write log, and no machine with one is moved. */
static const struct vhost_kind vdpa_kind = {
	.ops = { .name = "vhost-vdpa", .start = start, .stop = stop, .destroy = destroy },
	.vhost = { .request = request, .run = run, .halt = halt, .explain = explain },
	.logs_data = true,
};

/* Whatever the limit on pinned memory may be raised to without a privilege. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)!setrlimit(RLIMIT_MEMLOCK, &limit);
}

/* Requests of which the answers are needed, in their order; what failed in *step. */
static int ask(struct vhost_vdpa *vdpa, const char **step)
{
	struct vhost *vhost = &vdpa->vhost;
	const struct {
		unsigned long request;
		const char *name;
		void *arg;
	} questions[] = {
#define Q(request, arg) { request, #request, arg }
		Q(VHOST_SET_OWNER, NULL),
		Q(VHOST_GET_BACKEND_FEATURES, &vdpa->backend_features),
		Q(VHOST_GET_FEATURES, &vhost->features),
		Q(VHOST_VDPA_GET_DEVICE_ID, &vdpa->info.id),
		Q(VHOST_VDPA_GET_VQS_COUNT, &vdpa->info.queues),
		Q(VHOST_VDPA_GET_VRING_NUM, &vdpa->info.queue_size),
		Q(VHOST_VDPA_GET_CONFIG_SIZE, &vdpa->info.config_len),
		Q(VHOST_VDPA_GET_IOVA_RANGE, &vdpa->range),
#undef Q
	};
	int ret = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(questions) && ret >= 0; i++) {
		*step = questions[i].name;
		ret = sys_ioctl(vhost->sys, vhost->fd, questions[i].request, questions[i].arg);
	}
	if (ret < 0)
		return ret;
	vdpa->backend_features &= WANTED;
	*step = "VHOST_SET_BACKEND_FEATURES";
	return sys_ioctl(vhost->sys, vhost->fd, VHOST_SET_BACKEND_FEATURES,
			 &vdpa->backend_features);
}

/* The largest power of two that both can do. */
static uint16_t queue_size(uint16_t max)
{
	uint16_t size = VIRTQ_MAX_SIZE;

	while (size > max)
		size /= 2;
	return size;
}

/* What it must have, and what is used of it. */
static int meet(struct vhost_vdpa *vdpa, const char **step)
{
	const uint64_t platform = 1ULL << VIRTIO_F_ACCESS_PLATFORM;
	int ret = ask(vdpa, step);

	if (ret < 0)
		return ret;
	*step = "lacks VIRTIO_F_VERSION_1, VHOST_BACKEND_F_IOTLB_MSG_V2 or queues";
	if (!(vdpa->vhost.features >> VIRTIO_F_VERSION_1 & 1) ||
	    !(vdpa->backend_features >> VHOST_BACKEND_F_IOTLB_MSG_V2 & 1) || !vdpa->info.queues ||
	    !vdpa->info.queue_size)
		return -EOPNOTSUPP;
	vdpa->own_features = vdpa->vhost.features & platform;
	vdpa->vhost.features &= VHOST_PASSED_FEATURES;
	vdpa->info.queue_size = queue_size(vdpa->info.queue_size);
	if (vdpa->info.config_len > VHOST_VDPA_CONFIG_MAX)
		vdpa->info.config_len = VHOST_VDPA_CONFIG_MAX;
	*step = "VHOST_VDPA_GET_CONFIG";
	return get_config(vdpa);
}

static int open_failed(const struct vhost_vdpa *vdpa, const char *step, int err)
{
	const struct device_node node = {
		.path = vdpa->path,
		.absent = "modprobe vhost_vdpa; make a device, for instance vdpa dev add name "
			  "vdpa0 mgmtdev NAME; its node is in /sys/bus/vdpa/devices/vdpa0",
	};
	char reason[240];

	node_reason(&node, vdpa->vhost.sys, err, reason, sizeof(reason));
	log_error("vhost-vdpa: %s: %s%s%s%s", vdpa->path, step ? step : "", step ? ": " : "", reason,
		  err == -EBUSY ? " (another process has it)" : "");
	return err;
}

int vhost_vdpa_open(struct vhost **out, struct sys *sys, const char *path)
{
	struct vhost_vdpa *vdpa = calloc(1, sizeof(*vdpa));
	const char *step = NULL;
	int ret;

	if (!vdpa)
		return -ENOMEM;
	*vdpa = (struct vhost_vdpa){
		.vhost = { .backend.ops = &vdpa_kind.ops, .kind = &vdpa_kind, .sys = sys },
		.path = path,
		.changed = { .fd = -1, .fn = config_changed },
	};
	raise_limit();
	vdpa->vhost.fd = ret = sys_open(sys, path, O_RDWR);
	if (ret >= 0)
		ret = meet(vdpa, &step);
	if (ret < 0) {
		open_failed(vdpa, step, ret);
		destroy(&vdpa->vhost.backend);
		return ret;
	}
	*out = &vdpa->vhost;
	return 0;
}

void vhost_vdpa_close(struct vhost *vhost)
{
	destroy(&vhost->backend);
}

static int watch_config(struct vhost_vdpa *vdpa)
{
	int ret = loop_eventfd_add(vdpa->vhost.dev->loop, &vdpa->changed);

	if (ret)
		log_error("%s: eventfd: %s", vdpa->vhost.dev->name, strerror(-ret));
	else
		ret = vhost_request(&vdpa->vhost, VHOST_VDPA_SET_CONFIG_CALL, &vdpa->changed.fd);
	return ret < 0 ? ret : 0;
}

/* The maps are tried before the guest runs, and stay no longer: RAM may be replaced until then. */
int vhost_vdpa_bind(struct vhost *vhost, struct virtio_dev *dev, unsigned count)
{
	struct vhost_vdpa *vdpa = vdpa_of(vhost);
	int ret = vhost_bind(vhost, dev, 0, count);

	if (ret)
		return ret;
	ret = watch_config(vdpa);
	if (ret)
		return ret;
	ret = vhost_request(vhost, VHOST_SET_MEM_TABLE, NULL);
	(void)!vdpa_unmap(vdpa);
	return ret;
}
