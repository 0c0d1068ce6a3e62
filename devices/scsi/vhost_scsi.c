/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/vhost_scsi.h"

#include "base/log.h"

#include <linux/vhost.h>
#include <linux/virtio_scsi.h>
#include <stdio.h>
#include <string.h>

struct vhost_scsi {
	struct vhost vhost; /* first: vhost_free() */
	/*
	 * The kernel uses every target portal group of this name that has a nexus and is not in
	 * use; since ABI 1 it ignores vhost_tpgt. A group's number is that of its SCSI target.
	 */
	struct vhost_scsi_target target;
};
_Static_assert(VHOST_SCSI_WWPN_MAX == sizeof(((struct vhost_scsi_target *)0)->vhost_wwpn) - 1,
	       "linux/vhost_types.h");

static struct vhost_scsi *scsi_of(struct vhost *vhost)
{
	return container_of(vhost, struct vhost_scsi, vhost);
}

/* No portal group of the name is free. Kernels before 6.14 return EEXIST (CVE-2025-22083). */
static bool target_is_missing(int err)
{
	return err == -ENODEV || err == -EEXIST;
}

static void log_missing(const struct vhost *vhost, const struct vhost_scsi_target *target)
{
	log_error("%s: target %s does not exist, has no nexus, or another machine has it",
		  vhost->dev ? vhost->dev->name : vhost->kind->ops.name, target->vhost_wwpn);
}

static int scsi_run(struct vhost *vhost)
{
	struct vhost_scsi *scsi = scsi_of(vhost);
	int ret = vhost_request(vhost, VHOST_SCSI_SET_ENDPOINT, &scsi->target);

	if (target_is_missing(ret) && vhost_may_log(vhost))
		log_missing(vhost, &scsi->target);
	return ret;
}

/* Returns when no command is in flight. A failure has been logged and cannot be handled. */
static void scsi_halt(struct vhost *vhost)
{
	(void)!vhost_request(vhost, VHOST_SCSI_CLEAR_ENDPOINT, &scsi_of(vhost)->target);
}

static const struct vhost_kind scsi_kind = {
	.ops = {
		.name = "vhost-scsi",
		.start = vhost_start,
		.stop = vhost_stop,
		.destroy = vhost_destroy,
	},
	.node = { "/dev/vhost-scsi", .absent = "modprobe vhost_scsi" },
	.vhost = { .request = vhost_ioctl, .run = scsi_run, .halt = scsi_halt },
};

static int check_abi(struct vhost *vhost)
{
	int version = -1;
	int ret = vhost_request(vhost, VHOST_SCSI_GET_ABI_VERSION, &version);

	if (ret < 0 || version == VHOST_SCSI_ABI_VERSION)
		return ret < 0 ? ret : 0;
	log_error("vhost-scsi: the kernel has version %d of its interface, Kinglet knows %d",
		  version, VHOST_SCSI_ABI_VERSION);
	return -EPROTONOSUPPORT;
}

/*
 * Only the kernel knows whether another machine has the target, and only an attempt to set the
 * endpoint shows it, which needs a memory table, even an empty one. No ring runs, and the endpoint
 * is cleared again, because a driver may never start. Any other error is handled at DRIVER_OK, when
 * there are rings.
 */
int vhost_scsi_probe(struct vhost *vhost)
{
	struct vhost_scsi_target *target = &scsi_of(vhost)->target;
	struct vhost_memory empty = {};
	int ret = sys_ioctl(vhost->sys, vhost->fd, VHOST_SET_MEM_TABLE, &empty);

	if (ret >= 0)
		ret = sys_ioctl(vhost->sys, vhost->fd, VHOST_SCSI_SET_ENDPOINT, target);
	if (ret >= 0)
		scsi_halt(vhost);
	return target_is_missing(ret) ? -EBUSY : 0;
}

static int check_free(struct vhost *vhost)
{
	if (!vhost_scsi_probe(vhost))
		return 0;
	log_missing(vhost, &scsi_of(vhost)->target);
	return -ENODEV;
}

int vhost_scsi_open(struct vhost **out, struct sys *sys, const char *wwpn, bool later)
{
	_cleanup_free_ struct vhost_scsi *scsi = calloc(1, sizeof(*scsi));
	int ret;

	if (!scsi)
		return -ENOMEM;
	scsi->target.abi_version = VHOST_SCSI_ABI_VERSION;
	snprintf(scsi->target.vhost_wwpn, sizeof(scsi->target.vhost_wwpn), "%s", wwpn);
	ret = vhost_open(&scsi->vhost, &scsi_kind, sys, -1, false);
	if (ret)
		return ret;
	ret = check_abi(&scsi->vhost);
	if (!ret && !later)
		ret = check_free(&scsi->vhost);
	if (ret) {
		vhost_close(&scsi->vhost);
		return ret;
	}
	*out = &steal_ptr(scsi)->vhost;
	return 0;
}

uint64_t vhost_scsi_features(const struct vhost *vhost)
{
	/*
	 * Not VIRTIO_SCSI_F_T10_PI: it needs backstores formatted for it. vhost does not support
	 * other features of virtio-scsi; the rest of what it offers is not for the guest.
	 */
	const uint64_t served = 1ULL << VIRTIO_SCSI_F_HOTPLUG | VIRTQ_FEATURES;

	return vhost->features & served;
}
